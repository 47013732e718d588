package host

import (
	"crypto/rand"
	"fmt"

	"facteur/flow/call"
)

// UnknownOutcome is the outcome of a call that may have happened.
func UnknownOutcome(message string) call.Outcome {
	return call.Outcome{Status: call.Unknown, Error: &call.Error{Code: "outcome_unknown", Class: "unknown", Message: message}}
}

// BrokenOutcome is the outcome of a call whose action panicked.
func BrokenOutcome(action string, repeatable bool) call.Outcome {
	o := UnknownOutcome(fmt.Sprintf("%s crashed, and it is not known whether the call happened: this is a bug in the program", action))
	if repeatable {
		o.Status, o.Retryable, o.Error.Code = call.Failed, true, "broken"
	}
	return o
}

// HeldOutcome is the outcome of a call that was certainly not made, and is made again once nothing
// holds it back.
func HeldOutcome(code, message string) call.Outcome {
	return call.Outcome{Status: call.Failed, Held: true, Retryable: true, Error: &call.Error{Code: code, Class: "held", Message: message}}
}

// StoppedOutcome is the outcome of a call that was certainly not made because the daemon stops.
func StoppedOutcome() call.Outcome {
	return HeldOutcome("not_started", "the daemon that should make it is stopping")
}

// NewSeed returns a random seed for the random numbers of a run.
func NewSeed() []byte {
	seed := make([]byte, 32)
	_, _ = rand.Read(seed) // never fails
	return seed
}
