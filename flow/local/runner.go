package local

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
)

// A runner carries one run to its end. Only its loop touches the machine; what comes
// from elsewhere goes through post.
type runner struct {
	h       *Host
	m       *machine.Machine
	virtual *host.Virtual // nil: time is real
	id      string
	started time.Time
	agenda  agenda
	lines   map[string]*line    // by limit: calls that wait for a place
	made    map[string]underWay // by key
	broken  error               // of OnStep

	calls sync.WaitGroup
	wake  chan struct{}

	mu    sync.Mutex
	inbox []machine.Event

	subs map[int]machine.Await // written with the host's lock held
}

// post hands the loop an event.
func (r *runner) post(e machine.Event) {
	r.mu.Lock()
	r.inbox = append(r.inbox, e)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *runner) take() []machine.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.inbox
	r.inbox = nil
	return events
}

func (r *runner) now() time.Time { return r.h.opts.Clock.Now() }

// loop performs commands and applies events until the run has ended.
func (r *runner) loop(ctx context.Context) error {
	defer r.abandon() // after the run's end there is nothing left to abandon
	r.arm()
	soft := ctx
	for {
		if err := r.perform(); err != nil {
			return err
		}
		r.unsubscribe()
		r.tell()
		if result := r.m.Result(); result != nil && len(r.made) == 0 {
			return r.end(result)
		}
		// What came goes before what is due: an event that was there in time is not late.
		events, done := r.take(), false
		if len(events) == 0 {
			var err error
			if done, err = r.due(); err != nil {
				return err
			}
		}
		err := soft.Err()
		if len(events) == 0 && !done && err == nil {
			err = r.h.opts.Clock.Wait(soft, r.agenda.next(), r.wake)
		}
		if _, stuck := errors.AsType[*host.StuckError](err); stuck {
			return &host.StuckError{Waits: r.waits()}
		}
		if err != nil {
			soft = context.WithoutCancel(ctx)
			events = append(events, machine.CancelRequested{At: r.now(), Reason: "interrupted"})
		}
		for i, e := range events {
			if a, ok := e.(machine.Arrived); ok && !r.m.Wants(machine.Await{ID: a.Await}) {
				continue // it was on its way when the run stopped waiting
			}
			if err := r.record(e); err != nil {
				r.putBack(events[i:])
				return err
			}
		}
	}
}

// record stores events and applies them.
func (r *runner) record(events ...machine.Event) error {
	var room [1]journal.Record
	records, durable := room[:0], false
	for _, e := range events {
		switch e := e.(type) {
		case machine.Taken:
			durable = true
		case machine.Answered:
			if r.crash(Sent, r.made[e.Key].Call) {
				return ErrCrashed
			}
		}
		one, err := r.h.encode(r.id, e)
		if err != nil {
			return err
		}
		records = append(records, one)
	}
	if err := r.h.opts.Journal.Append(context.Background(), r.id, durable, records...); err != nil {
		return fmt.Errorf("store what happened: %w", err)
	}
	for _, e := range events {
		if err := r.m.Apply(e); err != nil {
			return err
		}
		if answered, ok := e.(machine.Answered); ok {
			c := r.made[answered.Key]
			delete(r.made, answered.Key)
			if r.crash(Recorded, c.Call) {
				return ErrCrashed
			}
		}
	}
	return nil
}

func (r *runner) end(result *machine.Result) error {
	if err := r.h.opts.Journal.End(context.Background(), r.id, string(result.Status), r.m.Now()); err != nil {
		return fmt.Errorf("store the end of the run: %w", err)
	}
	return nil
}

// tell reports the steps that ended. Who is told cannot do the run any harm.
func (r *runner) tell() {
	for _, s := range r.m.Ended() {
		r.tellOf(s)
	}
}

func (r *runner) tellOf(s *machine.Step) {
	if r.h.opts.OnStep == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			r.broken = fmt.Errorf("the run %s went on, but telling of its step %s broke: %v", r.id, s.Path, v)
		}
	}()
	r.h.opts.OnStep(r.id, s, r.m.Sensitive())
}

// perform does what the machine wants until it wants nothing new.
func (r *runner) perform() error {
	for {
		commands := r.m.Next()
		if len(commands) == 0 {
			return nil
		}
		var room [1]machine.Call
		ready := room[:0]
		for _, c := range commands {
			switch c := c.(type) {
			case machine.Call:
				switch {
				case c.InFlight:
					if err := r.recover(c); err != nil {
						return err
					}
				case r.pass(held{c, len(c.Limits) - 1}):
					ready = append(ready, c)
				}
			case machine.Cancel:
				r.cancel(c.Key)
			case machine.Sleep:
				r.agenda.add(c.Until, nap{r, c})
			case machine.Await:
				r.subscribe(c)
			case machine.Watch: // receipts are brought to every run as they come
			}
		}
		if err := r.start(ready...); err != nil {
			return err
		}
	}
}

// due does what the agenda has for now, and tells whether there was anything.
func (r *runner) due() (bool, error) {
	any := false
	for {
		job := r.agenda.pop(r.now())
		if job == nil {
			return any, nil
		}
		any = true
		if err := job.do(); err != nil {
			return any, err
		}
	}
}

// putBack keeps events that could not be recorded.
func (r *runner) putBack(events []machine.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inbox = append(r.inbox, events...)
}

// salvage applies the outcomes that came and could not be recorded, so that who is told
// that the journal failed is also told what became of the calls. The journal does not
// know: there, they are unknown.
func (r *runner) salvage() {
	for _, e := range r.take() {
		if answered, ok := e.(machine.Answered); ok {
			_ = r.m.Apply(answered)
		}
	}
	r.tell()
}
