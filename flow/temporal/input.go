package temporal

import (
	"time"

	"facteur/flow/machine"
	"facteur/flow/machine/stored"
)

// The names by which the server knows what is ours. They never change.
const (
	runType     = "facteur.run"
	eventType   = "facteur.event"
	mailboxType = "facteur.mailbox"
	lockType    = "facteur.lock"
	holdType    = "facteur.hold"
	errandType  = "facteur.errand" // that it is there keeps others from one

	callActivity      = "facteur.call"
	beginActivity     = "facteur.begin" // a call that says itself when it begins
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

// An input is what a run begins with. It is stored: fields may be added; names and
// meanings never change.
type input struct {
	Machine  int               `json:"machine"` // the version of its decisions
	Flow     string            `json:"flow"`
	Digest   string            `json:"digest"`
	Sources  map[string]string `json:"sources"`
	Start    stored.Record     `json:"start"`
	By       string            `json:"by,omitempty"`
	Past     bool              `json:"past,omitempty"`     // receipts that came before can be had
	Begins   bool              `json:"begins,omitempty"`   // its calls that prepare themselves are made by beginActivity
	Looks    bool              `json:"looks,omitempty"`    // it looks for past receipts before it makes a call again that may have happened
	Lock     string            `json:"lock,omitempty"`     // the workflow that bounds how many go on
	Queued   bool              `json:"queued,omitempty"`   // it begins when the lock says so
	Rejected bool              `json:"rejected,omitempty"` // it never begins
	Began    *time.Time        `json:"began,omitempty"`    // when it did, after it was queued
	Claim    string            `json:"claim,omitempty"`    // by which the lock knows it, after a retry; "": by its id
	Turn     bool              `json:"turn,omitempty"`     // it was retried, and goes on when the lock says so
	Free     bool              `json:"free,omitempty"`     // it has no place there, and needs none
	Reset    bool              `json:"reset,omitempty"`    // an operator reset it: what it did is not certain
	Over     *record           `json:"over,omitempty"`     // it has ended so, and cannot be rebuilt: it only holds what is known of it
	Pages    []string          `json:"pages,omitempty"`    // what happened in earlier executions: what is on these …
	Events   []stored.Record   `json:"events,omitempty"`   // … and then this
}

// A record is what happened to a run in one execution, and, once it has ended, how. It is
// the workflow's result.
type record struct {
	Status machine.Status  `json:"status"`
	Began  *time.Time      `json:"began,omitempty"`
	Ended  time.Time       `json:"ended,omitzero"`
	Events []stored.Record `json:"events"`
	// Pages, if there are any, hold all that happened to the run from its beginning, up to
	// Events.
	Pages []string `json:"pages,omitempty"`
}

// asked says which part of its report a run is asked for.
type asked struct {
	Rest bool `json:"rest,omitempty"` // a further part
	From int  `json:"from,omitempty"` // events before that are known
}

// A report is what a run that goes on tells of itself, in as many parts as it takes. Its
// Record has the events of one part, of all executions.
type report struct {
	Input  input      `json:"input"` // in the first part; without events
	Record record     `json:"record"`
	Total  int        `json:"total"` // of events
	Held   []heldCall `json:"held,omitempty"`
}

// A heldCall is a call that was not made, because something keeps it.
type heldCall struct {
	Key    string    `json:"key"`
	Step   string    `json:"step"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"` // when it is tried again
	Hold   string    `json:"hold,omitempty"` // what keeps it, as in FacteurHeld
}

// isCall tells whether an activity makes a call.
func isCall(name string) bool { return name == callActivity || name == beginActivity }

// A job is what the activity that makes a call is given.
type job struct {
	Flow   string      `json:"flow"`
	Call   stored.Call `json:"call"`
	Limits []rate      `json:"limits,omitempty"` // those that this worker keeps
	// Execution is that of the workflow which may make the call; "": any.
	Execution string `json:"execution,omitempty"`
}

// A rate is a limit that a worker keeps.
type rate struct {
	Key   string  `json:"key"`
	Rate  float64 `json:"rate"`
	Burst int     `json:"burst"`
}

// An answer is what became of a job.
type answer struct {
	Outcome stored.Outcome `json:"outcome"`
	Hold    string         `json:"hold,omitempty"` // of Held: what keeps the call
	Late    bool           `json:"late,omitempty"` // its time-out passed before
}
