package machine

import (
	"time"

	"facteur/flow/call"
)

// Start is how a run begins; it is the first record of its journal.
type Start struct {
	Run    string         // random id
	At     time.Time      // when it was accepted
	Inputs map[string]any // coerced by the plan's Inputs
	Seed   []byte         // 32 secret bytes: random(), uuid() and jitter come from them
	// Receipts tells whether receipts can reach the run. Without them an unknown
	// outcome stays unknown at once.
	Receipts bool
	// Gaps says that a call leaves out a number before its own if news may come of an earlier
	// one of its step. So nobody who knows nothing of the earlier one, because a backup does
	// not have it, takes the news of both for those of two steps.
	Gaps bool
	// Random are the integers that random() returns first, in order; for tests.
	Random []int64
}

// An Event is something that happened to a run. Hosts record each one, in the order in
// which they Apply it, before they perform what follows from it or tell anybody.
type Event interface {
	// Time is when the host saw it.
	Time() time.Time
}

type (
	// Taken says that the host took up a call: from here on it may have happened.
	Taken struct {
		At  time.Time
		Key string
		// Print identifies what is called, so that a replay that would call something
		// else is noticed.
		Print string
	}
	// Answered brings the one outcome of a call that was taken up. One that is Held was
	// not tried: the run asks for the call again at once, under a new key, and the host
	// takes that up when the surroundings are ready. A host that does not wait clears
	// Held, which makes it a failure that may be retried.
	Answered struct {
		At      time.Time
		Key     string
		Outcome call.Outcome
	}
	// Received brings a receipt. It may come at any time after Taken, also before
	// Answered and after the run's end; before Taken, when the journal was restored
	// from a backup.
	Received struct {
		At      time.Time
		Receipt call.Receipt
	}
	// Fired says that the time of a Sleep has come.
	Fired struct {
		At    time.Time
		Timer int
	}
	// Arrived brings an event for an Await.
	Arrived struct {
		At    time.Time
		Await int
		ID    string // of the event; a run consumes each once
		Data  map[string]any
	}
	// CancelRequested asks the run to end.
	CancelRequested struct {
		At     time.Time
		Reason string
	}
	// Retried makes a run go on that failed or was cancelled; see Machine.Retryable.
	Retried struct {
		At     time.Time
		Resend bool // also what may have happened is done again
	}
	// Settled is what a person says of a call whose outcome is unknown; make one with
	// Machine.Settlement.
	Settled struct {
		At       time.Time
		Key      string
		Happened bool
		ID       string // what the API calls what happened, "" when that is not known
	}
)

// Time returns when the host saw the event.
func (e Taken) Time() time.Time { return e.At }

// Time returns when the host saw the event.
func (e Answered) Time() time.Time { return e.At }

// Time returns when the host saw the event.
func (e Received) Time() time.Time { return e.At }

// Time returns when the host saw the event.
func (e Fired) Time() time.Time { return e.At }

// Time returns when the host saw the event.
func (e Arrived) Time() time.Time { return e.At }

// Time returns when the host saw the event.
func (e CancelRequested) Time() time.Time { return e.At }

// Time returns when the host saw the event.
func (e Retried) Time() time.Time { return e.At }

// Time returns when the host saw the event.
func (e Settled) Time() time.Time { return e.At }

// A Command is something that the run wants done.
type Command interface{ command() }

type (
	// Call asks for one call. The host passes its limits, records Taken, performs the
	// call, and records Answered, exactly once.
	Call struct {
		call.Call
		Limits []call.Limit
		// Prepares: the call says by call.Call.Begin when Taken has to be recorded. The host may
		// do that before, as for other calls.
		Prepares bool
		// Repeatable: making the call twice is harmless.
		Repeatable bool
		Print      string // for Taken
		// InFlight says that an earlier host took the call up and never recorded an
		// outcome. It may be made again only if it is Repeatable or provably was not
		// started; otherwise its outcome is Unknown.
		InFlight bool
		// Doubtful are the earlier calls of the step that may have happened after all. Where
		// receipts may be there that the run was not told of, the host looks for those of these
		// calls before it takes this one up, and not before they can be had.
		Doubtful []string
	}
	// Cancel asks to end a call, because its time-out or that of the flow has passed, or
	// because it need not be made any more. One that was not taken up is forgotten,
	// without an outcome; one that was still gets exactly one.
	Cancel struct{ Key string }
	// Sleep asks for Fired at a time. A timer that the run no longer needs may fire
	// all the same.
	Sleep struct {
		Timer int
		Until time.Time
	}
	// Await asks for each event of a kind and subject that came since a time, and for
	// those to come, oldest first, until the run needs no more of them.
	Await struct {
		ID         int
		Event      string
		Subject    string
		Connection string
		Since      time.Time
	}
	// Watch asks for the receipts of a call, past ones included.
	Watch struct{ Key string }
)

func (*Call) command()  {}
func (Cancel) command() {}
func (Sleep) command()  {}
func (Await) command()  {}
func (Watch) command()  {}
