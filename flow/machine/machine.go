// Package machine decides what a run does next. It is pure: events in, commands out;
// no IO, no clock, no goroutine. All policy lives here: retries and back-off,
// time-outs, waiting for receipts and events, what an unknown outcome leads to,
// failure, cancelling, what a person's retry does again.
//
// A host makes a machine with New, performs the commands of Next, and hands back what
// happened with Apply, until Result is there. The same plan and the same events give
// the same commands and the same result, always: a run is resumed by applying the
// events of its journal to a new machine.
package machine

import (
	"fmt"
	"time"

	"facteur/flow/call"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

// Version is the version of the machine's decisions. It changes when the same events
// could lead to other commands; a run is finished by the version that started it.
const Version = 1

// A Machine is one run. It is not safe for concurrent use.
type Machine struct {
	start   Start
	now     time.Time
	ready   []job // from readyAt on
	readyAt int
	root    group
	result  *Result
	again   *again // how a run that failed or was cancelled goes on after a retry
	resend  bool   // the latest retry allowed it

	// Maps are nil until they are needed.
	out       []Command       // since the last Next
	most      int             // how many there may be before they are looked through
	made      []*attempt      // by the number in their keys, from 1; nil: taken back
	withdrawn map[string]bool // calls that the host was given and must forget
	timers    []sleeper       // by their numbers, from 1; nil: over
	awaits    map[int]*waiting
	unknown   []string         // keys of calls whose outcome nobody knows
	pasts     map[string]*past // by path

	consumed map[string]bool      // ids of events that had their effect
	listens  bool                 // the run may wait for events
	lastCall map[string]time.Time // when the subject was last written to, if it does
	draws    map[string]uint64    // how much randomness each place has used
	random   []int64
	drawn    []int64
	draw     draw // of the expression that is being evaluated

	nextAwait int
	steps     []*Step
	ended     []*Step
	ways      map[way]string // besides steps; to the name of the flow
	sensitive []any

	room struct { // for the first of each, which is all that most runs have
		ready  [2]job
		made   [1]*attempt
		timers [1]sleeper
		steps  [1]*Step
		ended  [1]*Step

		// Not its report: who keeps that must not keep the machine.
		flow     flowing
		list     list
		activity activity
		attempt  attempt
	}
}

// A Result is how a run ended.
type Result struct {
	Status  Status
	Outputs map[string]any
	Error   *call.Error // nil unless the run failed
	Step    string      // the path of the step that failed, "" when none did
}

// Status is the status of a run or of a step.
type Status string

// The statuses.
const (
	Running   Status = "running"
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
	Skipped   Status = "skipped"   // of steps
	Cancelled Status = "cancelled" // of runs, and of the steps that were under way
)

// New starts a run.
func New(p *plan.Plan, s Start) *Machine {
	s.At = instant(s.At)
	if _, changed := schema.Stored(s.Inputs); changed {
		s.Inputs = canonical(p.Inputs, s.Inputs)
	}
	m := &Machine{
		start: s, now: s.At, random: s.Random,
		listens: len(p.Events) > 0,
	}
	m.ready, m.made, m.timers = m.room.ready[:0], m.room.made[:0], m.room.timers[:0]
	m.steps, m.ended = m.room.steps[:0], m.room.ended[:0]
	m.flow(p, s.Inputs, &m.root, "", false, func(r result, outputs map[string]any) {
		m.result, m.again = &Result{Outputs: outputs}, r.again
		switch r.end {
		case completed, returned:
			m.result.Status, m.again = Succeeded, nil
		case failed:
			m.result.Status, m.result.Error, m.result.Step = Failed, r.failure.err, r.failure.path
		case stopped:
			m.result.Status = Cancelled
		}
	})
	m.advance()
	return m
}

// instant is a time as a journal gives it back, wherever it was taken.
func instant(t time.Time) time.Time { return t.Round(0).UTC() }

// later puts work behind what is already ready, which keeps the stack flat.
func (m *Machine) later(j job) { m.ready = append(m.ready, j) }

// A job is work that is ready.
type job interface{ run() }

// A todo is a job that is one function.
type todo func()

func (f todo) run() { f() }

func (m *Machine) advance() {
	for m.readyAt < len(m.ready) {
		j := m.ready[m.readyAt]
		m.ready[m.readyAt] = nil
		if m.readyAt++; m.readyAt == len(m.ready) {
			m.ready, m.readyAt = m.ready[:0], 0
		}
		j.run()
	}
}

// Next returns what the run wants done that it has not asked for before. A host MUST
// record Taken before it performs a Call, or, of one that Prepares, before it lets it
// begin. After a resume Next returns everything that
// is still wanted; a call that was taken up without an outcome is marked InFlight.
func (m *Machine) Next() []Command {
	m.forget()
	for _, c := range m.out {
		switch c := c.(type) {
		case *Call:
			at := m.call(c.Key)
			at.handed, c.InFlight = true, at.taken
		case Cancel:
			delete(m.withdrawn, c.Key)
		}
	}
	out := m.out
	m.out, m.most = nil, 0
	return out
}

// forget drops the commands that nobody needs any more.
func (m *Machine) forget() {
	live := m.out[:0]
	for _, c := range m.out {
		cancel, ok := c.(Cancel)
		if m.Wants(c) || ok && m.withdrawn[cancel.Key] {
			live = append(live, c)
		}
	}
	clear(m.out[len(live):])
	m.out = live
}

// Wants tells whether the run still needs what a command asked for.
func (m *Machine) Wants(c Command) bool {
	switch c := c.(type) {
	case *Call:
		at := m.live(c.Key)
		return at != nil && !at.answered
	case Cancel:
		at := m.live(c.Key)
		return at != nil && !at.answered && at.cancelled
	case Sleep:
		return c.Timer > 0 && c.Timer <= len(m.timers) && m.timers[c.Timer-1] != nil
	case Await:
		return m.awaits[c.ID] != nil
	case Watch:
		at := m.call(c.Key)
		return at != nil && at.watching
	}
	return false
}

// Result returns how the run ended, nil while it goes on.
func (m *Machine) Result() *Result { return m.result }

// Now returns the time of the latest event.
func (m *Machine) Now() time.Time { return m.now }

// A MismatchError says that the events do not belong to this plan: a replay would do
// something else than what was recorded. The run must not go on.
type MismatchError struct{ Reason string }

func (e *MismatchError) Error() string { return "the record does not fit the flow: " + e.Reason }

func mismatch(format string, args ...any) error {
	return &MismatchError{fmt.Sprintf(format, args...)}
}

// Apply tells the machine what happened. The error is a *MismatchError; the machine is
// then as it was before.
func (m *Machine) Apply(event Event) error {
	if event == nil {
		return mismatch("an event is missing")
	}
	before := m.now
	if at := instant(event.Time()); at.After(m.now) {
		m.now = at // a clock that jumps back does not take the run's time with it
	}
	if err := m.apply(event); err != nil {
		m.now = before
		return err
	}
	m.advance()
	if len(m.out) > m.most { // a long journal is being applied
		m.forget()
		m.most = 2*len(m.out) + 64
	}
	return nil
}

func (m *Machine) apply(event Event) error {
	switch e := event.(type) {
	case Taken:
		switch at := m.live(e.Key); {
		case at == nil:
			return mismatch("it took up the call %s, which the flow does not make", e.Key)
		case at.taken:
			return mismatch("it took up the call %s twice", e.Key)
		case e.Print != at.print:
			return mismatch("its call %s of step %s was another one", e.Key, at.report.Path)
		default:
			at.a.onTaken()
		}
	case Answered:
		at := m.live(e.Key)
		if at == nil || !at.taken || at.answered {
			return mismatch("it has an outcome for the call %s, which is not under way", e.Key)
		}
		at.a.onAnswer(e.Outcome)
	case Received:
		if at := m.call(e.Receipt.Key); at != nil {
			m.receive(at, e.Receipt)
		}
	case Settled:
		if at := m.call(e.Key); at != nil && at.fate == doubtful {
			m.settle(at, e)
		}
	case Fired:
		if e.Timer < 1 || e.Timer > len(m.timers) {
			return mismatch("its timer %d fired, which the flow does not set", e.Timer)
		}
		if s := m.timers[e.Timer-1]; s != nil {
			m.drop(e.Timer)
			s.fired()
		}
	case Arrived:
		if e.Await < 1 || e.Await > m.nextAwait {
			return mismatch("an event arrived for the wait %d, which the flow does not make", e.Await)
		}
		if w := m.awaits[e.Await]; w != nil {
			w.arrived(e)
		}
	case CancelRequested:
		m.root.stop(cancelling)
	case Retried:
		if err := m.Retryable(e.Resend); err != nil {
			return mismatch("it was retried, but %s", err)
		}
		m.onRetried(e)
	default:
		return mismatch("unknown event %T", event)
	}
	return nil
}

// call returns the attempt with a key, nil when there is none.
func (m *Machine) call(key string) *attempt {
	n := call.NumberOf(key)
	if n < 1 || n > len(m.made) || m.made[n-1] == nil || m.made[n-1].key != key {
		return nil
	}
	return m.made[n-1]
}

// Key returns the key of the run's n-th call, from 1: it has one, or would have it.
func (m *Machine) Key(n int) string { return call.KeyOf(m.start.Run, n) }

// Numbered returns how many calls have a number by now, those that were taken back included.
func (m *Machine) Numbered() int { return len(m.made) }

// Unmade returns how many of those numbers no call has: it was taken back, because it was not to be
// made after all, or they were left out.
func (m *Machine) Unmade() (n int) {
	for _, at := range m.made {
		if at == nil {
			n++
		}
	}
	return n
}

// Has tells whether the run has made, or is to make, a call with that key.
func (m *Machine) Has(key string) bool { return m.call(key) != nil }

// live returns the attempt with a key if its step is at it.
func (m *Machine) live(key string) *attempt {
	at := m.call(key)
	if at == nil || at.a == nil || at.a.now != at || at.a.phase != calling {
		return nil
	}
	return at
}

// withdraw takes back a call that was not taken up.
func (m *Machine) withdraw(at *attempt) {
	m.made[at.n-1] = nil
	if at.handed {
		put(&m.withdrawn, at.key, true)
		m.out = append(m.out, Cancel{at.key})
	}
}

// A sleeper waits for a time.
type sleeper interface{ fired() }

// sleep wakes a sleeper when the time has come, unless the timer is dropped before.
func (m *Machine) sleep(until time.Time, s sleeper) (timer int) {
	m.timers = append(m.timers, s)
	timer = len(m.timers)
	m.out = append(m.out, Sleep{timer, until})
	return timer
}

// drop forgets a timer; 0 is none.
func (m *Machine) drop(timer int) {
	if timer > 0 {
		m.timers[timer-1] = nil
	}
}

// first returns the room for the first of a kind while that is free, else another one.
func first[T any](room *T, free bool) *T {
	if free {
		return room
	}
	return new(T)
}

// put writes into a map that most runs never need.
func put[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[k] = v
}
