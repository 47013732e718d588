// Package plan compiles a flow to a Plan: type-checked, immutable, identified by a
// digest, and ready for package machine to run.
//
// Compile collects every mistake that can be known before running: unknown names,
// wrong types, limits of messages, steps that may not have run. A Plan holds no YAML
// and no CEL, only compiled values; it is never stored, its source is.
package plan

import (
	"fmt"
	"time"

	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"
)

// A Plan is a flow that type-checks. Plans are safe for concurrent use.
type Plan struct {
	Name        string
	Description string
	// Digest identifies what the plan does: the sources of the flow and of all flows
	// that it calls, and the settings that they read.
	Digest string
	// Sources are the flow's source and those of the flows that it calls, by flow name.
	Sources map[string]*diag.Source
	// Texts is what is stored with a run: the text of each of Sources, and under SettingsText
	// the settings that the flows read; see Restore.
	Texts map[string]string

	Inputs      *schema.Type // an object
	Outputs     []Output
	OutputType  *schema.Type // an object
	Steps       []*Step
	OnFailure   []*Step
	Timeout     time.Duration // of the run; 0: none
	Concurrency *Concurrency
	Triggers    []*Trigger
	Settings    map[string]any

	// Events are the kinds of event that a run may wait for, including those of called flows.
	Events []string
	// Connections are the names of the connections that steps and triggers use, including
	// those of called flows.
	Connections []string
	// InitialSteps is what expressions see as `steps` before any has run, by id. It must not
	// be changed.
	InitialSteps map[string]any
	// AllSteps are the steps of this flow in the order of the file, nested ones included,
	// without those of called flows.
	AllSteps []*Step
}

// An Output is one named result of a flow.
type Output struct {
	Name  string
	Value *Value
}

// A Step is one compiled step.
type Step struct {
	ID           string // "" when nothing can refer to it
	Place        string // unique in the flow: the id, or a path such as "steps[2]" or "each.steps[0]"
	Kind         string // the key of its construct, e.g. "foreach"
	Description  string
	If           *expr.Program // nil: always
	AllowFailure bool
	Sensitive    bool
	Do           Construct
	Range        diag.Range
}

// A Construct is what a step does: one of the types below.
type Construct interface{ construct() }

type (
	// Action makes a call.
	Action struct {
		Signature      *call.Signature
		Connection     string
		With           *Value
		Retry          *Retry // nil: one attempt
		Timeout        time.Duration
		Await          *Await // nil: the answer is enough
		Resend         bool   // if the outcome stays unknown
		UnknownTimeout time.Duration
		Idempotent     bool

		check func(schema.Value) schema.Violations // nil: there is none
	}
	// Set gives values to variables.
	Set struct{ Values []Output }
	// Switch runs the first case whose condition holds, else Default.
	Switch struct {
		Cases   []Case
		Default []*Step
	}
	// Foreach runs Steps for each item.
	Foreach struct {
		Items       *Value
		As          string
		Concurrency int
		Steps       []*Step
		Collect     *Value // nil: nothing
	}
	// Parallel runs its branches at the same time.
	Parallel struct{ Branches []Branch }
	// Try runs Steps, then the first Catch that holds if they failed, then Finally.
	Try struct {
		Steps   []*Step
		Catch   []Case
		Finally []*Step
	}
	// Wait pauses for a duration or until a time: exactly one is set.
	Wait struct{ For, Until *Value }
	// WaitFor pauses until an event comes.
	WaitFor struct {
		Event      *call.Event
		Subject    *Value // the value of the key that the event's By names
		Connection string
		Open       bool          // anybody may send the event
		When       *expr.Program // nil: any event
		Timeout    *Value        // nil: none
		Until      *Value        // nil: none; at most one of the two is set
		Continue   bool          // after a time-out go on, with OnTimeout first
		OnTimeout  []*Step
	}
	// CallFlow runs another flow inline.
	CallFlow struct {
		Plan *Plan
		With *Value
	}
	// Return ends the flow.
	Return struct{ Values []Output }
	// Fail fails with a code and a message.
	Fail struct{ Code, Message *Value }
)

func (*Action) construct()   {}
func (*Set) construct()      {}
func (*Switch) construct()   {}
func (*Foreach) construct()  {}
func (*Parallel) construct() {}
func (*Try) construct()      {}
func (*Wait) construct()     {}
func (*WaitFor) construct()  {}
func (*CallFlow) construct() {}
func (*Return) construct()   {}
func (*Fail) construct()     {}

// A Case is a condition, nil for "always", and its steps.
type Case struct {
	When  *expr.Program
	Steps []*Step
}

// A Branch is one named branch of a parallel.
type Branch struct {
	Name  string
	Steps []*Step
}

// Retry says how often and when a failed call is attempted again.
type Retry struct {
	Attempts int // in all
	Delay    time.Duration
	Factor   float64
	MaxDelay time.Duration
	When     *expr.Program // over `error`, narrows what the action says; nil: it decides alone
}

// Await waits for a receipt that shows State.
type Await struct {
	State   string
	Timeout time.Duration
}

// A Trigger starts the flow from outside.
type Trigger struct {
	Kind  string      // webhook, schedule or whatsapp_message
	Event *call.Event // what starts the flow; nil for a schedule

	// Of a webhook.
	Path       string // in the form of the event's Subject
	Connection string // proves who sends the event; "": none
	Open       bool   // anybody may send the event
	Dedupe     *Value // over `event`; nil: none

	// Of a schedule.
	Cron     string
	Timezone string
	Schedule *Schedule // never nil
	Missed   string    // skip or once

	SenderPhoneID string // of a message; "": any

	When   *expr.Program
	Always bool
	Inputs *Value // over `event`
}

// Concurrency bounds how many runs of the flow are active at the same time.
type Concurrency struct {
	Key    *Value // nil: all runs count together
	Limit  int
	Reject bool // a run over the limit is rejected, instead of queued
}

// ConcurrencyKey returns the key under which a run counts towards the limit of the flow's
// concurrency; "" without a key or without concurrency.
func (p *Plan) ConcurrencyKey(inputs map[string]any, now time.Time) (string, error) {
	if p.Concurrency == nil || p.Concurrency.Key == nil {
		return "", nil
	}
	settings := p.Settings
	if settings == nil {
		settings = map[string]any{}
	}
	key, err := p.Concurrency.Key.Eval(expr.Vars{Values: expr.Map{"inputs": inputs, "settings": settings}, Now: now})
	if err != nil {
		return "", fmt.Errorf("concurrency: key: %w", err)
	}
	return fmt.Sprint(key), nil
}
