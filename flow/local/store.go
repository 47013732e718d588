package local

import (
	"context"
	"fmt"

	"facteur/flow/journal"
	"facteur/flow/machine"
)

// A storeError says that the journal took nothing.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// apply tells the machine what happened, and keeps it for flush: before a call is made
// and before anybody is told anything, it is stored.
func (r *runner) apply(event machine.Event) error {
	answered, isAnswer := event.(machine.Answered)
	if isAnswer && r.crash(Sent, r.made[answered.Key]) {
		return r.crashed()
	}
	record, err := r.h.encode(r.id, event)
	if err != nil {
		return err
	}
	if err := r.m.Apply(event); err != nil {
		return err
	}
	r.pending.Records = append(r.pending.Records, record)
	if r.restored != nil {
		r.restored.note(event)
	}
	if arrived, ok := event.(machine.Arrived); ok && r.m.Consumed(arrived.ID) {
		r.pending.Took = append(r.pending.Took, arrived.ID)
	}
	if isAnswer {
		u := r.made[answered.Key]
		delete(r.made, answered.Key)
		if r.crash(Recorded, u) {
			return r.crashed()
		}
	}
	return nil
}

// crashed ends the run as a test wants it, with all that came before stored.
func (r *runner) crashed() error {
	if err := r.flush(false); err != nil {
		return err
	}
	return ErrCrashed
}

// flush stores what was applied, and answers those who wait for that.
func (r *runner) flush(durable bool) error {
	r.countUnknown()
	c := &r.pending
	if !durable && !r.fresh && len(c.Records) == 0 && c.Status == "" && len(c.Unknown) == 0 && len(c.Settled) == 0 {
		r.answer(nil)
		return nil
	}
	r.records += len(c.Records)
	err := r.write(durable)
	*c = journal.Change{}
	r.answer(err)
	return err
}

func (r *runner) write(durable bool) error {
	ctx := context.Background()
	if r.fresh {
		if err := r.h.opts.Journal.Create(ctx, *r.head, r.pending); err != nil {
			return &storeError{fmt.Errorf("store the run: %w", err)}
		}
		r.fresh = false
		return nil
	}
	if err := r.h.opts.Journal.Write(ctx, r.id, durable, r.pending); err != nil {
		return &storeError{fmt.Errorf("store what happened: %w", err)}
	}
	return nil
}

func (r *runner) answer(err error) {
	for _, ack := range r.acks {
		ack <- err
	}
	r.acks = nil
}

// countUnknown keeps the journal's count of unknown outcomes.
func (r *runner) countUnknown() {
	now := r.m.Unknown()
	if len(now) == 0 && len(r.unknown) == 0 {
		return
	}
	for _, key := range now {
		if r.unknown[key] {
			continue
		}
		r.noteUnknown(key)
		r.pending.Unknown = append(r.pending.Unknown, key)
	}
	if len(now) == len(r.unknown) {
		return
	}
	still := make(map[string]bool, len(now))
	for _, key := range now {
		still[key] = true
	}
	for key := range r.unknown {
		if !still[key] {
			delete(r.unknown, key)
			r.pending.Settled = append(r.pending.Settled, key)
		}
	}
}

func (r *runner) noteUnknown(key string) {
	if r.unknown == nil {
		r.unknown = map[string]bool{}
	}
	r.unknown[key] = true
}
