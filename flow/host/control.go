package host

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/flow/call"
	"facteur/flow/machine"
)

// Retry returns the event that makes a failed run go on; see Host.Retry.
func Retry(m *machine.Machine, run string, resend bool, at time.Time) (machine.Event, error) {
	if m.Result() == nil {
		return nil, &StateError{Run: run, Reason: "it has not ended, or it never started", Hint: "cancel it or wait for its end; if it never started, start it again with rerun"}
	}
	err := m.Retryable(resend)
	if refused, ok := errors.AsType[*machine.RetryError](err); ok {
		out := &StateError{Run: run, Reason: refused.Reason}
		if len(refused.Unknown) > 0 {
			out.Hint = fmt.Sprintf("settle %s first, or retry with resend, which may do it twice", strings.Join(refused.Unknown, ", "))
		}
		return nil, out
	}
	return machine.Retried{At: at, Resend: resend}, err
}

// RejectedError is the error of a Rejected run.
func RejectedError() *call.Error {
	return &call.Error{Code: "rejected", Class: "flow", Message: "the flow had reached the limit of its concurrency"}
}

// MismatchError is the error of a run that is a Mismatch.
func MismatchError(err error) *call.Error {
	return &call.Error{Code: string(Mismatch), Class: "flow", Message: err.Error()}
}

// ConcurrencyReached says that a run cannot be retried now: as many runs of its flow as its
// `concurrency` allows are active, and its on_conflict is reject.
func ConcurrencyReached(run string) *StateError {
	return &StateError{
		Run: run, Reason: "its flow has reached the limit of its concurrency",
		Hint: "try again when one of the active runs has ended",
	}
}

// Settle returns the event that tells the outcome of an unknown call; see Host.Settle.
func Settle(m *machine.Machine, run, step string, s Settlement, at time.Time) (machine.Event, error) {
	event, err := m.Settlement(step, s.Happened, s.ID, at)
	if refused, ok := errors.AsType[*machine.SettleError](err); ok {
		if !slices.ContainsFunc(m.Steps(), func(s *machine.Step) bool { return MatchesStep(step, s.Path) }) {
			return nil, &NotFoundError{What: fmt.Sprintf("step %s in the run %s", step, run)}
		}
		return nil, &StateError{Run: run, Reason: refused.Error()}
	}
	return event, err
}

// MatchesStep tells whether name is a step's path, or the id at the path's end.
func MatchesStep(name, path string) bool {
	return name == path || name == path[strings.LastIndexAny(path, "./")+1:]
}
