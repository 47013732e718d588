package journal

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"
)

// Memory is a journal in this process. Its zero value is ready to use.
type Memory struct {
	mu        sync.Mutex
	lastRun   int64 // the latest run's number
	runs      map[string]*memoryRun
	order     []*memoryRun // in the order of Create
	events    map[string]*Event
	delivered []*Event // in the order of Deliver
	notes     map[string]map[string]json.RawMessage
}

type memoryRun struct {
	head       Run
	records    []Record
	waits      Waits
	unknown    map[string]bool
	recipients map[string]bool
}

// Create implements Journal.
func (j *Memory) Create(ctx context.Context, run Run, c Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.runs == nil {
		j.runs = map[string]*memoryRun{}
	}
	if j.runs[run.ID] != nil {
		return &ExistsError{run.ID}
	}
	j.lastRun++
	run.Seq, run.Unknown = j.lastRun, 0
	r := &memoryRun{head: run}
	j.runs[run.ID] = r
	j.order = append(j.order, r)
	j.apply(r, c)
	return nil
}

// Write implements Journal.
func (j *Memory) Write(ctx context.Context, run string, _ bool, c Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.runs[run]
	if r == nil {
		return &NotFoundError{run}
	}
	j.apply(r, c)
	return nil
}

func (j *Memory) apply(r *memoryRun, c Change) {
	r.records = append(r.records, c.Records...)
	if c.Status != "" {
		r.head.Status, r.head.Ended = c.Status, c.Ended
	}
	if c.Waits != nil {
		r.waits = *c.Waits
	}
	if !r.head.Ended.IsZero() {
		r.waits = Waits{}
	}
	r.unknown = addAll(r.unknown, c.Unknown)
	for _, key := range c.Settled {
		delete(r.unknown, key)
	}
	r.head.Unknown = len(r.unknown)
	for _, id := range c.Consumed {
		if e := j.events[id]; e != nil {
			e.Claimed = true
		}
	}
	r.recipients = addAll(r.recipients, c.Recipients)
}

func addAll(set map[string]bool, keys []string) map[string]bool {
	if set == nil && len(keys) > 0 {
		set = map[string]bool{}
	}
	for _, key := range keys {
		set[key] = true
	}
	return set
}

// Load implements Journal.
func (j *Memory) Load(_ context.Context, run string) (Run, []Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.runs[run]
	if r == nil {
		return Run{}, nil, &NotFoundError{run}
	}
	return r.head, slices.Clone(r.records), nil
}

// List implements Journal.
func (j *Memory) List(_ context.Context, f Filter) ([]Run, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []Run
	for _, r := range slices.Backward(j.order) {
		if len(out) == f.limit() {
			break
		}
		if f.matches(r.head) && (f.Recipient == "" || r.recipients[f.Recipient]) {
			out = append(out, r.head)
		}
	}
	return out, nil
}

// matches reports whether the filter, except for its recipient, selects a run.
func (f Filter) matches(run Run) bool {
	return (f.Flow == "" || f.Flow == run.Flow) &&
		(f.Status == "" || f.Status == run.Status) &&
		(!f.Unknown || run.Unknown > 0) &&
		(f.Since.IsZero() || !run.Started.Before(f.Since)) &&
		(f.Until.IsZero() || run.Started.Before(f.Until)) &&
		(f.Before == 0 || run.Seq < f.Before)
}

// Unfinished implements Journal.
func (j *Memory) Unfinished(ctx context.Context, each func(Run, Waits) error) error {
	j.mu.Lock()
	var open []memoryRun
	for _, r := range j.order {
		if r.head.Ended.IsZero() {
			open = append(open, *r)
		}
	}
	j.mu.Unlock()
	for _, r := range open {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.head.Sources = nil
		if err := each(r.head, r.waits); err != nil {
			return err
		}
	}
	return nil
}

// Deliver implements Journal.
func (j *Memory) Deliver(ctx context.Context, events []Event, wake []string) ([]bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.events == nil {
		j.events = map[string]*Event{}
	}
	fresh := make([]bool, len(events))
	for i, e := range events {
		if fresh[i] = j.events[e.ID] == nil; fresh[i] {
			j.events[e.ID] = &e
			j.delivered = append(j.delivered, &e)
		}
	}
	j.wake(wake)
	return fresh, nil
}

// Wake implements Journal.
func (j *Memory) Wake(ctx context.Context, _ bool, runs ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.wake(runs)
	return nil
}

func (j *Memory) wake(runs []string) {
	for _, id := range runs {
		if r := j.runs[id]; r != nil && r.head.Ended.IsZero() {
			r.head.Status, r.waits = running, Waits{}
		}
	}
}

// Events implements Journal.
func (j *Memory) Events(_ context.Context, name, subject, connection string, since time.Time) ([]Event, error) {
	return j.eventsWhere(func(e *Event) bool { return e.matches(name, subject, connection, since) }), nil
}

// OpenEvents implements Journal.
func (j *Memory) OpenEvents(context.Context) ([]Event, error) {
	return j.eventsWhere(func(e *Event) bool { return !e.Done }), nil
}

func (j *Memory) eventsWhere(match func(*Event) bool) (out []Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.delivered {
		if match(e) {
			out = append(out, *e)
		}
	}
	return out
}

// MarkDone implements Journal.
func (j *Memory) MarkDone(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if e := j.events[id]; e != nil {
		e.Done = true
	}
	return nil
}

// Note implements Journal.
func (j *Memory) Note(ctx context.Context, kind, name string, body json.RawMessage) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if body == nil {
		delete(j.notes[kind], name)
		return nil
	}
	if j.notes == nil {
		j.notes = map[string]map[string]json.RawMessage{}
	}
	if j.notes[kind] == nil {
		j.notes[kind] = map[string]json.RawMessage{}
	}
	j.notes[kind][name] = body
	return nil
}

// Notes implements Journal.
func (j *Memory) Notes(_ context.Context, kind string) (map[string]json.RawMessage, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.notes[kind]), nil
}

// Prune implements Journal.
func (j *Memory) Prune(ctx context.Context, runs, events time.Time, limit int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	j.order = slices.DeleteFunc(j.order, func(r *memoryRun) bool {
		old := n < limit && !r.head.Ended.IsZero() && r.head.Ended.Before(runs) && r.head.Unknown == 0 && r.head.Seq < j.lastRun
		if old {
			delete(j.runs, r.head.ID)
			n++
		}
		return old
	})
	j.delivered = slices.DeleteFunc(j.delivered, func(e *Event) bool {
		old := n < limit && e.Done && e.At.Before(events)
		if old {
			delete(j.events, e.ID)
			n++
		}
		return old
	})
	return n, nil
}

// Close implements Journal.
func (j *Memory) Close() error { return nil }
