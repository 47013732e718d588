package host

import (
	"crypto/rand"
	"fmt"

	"facteur/flow/call"
)

// UnknownOutcome is that of a call of which nobody knows whether it happened.
func UnknownOutcome(message string) call.Outcome {
	return call.Outcome{Status: call.Unknown, Error: &call.Error{Code: "outcome_unknown", Class: "unknown", Message: message}}
}

// BrokenOutcome is that of a call which ended in a fault of the program.
func BrokenOutcome(action string, repeatable bool) call.Outcome {
	o := UnknownOutcome(fmt.Sprintf("%s broke while it ran, and whether the call happened is not known: this is a fault of the program", action))
	if repeatable {
		o.Status, o.Retryable, o.Error.Code = call.Failed, true, "broken"
	}
	return o
}

// HeldOutcome is that of a call which was surely not made, and is once nothing holds it back.
func HeldOutcome(code, message string) call.Outcome {
	return call.Outcome{Status: call.Failed, Held: true, Retryable: true, Error: &call.Error{Code: code, Class: "held", Message: message}}
}

// StoppedOutcome is that of a call which was surely not made, because its daemon stops.
func StoppedOutcome() call.Outcome {
	return HeldOutcome("not_started", "the daemon that should make it stops")
}

// NewSeed draws the seed of a run, of which its random numbers are made.
func NewSeed() []byte {
	seed := make([]byte, 32)
	_, _ = rand.Read(seed) // never fails
	return seed
}
