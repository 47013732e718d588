package host

import (
	"context"
	"fmt"
	"slices"
	"time"

	"facteur/flow/call"
	"facteur/flow/machine"
	"facteur/flow/plan"
)

// A Review is what shows of a run while a host applies its stored events anew: the calls
// that it made, and what it wants now. Its zero value is ready to use.
type Review struct {
	asked  map[string]Call
	calls  map[string]*Call // by key, of those that were taken up
	taken  []string
	wanted []machine.Command
}

// maxWanted is how many commands are kept before those that are done are dropped.
const maxWanted = 1000

// Before notes an event that is about to be applied.
func (v *Review) Before(m *machine.Machine, event machine.Event) {
	v.look(m)
	switch e := event.(type) {
	case machine.Taken:
		if v.calls == nil {
			v.calls = map[string]*Call{}
		}
		c := v.asked[e.Key]
		c.Taken = e.At
		v.calls[e.Key] = &c
		v.taken = append(v.taken, e.Key)
	case machine.Answered:
		if c := v.calls[e.Key]; c != nil {
			c.Outcome = &e.Outcome
		}
	case machine.Received:
		if c := v.calls[e.Receipt.Key]; c != nil {
			c.Receipts = append(c.Receipts, e.Receipt)
		}
	case machine.Settled:
		if c := v.calls[e.Key]; c != nil {
			c.Settled = &Settlement{Happened: e.Happened, ID: e.ID}
		}
	}
}

func (v *Review) look(m *machine.Machine) {
	for _, c := range m.Next() {
		if c, ok := c.(*machine.Call); ok {
			if v.asked == nil {
				v.asked = map[string]Call{}
			}
			v.asked[c.Key] = Call{Call: c.Call, Wanted: m.Now()}
		}
		v.wanted = append(v.wanted, c)
	}
	if len(v.wanted) > maxWanted {
		v.wanted = v.Wanted(m)
	}
}

// End comes after the last event. It adds the receipts that came and that the run was not
// told of, because it did not wait for them; see Past.Of.
func (v *Review) End(ctx context.Context, started time.Time, m *machine.Machine, past Past) error {
	v.look(m)
	came, err := past.Of(ctx, started, v.taken...)
	if err != nil {
		return err
	}
	going := map[string]bool{} // keys of steps that go on
	for _, s := range m.Steps() {
		if s.Status == machine.Running {
			for _, key := range s.Keys {
				going[key] = true
			}
		}
	}
	for _, r := range came {
		c := v.calls[r.Key]
		if r.ID != "" && slices.ContainsFunc(c.Receipts, func(known call.Receipt) bool { return known.ID == r.ID }) {
			continue
		}
		answered, settled := c.Outcome != nil && c.Outcome.Status != call.Unknown, c.Settled != nil && c.Settled.Happened
		if r.State == call.Accepted && (answered || settled) {
			continue // that is known
		}
		c.Receipts = append(c.Receipts, r)
		if going[r.Key] {
			continue // it would go on here, and not there
		}
		if err := m.Apply(machine.Received{At: m.Now(), Receipt: r}); err != nil {
			return err
		}
	}
	return nil
}

// Calls returns the calls that were taken up, in that order.
func (v *Review) Calls() []Call {
	var out []Call
	for _, key := range v.taken {
		out = append(out, *v.calls[key])
	}
	return out
}

// Taken tells whether a call was taken up.
func (v *Review) Taken(key string) bool { return v.calls[key] != nil }

// Wanted returns the commands that the run still wants done.
func (v *Review) Wanted(m *machine.Machine) []machine.Command {
	return slices.DeleteFunc(v.wanted, func(c machine.Command) bool { return !m.Wants(c) })
}

// Wait says what a command waits for, for people; "" for one that waits for nothing.
func Wait(m *machine.Machine, c machine.Command) string {
	switch c := c.(type) {
	case machine.Sleep:
		return "the time " + c.Until.UTC().Format(time.RFC3339)
	case machine.Await:
		return fmt.Sprintf("%s from %s", c.Event, c.Subject)
	case machine.Watch:
		return "news of " + stepOf(m, c.Key)
	}
	return ""
}

func stepOf(m *machine.Machine, key string) string {
	for _, s := range m.Steps() {
		if slices.Contains(s.Keys, key) {
			return s.Path
		}
	}
	return key
}

// ResultOf returns how far a run came.
func ResultOf(m *machine.Machine, run, flow string, started time.Time) *Result {
	out := &Result{
		Run: run, Flow: flow, Result: machine.Result{Status: machine.Running}, Started: started, Ended: m.Now(),
		Steps: m.Steps(), Sensitive: known(m.Sensitive()),
	}
	if end := m.Result(); end != nil {
		out.Result = *end
	}
	return out
}

// SensitiveInputs returns what is to be masked of a run that has not begun, or never will,
// as Result.Sensitive. start is as it was stored.
func SensitiveInputs(p *plan.Plan, start machine.Start) []any {
	if coerced, found := p.Inputs.Coerce(start.Inputs); found.Err() == nil {
		start.Inputs, _ = coerced.(map[string]any)
	}
	return known(machine.New(p, start).Sensitive())
}

// known is a list of sensitive values that is not nil.
func known(sensitive []any) []any {
	if sensitive == nil {
		return []any{}
	}
	return sensitive
}
