// Package machine decides what a run does next. It is pure: events in, commands out;
// no IO, no clock, no goroutine. All policy lives here: retries and back-off,
// time-outs, waiting for receipts and events, what an unknown outcome leads to,
// failure, cancelling.
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
)

// Version is the version of the machine's decisions. It changes when the same events
// could lead to other commands; a run is finished by the version that started it.
const Version = 1

// A Machine is one run. It is not safe for concurrent use.
type Machine struct {
	start    Start
	callKeys string // what the keys of the run's calls begin with
	now      time.Time
	ready    []func() // from readyAt on
	readyAt  int
	root     *group
	result   *Result

	out       []Command            // since the last Next
	most      int                  // how many there may be before they are looked through
	calls     map[string]*activity // whose attempt has that key
	withdrawn map[string]bool      // calls that the host was given and must forget
	timers    map[int]func()
	awaits    map[int]*waiting // this and the next are nil until they are needed
	watches   map[string]bool

	consumed map[string]bool      // ids of events that had their effect
	lastCall map[string]time.Time // when the subject was last written to
	draws    map[string]uint64    // how much randomness each place has used
	random   []int64
	skipped  map[string]any // what expressions see of a step that has not run; never written to
	draw     draw           // of the expression that is being evaluated
	buf      []byte         // room to work in

	nextCall, nextTimer, nextAwait int
	steps                          []*Step
	ended                          []*Step
	branches                       map[plan.Branch]bool
	sensitive                      []any
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
	if _, changed := stored(s.Inputs); changed {
		s.Inputs = canonical(p.Inputs, s.Inputs)
	}
	m := &Machine{
		start: s, callKeys: "f1." + s.Run + ".", now: s.At, root: &group{},
		calls: map[string]*activity{}, timers: map[int]func(){}, lastCall: map[string]time.Time{},
		branches: map[plan.Branch]bool{}, random: s.Random,
		skipped: map[string]any{"status": string(Skipped), "attempts": int64(0)},
	}
	m.flow(p, s.Inputs, m.root, "", func(r result, outputs map[string]any) {
		m.result = &Result{Outputs: outputs}
		switch r.end {
		case completed, returned:
			m.result.Status = Succeeded
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
func (m *Machine) later(f func()) { m.ready = append(m.ready, f) }

func (m *Machine) advance() {
	for m.readyAt < len(m.ready) {
		f := m.ready[m.readyAt]
		m.ready[m.readyAt] = nil
		if m.readyAt++; m.readyAt == len(m.ready) {
			m.ready, m.readyAt = m.ready[:0], 0
		}
		f()
	}
}

// Next returns what the run wants done that it has not asked for before. A host MUST
// record Taken before it performs a Call. After a resume Next returns everything that
// is still wanted; a call that was taken up without an outcome is marked InFlight.
func (m *Machine) Next() []Command {
	m.forget()
	for i, c := range m.out {
		switch c := c.(type) {
		case Call:
			a := m.calls[c.Key]
			a.handed = true
			if a.taken {
				c.InFlight = true
				m.out[i] = c
			}
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
	case Call:
		a := m.calls[c.Key]
		return a != nil && !a.answered
	case Cancel:
		a := m.calls[c.Key]
		return a != nil && !a.answered && a.cancelled
	case Sleep:
		return m.timers[c.Timer] != nil
	case Await:
		return m.awaits[c.ID] != nil
	case Watch:
		return m.watches[c.Key]
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
		switch a := m.calls[e.Key]; {
		case a == nil:
			return mismatch("it took up the call %s, which the flow does not make", e.Key)
		case a.taken:
			return mismatch("it took up the call %s twice", e.Key)
		case e.Print != a.print:
			return mismatch("its call %s of step %s was another one", e.Key, a.report.Path)
		default:
			a.onTaken()
		}
	case Answered:
		a := m.calls[e.Key]
		if a == nil || !a.taken || a.answered {
			return mismatch("it has an outcome for the call %s, which is not under way", e.Key)
		}
		a.onAnswer(e.Outcome)
	case Received:
		if a := m.calls[e.Receipt.Key]; a != nil {
			a.receive(e.Receipt)
		}
	case Fired:
		if e.Timer < 1 || e.Timer > m.nextTimer {
			return mismatch("its timer %d fired, which the flow does not set", e.Timer)
		}
		if f := m.timers[e.Timer]; f != nil {
			delete(m.timers, e.Timer)
			f()
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
	default:
		return mismatch("unknown event %T", event)
	}
	return nil
}

// sleep calls f when the time has come, unless the timer is dropped before.
func (m *Machine) sleep(until time.Time, f func()) (timer int) {
	m.nextTimer++
	m.timers[m.nextTimer] = f
	m.out = append(m.out, Sleep{m.nextTimer, until})
	return m.nextTimer
}

// drop forgets a timer; 0 is none.
func (m *Machine) drop(timer int) { delete(m.timers, timer) }

// put writes into a map that most runs never need.
func put[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[k] = v
}

// withdraw takes back a call that was not taken up.
func (m *Machine) withdraw(a *activity) {
	if !a.handed {
		return
	}
	put(&m.withdrawn, a.key, true)
	m.out = append(m.out, Cancel{a.key})
}
