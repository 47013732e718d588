package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"facteur/flow/call"
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
	calls   sync.WaitGroup

	mu      sync.Mutex
	inbox   []machine.Event
	wake    chan struct{}
	cancels map[string]context.CancelFunc // of calls that are under way
	subs    map[int]machine.Await
	made    map[string]call.Call // by key: the calls that this runner knows of
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

func (r *runner) underWay() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.cancels)
}

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
		for _, s := range r.m.Ended() {
			if r.h.opts.OnStep != nil {
				r.h.opts.OnStep(r.id, s, r.m.Sensitive())
			}
		}
		if result := r.m.Result(); result != nil && r.underWay() == 0 {
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
		if len(events) == 0 && !done {
			err := r.h.opts.Clock.Wait(soft, r.agenda.next(), r.wake)
			var stuck *host.StuckError
			switch {
			case errors.As(err, &stuck):
				return &host.StuckError{Waits: r.waits()}
			case err != nil:
				soft = context.WithoutCancel(ctx)
				events = append(events, machine.CancelRequested{At: r.now(), Reason: "interrupted"})
			}
		}
		for _, e := range events {
			if err := r.record(e); err != nil {
				return err
			}
		}
	}
}

func (r *runner) now() time.Time { return r.h.opts.Clock.Now() }

// record stores an event and applies it.
func (r *runner) record(events ...machine.Event) error {
	for _, e := range events {
		if answered, ok := e.(machine.Answered); ok && r.crash(Sent, r.made[answered.Key]) {
			return ErrCrashed
		}
	}
	records := make([]journal.Record, len(events))
	durable := false
	for i, e := range events {
		var err error
		if records[i], err = r.h.encode(r.id, e); err != nil {
			return err
		}
		if _, ok := e.(machine.Taken); ok {
			durable = true
		}
	}
	if err := r.h.opts.Journal.Append(context.Background(), r.id, durable, records...); err != nil {
		return fmt.Errorf("store what happened: %w", err)
	}
	for _, e := range events {
		if err := r.m.Apply(e); err != nil {
			return err
		}
		if answered, ok := e.(machine.Answered); ok && r.crash(Recorded, r.made[answered.Key]) {
			return ErrCrashed
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

// perform does what the machine wants until it wants nothing new.
func (r *runner) perform() error {
	for {
		commands := r.m.Next()
		if len(commands) == 0 {
			return nil
		}
		var ready []machine.Call
		for _, c := range commands {
			switch c := c.(type) {
			case machine.Call:
				switch wait := r.h.limits.reserve(c.Limits, r.now()); {
				case c.InFlight:
					if err := r.recover(c); err != nil {
						return err
					}
				case wait > 0:
					r.agenda.add(r.now().Add(wait), func() bool { return r.m.Wants(c) }, func() error { return r.start(c) })
				default:
					ready = append(ready, c)
				}
			case machine.Cancel:
				r.cancel(c.Key)
			case machine.Sleep:
				r.agenda.add(c.Until, func() bool { return r.m.Wants(c) }, func() error {
					return r.record(machine.Fired{At: r.now(), Timer: c.Timer})
				})
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

// start takes up calls, in one durable record, and makes them.
func (r *runner) start(calls ...machine.Call) error {
	taken := make([]machine.Event, 0, len(calls))
	wanted := calls[:0]
	for _, c := range calls {
		if r.m.Wants(c) {
			wanted = append(wanted, c)
			taken = append(taken, machine.Taken{At: r.now(), Key: c.Key, Print: c.Print})
		}
	}
	if len(taken) == 0 {
		return nil
	}
	if err := r.record(taken...); err != nil {
		return err
	}
	for _, c := range wanted {
		if err := r.make(c); err != nil {
			return err
		}
	}
	return nil
}

// make makes a call that was taken up.
func (r *runner) make(c machine.Call) error {
	r.remember(c)
	if r.crash(Scheduled, c.Call) {
		return ErrCrashed
	}
	ctx, cancel := context.WithCancel(r.h.opts.Hard)
	r.mu.Lock()
	r.cancels[c.Key] = cancel
	r.mu.Unlock()
	one := func() {
		outcome := r.h.opts.Do(ctx, c.Call)
		cancel()
		r.mu.Lock()
		delete(r.cancels, c.Key)
		r.mu.Unlock()
		r.post(machine.Answered{At: r.now(), Key: c.Key, Outcome: outcome})
	}
	r.calls.Add(1)
	if r.virtual != nil {
		r.virtual.Go(func() {
			defer r.calls.Done()
			one()
		})
		return nil
	}
	go func() {
		defer r.calls.Done()
		one()
	}()
	return nil
}

// cancel ends a call that is under way.
func (r *runner) cancel(key string) {
	r.mu.Lock()
	cancel := r.cancels[key]
	r.mu.Unlock()
	if cancel == nil {
		return
	}
	cancel()
	if r.virtual != nil {
		r.virtual.Interrupt()
	}
}

// abandon ends every call that is under way and waits for their goroutines; what became
// of the calls is not recorded.
func (r *runner) abandon() {
	r.mu.Lock()
	for _, cancel := range r.cancels {
		cancel()
	}
	r.mu.Unlock()
	if r.virtual != nil {
		r.virtual.Interrupt()
	}
	r.calls.Wait()
}

// recover decides about a call that an earlier host took up without recording what
// became of it.
func (r *runner) recover(c machine.Call) error {
	r.remember(c)
	if c.Repeatable {
		return r.make(c)
	}
	return r.record(machine.Answered{At: r.now(), Key: c.Key, Outcome: call.Outcome{
		Status: call.Unknown,
		Error: &call.Error{
			Code: "outcome_unknown", Class: "unknown",
			Message: "the host stopped while the call was under way: it may have happened",
		},
	}})
}

// remember notes a call, for what is said about it later.
func (r *runner) remember(c machine.Call) {
	if r.made == nil {
		r.made = map[string]call.Call{}
	}
	r.made[c.Key] = c.Call
	r.fedBy(c.Step)
}

func (r *runner) crash(p Point, c call.Call) bool {
	return r.h.opts.Crash != nil && r.h.opts.Crash(p, stepID(c.Step), c.Attempt)
}

// stepID returns the id at the end of a step's path.
func stepID(path string) string {
	if i := strings.LastIndexAny(path, "./"); i >= 0 {
		return path[i+1:]
	}
	return path
}

// due does what the agenda has for now, and tells whether there was anything.
func (r *runner) due() (bool, error) {
	any := false
	for {
		do := r.agenda.pop(r.now())
		if do == nil {
			return any, nil
		}
		any = true
		if err := do(); err != nil {
			return any, err
		}
	}
}

func (r *runner) subscribe(c machine.Await) {
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	r.subs[c.ID] = c
	for _, e := range r.h.events {
		r.offer(e)
	}
}

// unsubscribe drops what the run no longer waits for.
func (r *runner) unsubscribe() {
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	maps.DeleteFunc(r.subs, func(_ int, s machine.Await) bool { return !r.m.Wants(s) })
}

// offer posts an event to the subscriptions that it fits. The host's lock is held.
func (r *runner) offer(e host.Event) {
	for _, id := range slices.Sorted(maps.Keys(r.subs)) {
		s := r.subs[id]
		if s.Event == e.Name && s.Subject == e.Subject && !e.At.Before(s.Since) &&
			(s.Connection == "" || e.Connection == "" || s.Connection == e.Connection) {
			r.post(machine.Arrived{At: r.now(), Await: id, ID: e.ID, Data: e.Data})
		}
	}
}

// waits tells what the run waits for, for people.
func (r *runner) waits() []string {
	var out []string
	for _, s := range r.subs {
		if r.m.Wants(s) {
			out = append(out, fmt.Sprintf("%s from %s", s.Event, s.Subject))
		}
	}
	slices.Sort(out)
	return out
}
