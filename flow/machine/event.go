package machine

import (
	"time"

	"facteur/flow/call"
)

// Start is what a run is given at its start; it is the first record of its journal.
type Start struct {
	Run    string         // random id
	At     time.Time      // when it was accepted
	Inputs map[string]any // coerced by the plan's Inputs
	Seed   []byte         // 32 secret bytes: random(), uuid() and jitter come from them
	// Receipts tells whether receipts can reach the run. Without them the run does not
	// wait for one that would settle an unknown outcome.
	Receipts bool
	// Gaps makes a call leave out one number before its own if receipts may still come for
	// an earlier call of its step. A host that was restored from a backup without the
	// earlier call then sees from the gap that both receipts are of one step.
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
		// Fingerprint is the call's: a replay that would make another call is a
		// MismatchError.
		Fingerprint string
	}
	// Answered brings the one outcome of a call that was taken up. An outcome that is Held
	// means that the call was not tried, as the vault or the connection was not ready: the
	// run asks for it again at once, under a new key, and the host takes that up when they
	// are. A host that does not wait clears Held, which makes it a failure that may be
	// retried.
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
		Resend bool // repeat also calls whose outcome is unknown
	}
	// Settled is a person's decision on a call whose outcome is unknown; make one with
	// Machine.Settlement.
	Settled struct {
		At       time.Time
		Key      string
		Happened bool
		ID       string // the API's id of the result, e.g. a message id; "" when that is not known
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
		// Prepares: Taken need not be recorded before call.Call.Begin is called. The host may
		// record it earlier, as for other calls.
		Prepares bool
		// Repeatable: making the call twice is harmless.
		Repeatable  bool
		Fingerprint string // for Taken
		// InFlight says that the call was taken up, by a host that stopped before it recorded
		// an outcome. It may be made again only if it is Repeatable or provably was not
		// started; otherwise its outcome is Unknown.
		InFlight bool
		// Doubtful are the keys of earlier calls of the step that may have happened after all.
		// A host that may have receipts which the run has not received looks for those of these
		// calls before it takes this one up, and waits until it can.
		Doubtful []string
	}
	// Cancel asks to end a call, because its time-out or that of the flow has passed, or
	// because it need not be made any more. A call that was not taken up is forgotten
	// without an outcome; one that was taken up still gets exactly one.
	Cancel struct{ Key string }
	// Sleep asks for Fired at a time. Firing a timer that the run has stopped is harmless.
	Sleep struct {
		Timer int
		Until time.Time
	}
	// Await asks for the events of a kind and subject: those that came since a time, and
	// those to come, oldest first, until the run no longer wants them (see Machine.Wants).
	Await struct {
		ID         int
		Event      string
		Subject    string
		Connection string
		Since      time.Time
	}
	// Watch asks for the receipts of a call, including those that came already.
	Watch struct{ Key string }
)

func (*Call) command()  {}
func (Cancel) command() {}
func (Sleep) command()  {}
func (Await) command()  {}
func (Watch) command()  {}
