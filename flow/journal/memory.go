package journal

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Memory is a journal in this process. Its zero value is ready to use.
type Memory struct {
	mu   sync.Mutex
	runs map[string]*memoryRun
	ids  []string // in order of Create
}

type memoryRun struct {
	head    Run
	records []Record
}

// Create implements Journal.
func (j *Memory) Create(ctx context.Context, run Run, first Record) error {
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
	j.runs[run.ID] = &memoryRun{head: run, records: []Record{first}}
	j.ids = append(j.ids, run.ID)
	return nil
}

// Append implements Journal.
func (j *Memory) Append(ctx context.Context, run string, _ bool, records ...Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.runs[run]
	if r == nil {
		return &NotFoundError{run}
	}
	r.records = append(r.records, records...)
	return nil
}

// End implements Journal.
func (j *Memory) End(ctx context.Context, run, status string, at time.Time, records ...Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.runs[run]
	if r == nil {
		return &NotFoundError{run}
	}
	r.records = append(r.records, records...)
	r.head.Status, r.head.Ended = status, at
	return nil
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
	for _, id := range slices.Backward(j.ids) {
		if len(out) == f.limit() {
			break
		}
		head := j.runs[id].head
		if (f.Status == "" || f.Status == head.Status) && (f.Flow == "" || f.Flow == head.Flow) {
			out = append(out, head)
		}
	}
	return out, nil
}

// Close implements Journal.
func (j *Memory) Close() error { return nil }
