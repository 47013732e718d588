// Package flow is the syntax of the language: it parses a YAML file to a *Flow in which every
// name, value and expression has its position in the file.
//
// It knows the keys and shapes of the language and the traps of YAML, but no types: what an
// expression means and whether an action exists is checked by package plan. Use Parse, then
// plan.Compile.
package flow

import (
	"time"

	"facteur/flow/diag"
	"facteur/flow/schema"
)

// A Flow is a parsed file. A part for which Parse reported an error may be missing (nil, zero
// or empty), even if its comment says that it is required.
type Flow struct {
	Source      *diag.Source
	Name        diag.Text
	Description string
	Inputs      []*Input
	Steps       []*Step
	Outputs     []Binding
	OnFailure   []*Step
	Triggers    []*Trigger
	Timeout     *Duration // of the run
	Concurrency *Concurrency
}

// An Input is one declared input of a flow.
type Input struct {
	Name  diag.Text
	Field *schema.Field // Sensitive included
}

// A Binding is a named value.
type Binding struct {
	Name  diag.Text
	Value *Node
}

// A Duration is a literal duration and its position.
type Duration struct {
	Value time.Duration
	Range diag.Range
}

// A Step is one entry of a list of steps.
type Step struct {
	Range        diag.Range // of its first key
	ID           diag.Text  // Value "" without one
	Description  string
	If           *diag.Text // bare CEL
	AllowFailure bool
	Sensitive    bool
	Do           Construct // nil if the file does not say; Parse then reported it
}

// A Construct is what a step does: one of the types below.
type Construct interface {
	// Kind is the key that names the construct, e.g. "foreach".
	Kind() string
}

type (
	// Action performs an action of the catalogue.
	Action struct {
		Name           diag.Text
		Connection     *diag.Text // nil without one
		With           *Node      // nil without one
		WithRange      diag.Range // of the `with` key, or of the name
		Retry          *Retry
		Timeout        *Duration
		Await          *Await
		OnUnknown      string // "fail" (the default) or "resend"
		UnknownTimeout *Duration
		Idempotent     bool
	}

	// Set gives values to variables.
	Set struct{ Values []Binding }

	// Switch runs the steps of the first case that holds.
	Switch struct {
		Cases      []Case
		Default    []*Step
		HasDefault bool
	}

	// Foreach runs steps for each item of a list.
	Foreach struct {
		Items       *Node // an expression or a literal list
		As          diag.Text
		Concurrency int // at least 1
		Steps       []*Step
		Collect     *Node // nil: nothing is collected
	}

	// Parallel runs branches at the same time.
	Parallel struct{ Branches []Branch }

	// Try runs steps, handles their failure, and runs the steps of Finally whatever came.
	Try struct {
		Steps   []*Step
		Catch   []Case
		Finally []*Step
	}

	// Wait pauses the run for a duration, or until a time.
	Wait struct {
		For   *Node // exactly one of the two
		Until *Node
	}

	// WaitFor pauses the run until an event comes.
	WaitFor struct {
		Event      diag.Text
		From       *Node
		Path       *Node
		Connection *diag.Text
		When       *diag.Text // bare CEL
		Timeout    *Node      // nil: none
		Until      *Node      // nil: none; at most one of the two is set
		// OnTimeout is "fail", "continue" or "steps" (then Steps holds them).
		OnTimeout string
		Steps     []*Step
		Range     diag.Range
	}

	// Call runs another flow, inline, with a scope of its own.
	Call struct {
		Flow      diag.Text
		With      *Node
		WithRange diag.Range
	}

	// Return ends the flow with values for some of its outputs.
	Return struct{ Values []Binding }

	// Fail ends the flow, or the enclosing try, with an error.
	Fail struct{ Code, Message *Node }
)

// The kinds of construct.
func (*Action) Kind() string   { return "action" }
func (*Set) Kind() string      { return "set" }
func (*Switch) Kind() string   { return "switch" }
func (*Foreach) Kind() string  { return "foreach" }
func (*Parallel) Kind() string { return "parallel" }
func (*Try) Kind() string      { return "try" }
func (*WaitFor) Kind() string  { return "wait_for" }
func (*Call) Kind() string     { return "call" }
func (*Return) Kind() string   { return "return" }
func (*Fail) Kind() string     { return "fail" }

// Kind is "wait" or "wait_until".
func (w *Wait) Kind() string {
	if w.Until != nil {
		return "wait_until"
	}
	return "wait"
}

// A Case is a condition and the steps that run if it holds. In `catch`, When may be nil.
type Case struct {
	When  *diag.Text
	Steps []*Step
}

// A Branch is a named list of steps of a parallel.
type Branch struct {
	Name  diag.Text
	Steps []*Step
}

// Retry says how often and when a failed call is attempted again.
type Retry struct {
	Attempts int // in all; default 3
	Delay    time.Duration
	Factor   float64
	MaxDelay time.Duration
	When     *diag.Text // bare CEL over `error`, narrows what the action says; nil: it decides alone
}

// Await waits for a receipt after the answer.
type Await struct {
	State   diag.Text
	Timeout time.Duration
	Range   diag.Range
}

// A Trigger starts the flow from outside. Exactly one of Webhook, Schedule and Message is set.
type Trigger struct {
	Range    diag.Range
	Webhook  *WebhookTrigger
	Schedule *ScheduleTrigger
	Message  *MessageTrigger
	Inputs   []Binding
}

type (
	// WebhookTrigger starts a run for each request on a path of the daemon.
	WebhookTrigger struct {
		Path       diag.Text
		Connection *diag.Text
		When       *diag.Text // bare CEL over `event`
		Dedupe     *Node
		Always     bool
	}
	// ScheduleTrigger starts a run at the times of a cron expression.
	ScheduleTrigger struct {
		Cron, Timezone diag.Text
		Missed         string // "skip" (the default) or "once"
	}
	// MessageTrigger starts a run for each inbound WhatsApp message.
	MessageTrigger struct {
		SenderPhoneID *diag.Text
		When          *diag.Text // bare CEL over `event`
		Always        bool
	}
)

// Concurrency bounds how many runs of the flow are active at the same time.
type Concurrency struct {
	Key        *Node // nil: all runs count together
	Limit      int
	OnConflict string // "queue" (the default) or "reject"
}
