package machine

import (
	"fmt"
	"strings"
	"time"
)

// Unknown returns the keys of the calls that may have happened and of which nobody knows
// whether they did, in the order in which that became so.
func (m *Machine) Unknown() []string { return nil }

// Consumed tells whether a wait of the run consumed the event of that id.
func (m *Machine) Consumed(eventID string) bool { return m.consumed[eventID] }

// Settlement is the event that says what became of the latest call of a step whose
// outcome is unknown. step is its path, or its id where that is clear; id is what the API
// calls what happened, "" when that is not known. The error is a *SettleError.
func (m *Machine) Settlement(step string, happened bool, id string, at time.Time) (Event, error) {
	return nil, &SettleError{Step: step}
}

// A SettleError says that a step has no call whose outcome is unknown, or that its name
// fits several that have.
type SettleError struct {
	Step    string
	Unknown []string // the paths of the steps that have one
}

func (e *SettleError) Error() string {
	if len(e.Unknown) == 0 {
		return fmt.Sprintf("step %s cannot be settled: no outcome of this run is unknown", e.Step)
	}
	return fmt.Sprintf("step %s cannot be settled: unknown is what became of %s", e.Step, strings.Join(e.Unknown, ", "))
}
