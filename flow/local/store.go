package local

import (
	"context"
	"fmt"
	"slices"

	"facteur/flow/journal"
	"facteur/flow/machine"
)

// A storeError says that the journal failed, and stored nothing.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// apply applies an event to the machine, and adds it to pending for flush. It must be flushed
// before a call is made and before anybody is told of it.
func (r *runner) apply(event machine.Event) error {
	answered, isAnswer := event.(machine.Answered)
	if isAnswer && r.crash(Sent, r.inFlight[answered.Key]) {
		return r.crashed()
	}
	record, err := r.h.encode(r.run.id, event)
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
		r.pending.Consumed = append(r.pending.Consumed, arrived.ID)
	}
	if isAnswer {
		ic := r.inFlight[answered.Key]
		delete(r.inFlight, answered.Key)
		if r.crash(Recorded, ic) {
			return r.crashed()
		}
	}
	return nil
}

// crashed simulates a crash, after storing what came before it.
func (r *runner) crashed() error {
	if err := r.flush(false); err != nil {
		return err
	}
	return ErrCrashed
}

// flush stores what is pending, and acknowledges it to those who wait.
func (r *runner) flush(durable bool) error {
	r.updateUnknown()
	c := &r.pending
	if !durable && r.head == nil && len(c.Records) == 0 && c.Status == "" && len(c.Unknown) == 0 && len(c.Settled) == 0 {
		r.acknowledge(nil)
		return nil
	}
	r.storedRecords += len(c.Records)
	err := r.write(durable)
	*c = journal.Change{}
	r.acknowledge(err)
	return err
}

func (r *runner) write(durable bool) error {
	ctx := context.Background()
	if r.head != nil {
		if err := r.h.opts.Journal.Create(ctx, *r.head, r.pending); err != nil {
			return &storeError{fmt.Errorf("store the run: %w", err)}
		}
		r.head = nil
		return nil
	}
	if err := r.h.opts.Journal.Write(ctx, r.run.id, durable, r.pending); err != nil {
		return &storeError{fmt.Errorf("store what happened: %w", err)}
	}
	return nil
}

func (r *runner) acknowledge(err error) {
	for _, ack := range r.acks {
		ack <- err
	}
	r.acks = nil
}

// updateUnknown keeps the journal's unknown calls in step with the machine's.
func (r *runner) updateUnknown() {
	now := r.m.Unknown()
	if slices.Equal(now, r.unknown) {
		return
	}
	r.pending.Unknown = append(r.pending.Unknown, difference(now, r.unknown)...)
	r.pending.Settled = append(r.pending.Settled, difference(r.unknown, now)...)
	r.unknown = now
}

// difference returns what is in a and not in b.
func difference(a, b []string) []string {
	in := make(map[string]bool, len(b))
	for _, s := range b {
		in[s] = true
	}
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return in[s] })
}
