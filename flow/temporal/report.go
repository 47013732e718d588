package temporal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"
)

// Wait implements host.Host.
func (h *Host) Wait(ctx context.Context, run string) (*host.Result, error) {
	for {
		first, err := h.firstEvent(ctx, run, "")
		if err != nil {
			return nil, notFound(run, err)
		}
		began := first.GetWorkflowExecutionStartedEventAttributes()
		if began.GetWorkflowType().GetName() != runType {
			return nil, &host.NotFoundError{What: "run " + run}
		}
		last, err := h.lastEvent(ctx, run, began.GetOriginalExecutionRunId())
		if err != nil {
			return nil, notFound(run, err)
		}
		s := &state{}
		s.execution.WorkflowExecution.ID = run
		if err := h.decode(began.GetInput(), &s.in); err != nil {
			return nil, err
		}
		if err := s.close(h, last); errors.Is(err, errMoved) {
			continue
		} else if err != nil {
			return nil, err
		}
		v, err := h.view(ctx, s)
		if err != nil {
			return nil, err
		}
		if v.mismatch != nil {
			return nil, v.mismatch
		}
		return v.result(), nil
	}
}

// Get implements host.Host.
func (h *Host) Get(ctx context.Context, run string) (*host.Report, error) {
	s, err := h.load(ctx, run)
	if err != nil {
		return nil, err
	}
	v, err := h.view(ctx, s)
	if err != nil {
		return nil, err
	}
	out := &host.Report{
		Run: v.head(), Result: *v.result(), Inputs: v.start.Inputs, Sources: s.in.Sources, Journal: v.entries,
	}
	if v.m != nil {
		out.Random = v.m.Drawn()
	}
	for _, key := range v.taken {
		out.Calls = append(out.Calls, *v.calls[key])
	}
	if v.m == nil || v.mismatch != nil || !s.open {
		return out, nil
	}
	for _, one := range s.held {
		out.Holds = append(out.Holds, host.HeldCall{Step: one.Step, Reason: one.Reason, Until: one.Until})
	}
	for _, c := range v.wanted {
		if !v.m.Wants(c) {
			continue
		}
		switch c := c.(type) {
		case machine.Sleep:
			out.Waits = append(out.Waits, "the time "+c.Until.UTC().Format(time.RFC3339))
		case machine.Await:
			out.Waits = append(out.Waits, fmt.Sprintf("%s from %s", c.Event, c.Subject))
		case machine.Watch:
			out.Waits = append(out.Waits, "news of "+v.stepOf(c.Key))
		}
	}
	return out, nil
}

// A view is a run as what is stored of it shows it.
type view struct {
	s        *state
	start    machine.Start
	m        *machine.Machine // nil: it never began, or cannot be read
	mismatch error
	entries  []host.Entry
	wanted   []machine.Command
	calls    map[string]*host.Call // by key, of those that were taken up
	taken    []string
}

func (h *Host) view(ctx context.Context, s *state) (*view, error) {
	v := &view{s: s, calls: map[string]*host.Call{}}
	for _, list := range [][]stored.Record{{s.in.Start}, s.in.Events, s.record.Events} {
		for _, one := range list {
			e, err := entry(one)
			if err != nil {
				return nil, err
			}
			v.entries = append(v.entries, e)
		}
	}
	asked := map[string]call.Call{}
	look := func(m *machine.Machine) {
		for _, c := range m.Next() {
			if c, ok := c.(machine.Call); ok {
				asked[c.Key] = c.Call
			}
			v.wanted = append(v.wanted, c)
		}
		if len(v.wanted) > 1000 {
			v.wanted = slices.DeleteFunc(v.wanted, func(c machine.Command) bool { return !m.Wants(c) })
		}
	}
	v.m, v.start, v.mismatch = s.machine(h, func(m *machine.Machine, e machine.Event) {
		look(m)
		switch e := e.(type) {
		case machine.Taken:
			v.calls[e.Key] = &host.Call{Call: asked[e.Key], Taken: e.At}
			v.taken = append(v.taken, e.Key)
		case machine.Answered:
			if c := v.calls[e.Key]; c != nil {
				c.Outcome = &e.Outcome
			}
		case machine.Received:
			if c := v.calls[e.Receipt.Key]; c != nil {
				c.Receipts = append(c.Receipts, e.Receipt)
			}
		}
	})
	if v.m == nil || v.mismatch != nil {
		return v, nil
	}
	look(v.m)
	return v, v.late(ctx, h)
}

// late adds the receipts that came and that the run was not told of, because it did not
// wait for them.
func (v *view) late(ctx context.Context, h *Host) error {
	if h.opts.Past == nil {
		return nil
	}
	for _, key := range v.taken {
		receipts, err := h.opts.Past(ctx, key)
		if err != nil {
			return fmt.Errorf("read the receipts of the run: %w", err)
		}
		c := v.calls[key]
		for _, r := range receipts {
			if r.ID != "" && slices.ContainsFunc(c.Receipts, func(known call.Receipt) bool { return known.ID == r.ID }) {
				continue
			}
			r.Key = key
			c.Receipts = append(c.Receipts, r)
			if v.m.Result() == nil {
				continue // it would go on here, and not there
			}
			if err := v.m.Apply(machine.Received{At: v.m.Now(), Receipt: r}); err != nil {
				return err
			}
		}
	}
	return nil
}

// head is what lists show, and more exactly.
func (v *view) head() host.Run {
	out := host.Run{
		ID: v.s.id(), Flow: v.s.in.Flow, Digest: v.s.in.Digest, By: v.s.in.By,
		Status: v.s.record.Status, Started: v.s.in.Start.At, Ended: v.s.record.Ended,
	}
	if v.m != nil {
		out.Unknown = len(v.m.Unknown())
	}
	if v.mismatch != nil {
		out.Status = host.Mismatch
	}
	return out
}

func (v *view) result() *host.Result {
	if v.m == nil || v.mismatch != nil || v.s.lost != "" {
		out := &host.Result{Run: v.s.id(), Flow: v.s.in.Flow, Started: v.s.in.Start.At, Ended: v.s.record.Ended}
		out.Status = v.s.record.Status
		switch {
		case v.mismatch != nil:
			out.Error = &call.Error{Code: string(host.Mismatch), Class: "flow", Message: v.mismatch.Error()}
		case v.s.lost != "":
			out.Error = &call.Error{Code: "terminated", Class: "host", Message: v.s.lost}
		case out.Status == host.Rejected:
			out.Error = &call.Error{Code: "rejected", Class: "flow", Message: "as many runs of the flow as its concurrency allows were under way"}
		}
		return out
	}
	out := resultOf(v.m, v.s.id(), v.s.in.Flow, v.start.At)
	if !v.s.record.Ended.IsZero() {
		out.Ended = v.s.record.Ended
	}
	return out
}

func (v *view) stepOf(key string) string {
	for _, s := range v.m.Steps() {
		if slices.Contains(s.Keys, key) {
			return s.Path
		}
	}
	return key
}

func resultOf(m *machine.Machine, id, flow string, started time.Time) *host.Result {
	out := &host.Result{
		Run: id, Flow: flow, Result: machine.Result{Status: machine.Running}, Started: started, Ended: m.Now(),
		Steps: m.Steps(), Branches: m.Branches(), Sensitive: m.Sensitive(),
	}
	if end := m.Result(); end != nil {
		out.Result = *end
	}
	return out
}

// entry is a record as people see it: without the seed of the run's randomness.
func entry(r stored.Record) (host.Entry, error) {
	var row map[string]json.RawMessage
	if err := json.Unmarshal(r.Body, &row); err != nil {
		return host.Entry{}, fmt.Errorf("read a record of the run: %w", err)
	}
	delete(row, "seed")
	data, err := json.Marshal(row)
	return host.Entry{At: r.At, Kind: r.Kind, Data: data}, err
}
