// Package host holds what every host of runs speaks of: the clock that it lives by,
// events from outside, and what it reports of a run. A host performs what package
// machine decides; see machine.Machine for the law that it must obey.
package host

import (
	"time"

	"facteur/flow/machine"
	"facteur/flow/plan"
)

// An Event comes from outside, for runs that wait for it.
type Event struct {
	ID         string // a repeated one is dropped
	Name       string // its kind, e.g. "whatsapp.message"
	Subject    string // whose event it is, in the form of the kind's Subject
	Connection string // which connection it came through, "" when that is not known
	At         time.Time
	Data       map[string]any
}

// A Result is how a run ended, and what became of its steps.
type Result struct {
	Run  string
	Flow string
	machine.Result
	Started, Ended time.Time
	Steps          []*machine.Step
	Branches       map[plan.Branch]bool
	// Sensitive are the values to mask wherever people see the result, except the
	// outputs that a caller is given.
	Sensitive []any
}

// A StuckError says that a run waits for something that cannot come.
type StuckError struct{ Waits []string }

func (e *StuckError) Error() string {
	what := "something"
	if len(e.Waits) > 0 {
		what = e.Waits[0]
	}
	return "the run waits for " + what + ", and nothing more comes"
}
