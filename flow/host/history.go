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

// A CallHistory collects, while a host replays the events of a run, the calls that the run made and
// the commands that it wants now. Its zero value is ready to use.
type CallHistory struct {
	wanted   map[string]Call
	calls    map[string]*Call // those that were taken up, by key
	order    []string
	commands []machine.Command
}

// maxCommands is how many commands are kept before those that are done are dropped.
const maxCommands = 1000

// Observe is called before each event is applied.
func (h *CallHistory) Observe(m *machine.Machine, event machine.Event) {
	h.collect(m)
	switch e := event.(type) {
	case machine.Taken:
		if h.calls == nil {
			h.calls = map[string]*Call{}
		}
		c := h.wanted[e.Key]
		c.Taken = e.At
		h.calls[e.Key] = &c
		h.order = append(h.order, e.Key)
	case machine.Answered:
		if c := h.calls[e.Key]; c != nil {
			c.Outcome = &e.Outcome
		}
	case machine.Received:
		if c := h.calls[e.Receipt.Key]; c != nil {
			c.Receipts = append(c.Receipts, e.Receipt)
		}
	case machine.Settled:
		if c := h.calls[e.Key]; c != nil {
			c.Settled = &Settlement{Happened: e.Happened, ID: e.ID}
		}
	}
}

func (h *CallHistory) collect(m *machine.Machine) {
	for _, c := range m.Next() {
		if c, ok := c.(*machine.Call); ok {
			if h.wanted == nil {
				h.wanted = map[string]Call{}
			}
			h.wanted[c.Key] = Call{Call: c.Call, Wanted: m.Now()}
		}
		h.commands = append(h.commands, c)
	}
	if len(h.commands) > maxCommands {
		h.commands = h.Wanted(m)
	}
}

// Finish is called after the last event. It adds the receipts that the run does not have because it
// did not wait for them; see PastReceipts.Read.
func (h *CallHistory) Finish(ctx context.Context, started time.Time, m *machine.Machine, past PastReceipts) error {
	h.collect(m)
	receipts, err := past.Read(ctx, started, h.order...)
	if err != nil {
		return err
	}
	running := map[string]bool{} // keys of running steps
	for _, s := range m.Steps() {
		if s.Status == machine.Running {
			for _, key := range s.Keys {
				running[key] = true
			}
		}
	}
	for _, r := range receipts {
		c := h.calls[r.Key]
		if r.ID != "" && slices.ContainsFunc(c.Receipts, func(known call.Receipt) bool { return known.ID == r.ID }) {
			continue
		}
		answered, settled := c.Outcome != nil && c.Outcome.Status != call.Unknown, c.Settled != nil && c.Settled.Happened
		if r.State == call.Accepted && (answered || settled) {
			continue // that is known
		}
		c.Receipts = append(c.Receipts, r)
		if running[r.Key] {
			continue // applying it would make this machine go on, and the run itself did not
		}
		if err := m.Apply(machine.Received{At: m.Now(), Receipt: r}); err != nil {
			return err
		}
	}
	return nil
}

// Calls returns the calls that were taken up, in that order.
func (h *CallHistory) Calls() []Call {
	var out []Call
	for _, key := range h.order {
		out = append(out, *h.calls[key])
	}
	return out
}

// Taken tells whether a call was taken up.
func (h *CallHistory) Taken(key string) bool { return h.calls[key] != nil }

// Wanted returns the commands that the run still wants executed.
func (h *CallHistory) Wanted(m *machine.Machine) []machine.Command {
	return slices.DeleteFunc(h.commands, func(c machine.Command) bool { return !m.Wants(c) })
}

// Wait describes for people what a command waits for, "" for nothing.
func Wait(m *machine.Machine, c machine.Command) string {
	switch c := c.(type) {
	case machine.Sleep:
		return c.Until.UTC().Format(time.RFC3339)
	case machine.Await:
		return fmt.Sprintf("%s from %s", c.Event, c.Subject)
	case machine.Watch:
		return "the receipt of " + stepOf(m, c.Key)
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

// ResultOf returns the result of a run so far.
func ResultOf(m *machine.Machine, run, flow string, started time.Time) *Result {
	out := &Result{
		Run: run, Flow: flow, Result: machine.Result{Status: machine.Running}, Started: started, Ended: m.Now(),
		Steps: m.Steps(), Sensitive: notNil(m.Sensitive()),
	}
	if end := m.Result(); end != nil {
		out.Result = *end
	}
	return out
}

// SensitiveInputs returns the Result.Sensitive of a run that has not begun, or never will. start is
// as it was stored.
func SensitiveInputs(p *plan.Plan, start machine.Start) []any {
	if coerced, found := p.Inputs.Coerce(start.Inputs); found.Err() == nil {
		start.Inputs, _ = coerced.(map[string]any)
	}
	return notNil(machine.New(p, start).Sensitive())
}

// notNil returns an empty list for a nil one: nil means that nothing is known.
func notNil(sensitive []any) []any {
	if sensitive == nil {
		return []any{}
	}
	return sensitive
}
