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
	retry   *retryPoint // where a retry resumes; nil unless the run failed or was cancelled
	resend  bool        // the latest retry may repeat calls whose outcome is unknown

	// Maps are nil until they are needed.
	commands  []Command           // for the next call of Next
	pruneAt   int                 // prune commands when there are more than this
	attempts  []*attempt          // by call number - 1; nil: withdrawn, or a number left out
	withdrawn map[string]bool     // keys of calls that the host was given and must forget
	timers    []timerHandler      // by timer number - 1; nil: stopped or fired
	awaits    map[int]*waitForRun // by Await.ID
	unknown   []string            // keys of calls whose outcome is unknown
	visits    map[string]*visit   // by Step.Path; steps in a finally or in on_failure

	consumed   map[string]bool      // ids of events that a wait_for consumed
	listens    bool                 // the plan waits for events
	lastCall   map[string]time.Time // by subject: its latest call; kept only if listens
	drawCounts map[string]uint64    // by place: how often it has drawn
	random     []int64              // what is left of Start.Random
	drawn      []int64
	source     randomSource // of the expression that is being evaluated

	lastAwait int // the latest Await.ID
	steps     []*Step
	ended     []*Step // since the last call of Ended
	branches  map[plan.CoveragePoint]bool
	sensitive []any

	// inline is memory for the first of each, which is all that most runs need.
	inline struct {
		ready    [2]job
		attempts [1]*attempt
		timers   [1]timerHandler
		steps    [1]*Step
		ended    [1]*Step

		// No Step is in here: a caller that keeps one must not keep the machine alive.
		flow    flowRun
		block   block
		action  actionRun
		attempt attempt
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
	s.At = normalTime(s.At)
	if _, changed := schema.Stored(s.Inputs); changed {
		s.Inputs = canonical(p.Inputs, s.Inputs)
	}
	m := &Machine{
		start: s, now: s.At, random: s.Random,
		listens: len(p.Events) > 0,
	}
	m.ready, m.attempts, m.timers = m.inline.ready[:0], m.inline.attempts[:0], m.inline.timers[:0]
	m.steps, m.ended = m.inline.steps[:0], m.inline.ended[:0]
	m.runFlow(p, s.Inputs, &m.root, "", false, func(r result, outputs map[string]any) {
		m.result, m.retry = &Result{Outputs: outputs}, r.retry
		switch r.end {
		case completed, returned:
			m.result.Status, m.retry = Succeeded, nil
		case failed:
			m.result.Status, m.result.Error, m.result.Step = Failed, r.failure.err, r.failure.path
		case stopped:
			m.result.Status = Cancelled
		}
	})
	m.advance()
	return m
}

// normalTime returns a time in the form that it has when it is read from a journal: without
// a monotonic clock reading, in UTC.
func normalTime(t time.Time) time.Time { return t.Round(0).UTC() }

// later adds a job to the queue. Queueing instead of calling keeps the stack flat.
func (m *Machine) later(j job) { m.ready = append(m.ready, j) }

// A job is work that is ready to run.
type job interface{ run() }

// A jobFunc is a function as a job.
type jobFunc func()

func (f jobFunc) run() { f() }

// advance runs jobs until none is ready.
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

// Next returns the commands that the run has not returned before. A host MUST record Taken
// before it performs a Call, or, of one that Prepares, before it lets it begin. On a
// machine that was rebuilt from a journal, Next returns every command that is still wanted;
// a call that was taken up without an outcome is marked InFlight.
func (m *Machine) Next() []Command {
	m.pruneCommands()
	for _, c := range m.commands {
		switch c := c.(type) {
		case *Call:
			at := m.call(c.Key)
			at.issued, c.InFlight = true, at.taken
		case Cancel:
			delete(m.withdrawn, c.Key)
		}
	}
	out := m.commands
	m.commands, m.pruneAt = nil, 0
	return out
}

// pruneCommands drops commands that the run no longer wants.
func (m *Machine) pruneCommands() {
	live := m.commands[:0]
	for _, c := range m.commands {
		cancel, ok := c.(Cancel)
		if m.Wants(c) || ok && m.withdrawn[cancel.Key] {
			live = append(live, c)
		}
	}
	clear(m.commands[len(live):])
	m.commands = live
}

// Wants reports whether the run still needs what a command asked for.
func (m *Machine) Wants(c Command) bool {
	switch c := c.(type) {
	case *Call:
		at := m.current(c.Key)
		return at != nil && !at.answered
	case Cancel:
		at := m.current(c.Key)
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

// A MismatchError says that the events do not fit this plan: replaying them would issue
// other commands than those that were recorded. The run must not go on.
type MismatchError struct{ Reason string }

func (e *MismatchError) Error() string { return "the record does not match the flow: " + e.Reason }

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
	if at := normalTime(event.Time()); at.After(m.now) { // the run's time never goes back
		m.now = at
	}
	if err := m.apply(event); err != nil {
		m.now = before
		return err
	}
	m.advance()
	if len(m.commands) > m.pruneAt { // a long journal is replayed without a call of Next
		m.pruneCommands()
		m.pruneAt = 2*len(m.commands) + 64
	}
	return nil
}

func (m *Machine) apply(event Event) error {
	switch e := event.(type) {
	case Taken:
		switch at := m.current(e.Key); {
		case at == nil:
			return mismatch("it has the call %s, which the flow does not make", e.Key)
		case at.taken:
			return mismatch("it has the call %s twice", e.Key)
		case e.Fingerprint != at.fingerprint:
			return mismatch("its call %s of step %s is not the one that the flow makes", e.Key, at.report.Path)
		default:
			at.run.onTaken()
		}
	case Answered:
		at := m.current(e.Key)
		if at == nil || !at.taken || at.answered {
			return mismatch("it has an outcome of the call %s, which is not under way", e.Key)
		}
		at.run.onAnswer(e.Outcome)
	case Received:
		if at := m.call(e.Receipt.Key); at != nil {
			m.receive(at, e.Receipt)
		}
	case Settled:
		if at := m.call(e.Key); at != nil && at.effect == effectUnknown {
			m.settle(at, e)
		}
	case Fired:
		if e.Timer < 1 || e.Timer > len(m.timers) {
			return mismatch("its timer %d fired, which the flow does not set", e.Timer)
		}
		if s := m.timers[e.Timer-1]; s != nil {
			m.stopTimer(e.Timer)
			s.fired()
		}
	case Arrived:
		if e.Await < 1 || e.Await > m.lastAwait {
			return mismatch("an event arrived for the wait %d, which the flow does not have", e.Await)
		}
		if w := m.awaits[e.Await]; w != nil {
			w.onEvent(e)
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

// call returns the attempt with a key, or nil.
func (m *Machine) call(key string) *attempt {
	n := call.NumberOf(key)
	if n < 1 || n > len(m.attempts) || m.attempts[n-1] == nil || m.attempts[n-1].key != key {
		return nil
	}
	return m.attempts[n-1]
}

// Key returns the key of the run's n-th call, from 1, whether that was made or not.
func (m *Machine) Key(n int) string { return call.KeyOf(m.start.Run, n) }

// LastNumber returns the number of the run's latest call, including withdrawn ones and
// numbers left out; 0 before the first.
func (m *Machine) LastNumber() int { return len(m.attempts) }

// UnusedNumbers returns how many numbers up to LastNumber have no call: it was withdrawn
// before it was made, or the number was left out (see Start.Gaps).
func (m *Machine) UnusedNumbers() (n int) {
	for _, at := range m.attempts {
		if at == nil {
			n++
		}
	}
	return n
}

// HasCall reports whether the run has made, or asks for, the call with a key.
func (m *Machine) HasCall(key string) bool { return m.call(key) != nil }

// current returns the attempt with a key if its step waits for its outcome, else nil.
func (m *Machine) current(key string) *attempt {
	at := m.call(key)
	if at == nil || at.run == nil || at.run.latest != at || at.run.phase != calling {
		return nil
	}
	return at
}

// withdraw takes back a call that the host has not taken up.
func (m *Machine) withdraw(at *attempt) {
	m.attempts[at.n-1] = nil
	if at.issued {
		put(&m.withdrawn, at.key, true)
		m.commands = append(m.commands, Cancel{at.key})
	}
}

// A timerHandler is called when its timer fires.
type timerHandler interface{ fired() }

// startTimer calls h at a time, unless the timer is stopped before.
func (m *Machine) startTimer(until time.Time, h timerHandler) (timer int) {
	m.timers = append(m.timers, h)
	timer = len(m.timers)
	m.commands = append(m.commands, Sleep{timer, until})
	return timer
}

// stopTimer stops a timer; 0 is none.
func (m *Machine) stopTimer(timer int) {
	if timer > 0 {
		m.timers[timer-1] = nil
	}
}

// inlineOrNew returns one of Machine.inline while it is free, else a new one.
func inlineOrNew[T any](inline *T, free bool) *T {
	if free {
		return inline
	}
	return new(T)
}

// put sets a value in a map that is made when it is first needed.
func put[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[k] = v
}
