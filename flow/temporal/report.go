package temporal

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"

	enumspb "go.temporal.io/api/enums/v1"
)

// Wait implements host.Host.
func (h *Host) Wait(ctx context.Context, run string) (*host.Result, error) {
	if r := h.waitStarted(ctx, run); r != nil {
		return r, nil
	}
	s, err := h.awaitEnd(ctx, run, "")
	for err == errChanged {
		s, err = h.awaitEnd(ctx, run, "")
	}
	if err != nil {
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

// awaitEnd waits for the end of an execution of a run, "": the latest; errChanged: it has
// continued as new.
func (h *Host) awaitEnd(ctx context.Context, run, execution string) (*runState, error) {
	first, err := h.firstEvent(ctx, run, execution)
	if err != nil {
		return nil, notFound(run, err)
	}
	began := first.GetWorkflowExecutionStartedEventAttributes()
	if began.GetWorkflowType().GetName() != runType {
		return nil, &host.NotFoundError{What: "run " + run}
	}
	pinned := cmp.Or(execution, began.GetOriginalExecutionRunId())
	last, err := h.lastEvent(ctx, run, pinned)
	if err != nil {
		return nil, notFound(run, err)
	}
	if execution == "" && last.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED {
		d, err := h.client.DescribeWorkflow(ctx, run, "")
		if err != nil {
			return nil, notFound(run, err)
		}
		if latest := d.WorkflowExecution.RunID; latest != pinned { // it was reset
			return h.awaitEnd(ctx, run, latest)
		}
	}
	s := &runState{}
	s.execution.WorkflowExecution.ID = run
	if err := h.decode(began.GetInput(), &s.in); err != nil {
		return nil, err
	}
	return s, s.applyEnd(ctx, h, last)
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
	out.Calls = v.history.Calls()
	if v.m == nil || v.mismatch != nil || !s.open {
		return out, nil
	}
	for _, one := range s.held {
		out.Holds = append(out.Holds, host.HeldCall{Step: one.Step, Reason: one.Reason, Until: one.Until})
	}
	for _, c := range v.history.Wanted(v.m) {
		if wait := host.Wait(v.m, c); wait != "" {
			out.Waits = append(out.Waits, wait)
		}
	}
	return out, nil
}

// A view is a run as rebuilt from what is stored of it, for reports.
type view struct {
	s         *runState
	start     machine.Start
	sensitive []any            // host.Result.Sensitive
	m         *machine.Machine // nil: it never began, or cannot be rebuilt
	mismatch  error
	entries   []host.Entry
	history   host.CallHistory
}

func (h *Host) view(ctx context.Context, s *runState) (*view, error) {
	v := &view{s: s}
	for _, one := range append([]stored.Record{s.in.Start}, s.in.Events...) {
		e, err := entry(one)
		if err != nil {
			return nil, err
		}
		v.entries = append(v.entries, e)
	}
	v.m, v.start, v.mismatch = s.machine(h, v.history.Observe)
	if v.m == nil || v.mismatch != nil {
		if p, err := h.plan(&s.in); err == nil && v.mismatch == nil {
			v.sensitive = host.SensitiveInputs(p.Plan, v.start)
		}
		return v, nil
	}
	err := v.history.Finish(ctx, v.start.At, v.m, h.opts.Past)
	v.sensitive = host.ResultOf(v.m, s.id(), s.in.Flow, v.start.At).Sensitive
	return v, err
}

// head returns what List shows, but up to date.
func (v *view) head() host.Run {
	out := host.Run{
		ID: v.s.id(), Flow: v.s.in.Flow, Digest: v.s.in.Digest, By: v.s.in.By,
		Status: v.s.record.Status, Started: v.s.in.Start.At, Ended: v.s.record.Ended,
	}
	out.Unknown = v.s.unknown(v.m, v.mismatch != nil)
	if v.mismatch != nil && v.s.open {
		out.Status = host.Mismatch
	}
	return out
}

func (v *view) result() *host.Result {
	if v.m == nil || v.mismatch != nil {
		out := &host.Result{Run: v.s.id(), Flow: v.s.in.Flow, Started: v.s.in.Start.At, Ended: v.s.record.Ended, Sensitive: v.sensitive}
		out.Status = v.s.record.Status
		switch {
		case v.mismatch != nil:
			out.Error = host.MismatchError(v.mismatch)
		case v.s.serverEnd != "":
			out.Error = v.s.terminated()
		case out.Status == host.Rejected:
			out.Error = host.RejectedError()
		}
		return out
	}
	out := host.ResultOf(v.m, v.s.id(), v.s.in.Flow, v.start.At)
	if !v.s.record.Ended.IsZero() {
		out.Ended = v.s.record.Ended
	}
	if v.s.serverEnd != "" {
		out.Status, out.Error = machine.Failed, v.s.terminated()
	}
	return out
}

func (s *runState) terminated() *call.Error {
	return &call.Error{Code: "terminated", Class: "host", Message: s.serverEnd}
}

// entry returns a record as people see it: without the seed of the run's random values.
func entry(r stored.Record) (host.Entry, error) {
	var row map[string]json.RawMessage
	if err := json.Unmarshal(r.Body, &row); err != nil {
		return host.Entry{}, fmt.Errorf("read a record of the run: %w", err)
	}
	delete(row, "seed")
	data, err := json.Marshal(row)
	return host.Entry{At: r.At, Kind: r.Kind, Data: data}, err
}
