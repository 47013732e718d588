package machine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/flow/call"
)

// Unknown returns the keys of the calls that may have happened and of which nobody knows
// whether they did, in the order in which that became so. Receipts and settlements make
// them fewer, and nothing else does.
func (m *Machine) Unknown() []string { return slices.Clone(m.unknown) }

// Settlement is the event that says what became of the latest call of a step whose
// outcome is unknown. step is its path, or its id where that is clear; id is what the API
// calls what happened, "" when that is not known. It changes nothing: the host records
// the event and applies it. The error is a *SettleError.
func (m *Machine) Settlement(step string, happened bool, id string, at time.Time) (Event, error) {
	var named []*attempt
	var paths []string
	for _, key := range m.unknown {
		one := m.call(key)
		path := one.report.Path
		if path == step {
			named = append(named[:0], one)
		}
		if slices.Contains(paths, path) {
			continue
		}
		paths = append(paths, path)
		if one.report.ID == step && path != step {
			named = append(named, m.that(one.report, doubtful))
		}
	}
	if len(named) != 1 && !slices.Contains(paths, step) {
		return nil, &SettleError{Step: step, Several: len(named) > 1, Unknown: paths}
	}
	return Settled{At: at, Key: named[0].key, Happened: happened, ID: id}, nil
}

// A SettleError says that a step has no call whose outcome is unknown, or that its id
// fits several that have.
type SettleError struct {
	Step    string
	Several bool
	Unknown []string // the paths of all steps that have one
}

func (e *SettleError) Error() string {
	switch {
	case e.Several:
		return fmt.Sprintf("several steps %s have an outcome that is unknown: name one of %s", e.Step, strings.Join(e.Unknown, ", "))
	case len(e.Unknown) == 0:
		return fmt.Sprintf("the outcome of %s is not unknown, nor is any other of this run", e.Step)
	}
	return fmt.Sprintf("the outcome of %s is not unknown; in this run, that of %s is", e.Step, strings.Join(e.Unknown, ", "))
}

// settlement is the id of the receipt that a person's word makes.
const settlement = "settlement"

// receipt is what the event says, in the form of a receipt for an action.
func (e Settled) receipt(sig *call.Signature) call.Receipt {
	r := call.Receipt{Key: e.Key, ID: settlement, State: "sent"}
	if len(sig.States) > 0 {
		r.State = sig.States[0]
	}
	if e.ID != "" {
		r.Data = map[string]any{"message_id": e.ID}
	}
	if !e.Happened {
		r.State, r.Data = "failed", nil
		r.Error = &call.Error{Code: "not_sent", Class: "permanent", Message: "it did not happen: a person settled that"}
	}
	return r
}

// denial tells whether a receipt is a person's word that the call did not happen. Any
// other receipt knows better.
func denial(r call.Receipt) bool { return r.ID == settlement && r.Error != nil }

// settle goes on after a person said what became of a call. It counts as a receipt does,
// except that a call which was not made may be tried again.
func (m *Machine) settle(at *attempt, e Settled) {
	r, a := e.receipt(at.do.Signature), at.a
	if e.Happened || a == nil || a.phase == over {
		m.receive(at, r)
		return
	}
	m.weigh(at, r, "")
	if a.phase == settling && at == a.now {
		a.leave()
		a.refused(call.Outcome{Retryable: true})
	}
}
