package machine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/flow/call"
)

// Unknown returns the keys of the calls whose outcome is unknown, in the order in which they
// became so. Only a receipt or a settlement takes one out.
func (m *Machine) Unknown() []string { return slices.Clone(m.unknown) }

// Settlement returns the event that settles the latest unknown call of a step: it happened,
// or it did not. step is the step's path, or its id if only one step of that id has an
// unknown call; id is the API's id of the result, "" when that is not known. It changes
// nothing: the host records the event and applies it. The error is a *SettleError.
func (m *Machine) Settlement(step string, happened bool, id string, at time.Time) (Event, error) {
	var named []*attempt
	var paths []string
	for _, key := range m.unknown {
		at := m.call(key)
		path := at.report.Path
		if path == step {
			named = append(named[:0], at)
		}
		if slices.Contains(paths, path) {
			continue
		}
		paths = append(paths, path)
		if at.report.ID == step && path != step {
			named = append(named, m.latest(at.report, effectUnknown))
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
		return fmt.Sprintf("several steps %s have an unknown outcome: name one of %s", e.Step, strings.Join(e.Unknown, ", "))
	case len(e.Unknown) == 0:
		return fmt.Sprintf("the outcome of %s is known, as are all others of this run", e.Step)
	}
	return fmt.Sprintf("the outcome of %s is known; in this run, that of %s is unknown", e.Step, strings.Join(e.Unknown, ", "))
}

// settlementID is the id of a receipt that stands for a settlement.
const settlementID = "settlement"

// receipt returns the settlement as a receipt, which is how actions take it.
func (e Settled) receipt(sig *call.Signature) call.Receipt {
	r := call.Receipt{Key: e.Key, ID: settlementID, State: "sent"}
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

// isDenial reports whether a receipt is a person's settlement that the call did not happen.
// Any real receipt overrules it.
func isDenial(r call.Receipt) bool { return r.ID == settlementID && r.Error != nil }

// settle handles a settlement. It counts as a receipt does, except that a call which was not
// made may be retried.
func (m *Machine) settle(at *attempt, e Settled) {
	r, a := e.receipt(at.do.Signature), at.run
	if e.Happened || a == nil || a.phase == over {
		m.receive(at, r)
		return
	}
	m.applyReceipt(at, r, "")
	if a.phase == settling && at == a.latest {
		a.release()
		a.onFailed(call.Outcome{Retryable: true})
	}
}
