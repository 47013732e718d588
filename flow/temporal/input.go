package temporal

import (
	"time"

	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"
)

// Names that are stored on the server: they never change.
const (
	runType     = "facteur.run"
	eventType   = "facteur.event"
	mailboxType = "facteur.mailbox"
	lockType    = "facteur.lock"
	holdType    = "facteur.hold"
	runLockType = "facteur.errand" // the lock of Host.lockRun

	callActivity      = "facteur.call"
	beginActivity     = "facteur.begin" // a call that Prepares
	pastActivity      = "facteur.past"
	subscribeActivity = "facteur.subscribe"
	offerActivity     = "facteur.offer"
	fireActivity      = "facteur.fire"
	aliveActivity     = "facteur.alive"
	claimActivity     = "facteur.claim"

	reportQuery = "report"

	receiptsSignal = "receipts"
	arrivedSignal  = "arrived"
	cancelSignal   = "cancel"
	settledSignal  = "settled"
	liftedSignal   = "lifted"
	admittedSignal = "admitted"
)

// An input is the input of a run's workflow. It is stored: fields may be added; JSON names and
// meanings never change.
type input struct {
	Machine        int               `json:"machine"` // the version of its decisions
	Flow           string            `json:"flow"`
	Digest         string            `json:"digest"`
	Sources        map[string]string `json:"sources"`
	Start          stored.Record     `json:"start"`
	By             string            `json:"by,omitempty"`
	Past           bool              `json:"past,omitempty"`     // past receipts can be loaded
	Begins         bool              `json:"begins,omitempty"`   // calls that Prepare are made by beginActivity
	ChecksReceipts bool              `json:"looks,omitempty"`    // past receipts are loaded before a call is repeated that may have happened
	Lock           string            `json:"lock,omitempty"`     // the workflow id of its lock
	Queued         bool              `json:"queued,omitempty"`   // it begins when the lock admits it
	Rejected       bool              `json:"rejected,omitempty"` // it never begins
	Began          *time.Time        `json:"began,omitempty"`    // when it did, after it was queued
	Claim          string            `json:"claim,omitempty"`    // its name at the lock after a retry; "": its id
	AwaitsTurn     bool              `json:"turn,omitempty"`     // it was retried, and goes on when the lock admits it
	Unlocked       bool              `json:"free,omitempty"`     // it does not hold its lock, and needs not
	Reset          bool              `json:"reset,omitempty"`    // an operator reset it: it may have done more than is known
	Final          *record           `json:"over,omitempty"`     // its end, if it cannot be rebuilt: the workflow returns this at once
	Pages          []string          `json:"pages,omitempty"`    // the events of earlier executions: those on these pages …
	Events         []stored.Record   `json:"events,omitempty"`   // … and then these
}

// status returns the status of a run whose workflow starts with the input, as statusKey has it.
func (in *input) status() machine.Status {
	switch {
	case in.Rejected:
		return host.Rejected
	case in.Queued && in.Began == nil, in.AwaitsTurn:
		return host.Queued
	}
	return ""
}

// A record has the events of one execution of a run, and its end. It is the result of the
// workflow, and stored.
type record struct {
	Status machine.Status  `json:"status"`
	Began  *time.Time      `json:"began,omitempty"`
	Ended  time.Time       `json:"ended,omitzero"`
	Events []stored.Record `json:"events"`
	// Pages, if there are any, have all events of the run before Events, those of earlier
	// executions included.
	Pages []string `json:"pages,omitempty"`
}

// A reportRequest is the argument of reportQuery: which part of the report to return.
type reportRequest struct {
	Rest bool `json:"rest,omitempty"` // not the first part
	From int  `json:"from,omitempty"` // the first event to return
}

// A report is a part of the answer to reportQuery. Its Record has some of the events of all
// executions.
type report struct {
	Input  input      `json:"input"` // in the first part, without Events
	Record record     `json:"record"`
	Total  int        `json:"total"` // of events
	Held   []heldCall `json:"held,omitempty"`
}

// A heldCall is a call that was held, and will be tried again.
type heldCall struct {
	Key    string    `json:"key"`
	Step   string    `json:"step"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"` // when it will be tried again
	Hold   string    `json:"hold,omitempty"` // the host.Hold.Key, as in heldKey; "": no hold
}

// isCall reports whether the activity of that name makes a call.
func isCall(name string) bool { return name == callActivity || name == beginActivity }

// A callInput is the input of the activity that makes a call. It is stored.
type callInput struct {
	Flow   string      `json:"flow"`
	Call   stored.Call `json:"call"`
	Limits []rateLimit `json:"limits,omitempty"` // those that have no task queue
	// Execution is the workflow's execution that may make the call; "": any.
	Execution string `json:"execution,omitempty"`
}

// A rateLimit is a call.Limit in its stored form.
type rateLimit struct {
	Key   string  `json:"key"`
	Rate  float64 `json:"rate"`
	Burst int     `json:"burst"`
}

// A callResult is the result of the activity that makes a call. It is stored.
type callResult struct {
	Outcome  stored.Outcome `json:"outcome"`
	Hold     string         `json:"hold,omitempty"` // of a Held outcome: the host.Hold.Key
	TimedOut bool           `json:"late,omitempty"` // the call's time-out passed
}
