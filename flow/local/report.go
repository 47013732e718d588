package local

import (
	"context"
	"errors"
	"strconv"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
	"facteur/flow/plan"
)

// Wait implements host.Host.
func (h *Host) Wait(ctx context.Context, id string) (*host.Result, error) {
	for {
		if err := h.failed(); err != nil {
			return nil, err
		}
		h.mu.Lock()
		run := h.runs[id]
		if run == nil {
			h.mu.Unlock()
			return h.ended(ctx, id)
		}
		if h.closed {
			h.mu.Unlock()
			return nil, &host.StoppingError{}
		}
		completion := run.awaitCompletion()
		h.mu.Unlock()
		select {
		case <-completion.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if errors.Is(completion.err, errDetached) {
			continue
		}
		if completion.err != nil {
			return nil, completion.err
		}
		if err := h.barrier(ctx); err != nil {
			return nil, err
		}
		return completion.result, nil
	}
}

// ended returns the result of a run that is not active.
func (h *Host) ended(ctx context.Context, run string) (*host.Result, error) {
	v, err := h.view(ctx, run)
	if err != nil {
		return nil, err
	}
	if v.mismatch != nil {
		return nil, v.mismatch
	}
	return v.result(), nil
}

// List implements host.Host.
func (h *Host) List(ctx context.Context, f host.Filter) (runs []host.Run, next string, err error) {
	limit := f.PageSize()
	filter := journal.Filter{
		Flow: f.Flow, Status: string(f.Status), Unknown: f.Unknown, Since: f.Since, Until: f.Until, Limit: limit,
	}
	if f.Recipient != "" {
		contact := f.Recipient
		if h.opts.Contact != nil {
			contact = h.opts.Contact(contact)
		}
		filter.Recipient = h.hash(contact)
	}
	if f.Cursor != "" {
		if filter.Before, err = strconv.ParseInt(f.Cursor, 10, 64); err != nil || filter.Before < 1 {
			return nil, "", &host.CursorError{Cursor: f.Cursor}
		}
	}
	heads, err := h.opts.Journal.List(ctx, filter)
	if err != nil {
		return nil, "", err
	}
	runs = make([]host.Run, len(heads))
	for i := range heads {
		runs[i] = runOfHead(&heads[i])
	}
	if len(heads) == limit {
		next = strconv.FormatInt(heads[limit-1].Seq, 10)
	}
	return runs, next, nil
}

// Get implements host.Host.
func (h *Host) Get(ctx context.Context, id string) (*host.Report, error) {
	v, err := h.view(ctx, id)
	if err != nil {
		return nil, err
	}
	out := &host.Report{
		Run: runOfHead(&v.head), Result: *v.result(), Inputs: v.start.Inputs, Sources: v.head.Sources, Journal: v.entries,
	}
	out.Calls = v.history.Calls()
	if v.m != nil {
		out.Random = v.m.Drawn()
	}
	if v.m == nil || v.mismatch != nil {
		return out, nil
	}
	h.mu.Lock()
	run := h.runs[id]
	h.mu.Unlock()
	for _, c := range v.history.Wanted(v.m) {
		if wait := host.Wait(v.m, c); wait != "" {
			out.Waits = append(out.Waits, wait)
		}
		if c, ok := c.(*machine.Call); ok && !v.history.Taken(c.Key) && run != nil {
			if reason, until, held := h.whyHeld(run, &c.Call, c.Limits); held {
				out.Holds = append(out.Holds, host.HeldCall{Step: c.Step, Reason: reason, Until: until})
			}
		}
	}
	return out, nil
}

// A view is what the journal tells of a run.
type view struct {
	head     journal.Run
	start    machine.Start
	hides    []any            // sensitive values of a run that never began
	m        *machine.Machine // nil: it never began, or cannot be read
	mismatch error            // why it cannot be read, or goes no further
	entries  []host.Entry
	history  host.CallHistory
}

func (h *Host) view(ctx context.Context, id string) (*view, error) {
	head, records, err := h.load(ctx, id)
	if err != nil {
		return nil, notFound(err)
	}
	v := &view{head: head}
	for _, r := range records {
		e, err := h.entry(id, r)
		if err != nil {
			return nil, err
		}
		v.entries = append(v.entries, e)
	}
	if len(records) > 0 {
		if v.start, err = h.decodeStart(id, records[0]); err != nil {
			v.mismatch = err
			return v, nil
		}
	}
	p, err := h.plan(head)
	if head.Status == string(host.Rejected) || len(records) == 1 && head.Status == string(host.Queued) {
		if err == nil {
			v.hides = host.SensitiveInputs(p.Plan, v.start)
		}
		return v, nil
	}
	if err == nil {
		err = v.replay(ctx, h, p.Plan, records)
	}
	if h.mu.Lock(); err == nil {
		if run := h.runs[id]; run != nil && run.reason != "" {
			err = errors.New(run.reason)
		}
	}
	h.mu.Unlock()
	v.mismatch = err
	return v, nil
}

// replay rebuilds the machine, and collects the calls on the way.
func (v *view) replay(ctx context.Context, h *Host, p *plan.Plan, records []journal.Record) (err error) {
	defer func() {
		if fault := recover(); fault != nil { // it may be what the run is stuck for
			h.panicked(v.head.ID, fault)
			err = errFault
		}
	}()
	m, _, err := h.replay(p, v.head, records, v.history.Observe)
	v.m = m
	if err != nil {
		return err
	}
	return v.history.Finish(ctx, h.since(&v.head), m, h.opts.Past)
}

func (v *view) result() *host.Result {
	if v.m == nil {
		out := &host.Result{Run: v.head.ID, Flow: v.head.Flow, Started: v.head.Started, Ended: v.head.Ended, Sensitive: v.hides}
		out.Status = machine.Status(v.head.Status)
		switch {
		case v.mismatch != nil:
			out.Error = host.MismatchError(v.mismatch)
		case v.head.Status == string(host.Rejected):
			out.Error = host.RejectedError()
		}
		return out
	}
	out := host.ResultOf(v.m, v.head.ID, v.head.Flow, v.start.At)
	if !v.head.Ended.IsZero() {
		out.Ended = v.head.Ended
	}
	if v.mismatch != nil {
		out.Error = host.MismatchError(v.mismatch)
	}
	return out
}
