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
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
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
	plan   *plan.Plan
	start  Start
	now    time.Time
	ready  []func()
	root   *group
	result *Result

	out     []Command // since the last Next
	calls   map[string]*attempt
	timers  map[int]func()
	awaits  map[int]func(Arrived)
	watches map[string]bool

	receipts map[string][]call.Receipt // by call key, in order of arrival
	consumed map[string]bool           // ids of events and receipts that had their effect
	lastCall map[string]time.Time      // when the subject was last written to
	draws    map[string]uint64         // how much randomness each place has used
	random   []int64

	nextCall, nextTimer, nextAwait int
	cancelled                      *string
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
	m := &Machine{
		plan: p, start: s, now: s.At, root: &group{},
		calls: map[string]*attempt{}, timers: map[int]func(){}, awaits: map[int]func(Arrived){},
		watches: map[string]bool{}, receipts: map[string][]call.Receipt{}, consumed: map[string]bool{},
		lastCall: map[string]time.Time{}, draws: map[string]uint64{}, random: s.Random,
		branches: map[plan.Branch]bool{},
	}
	m.flow(p, s.Inputs, m.root, "", func(r result, outputs map[string]any) {
		m.result = &Result{Outputs: outputs}
		switch r.end {
		case completed, returned:
			m.result.Status = Succeeded
		case failed:
			m.result.Status, m.result.Error, m.result.Step = Failed, r.failure.err, r.failure.step
		case stopped:
			m.result.Status = Cancelled
		}
	})
	m.advance()
	return m
}

// later puts work behind what is already ready, which keeps the stack flat.
func (m *Machine) later(f func()) { m.ready = append(m.ready, f) }

func (m *Machine) advance() {
	for len(m.ready) > 0 {
		f := m.ready[0]
		m.ready = m.ready[1:]
		f()
	}
	m.ready = nil
}

// Next returns what the run wants done that it has not asked for before. A host MUST
// record Taken before it performs a Call. After a resume Next returns everything that
// is still wanted; a call that was taken up without an outcome is marked InFlight.
func (m *Machine) Next() []Command {
	if len(m.out) == 0 {
		return nil
	}
	live := m.out[:0]
	for _, c := range m.out {
		switch c := c.(type) {
		case Call:
			if a := m.calls[c.Key]; a == nil || a.phase == withdrawn || a.answered {
				continue
			} else if a.taken {
				c.InFlight = true
				live = append(live, c)
				continue
			}
		case Cancel:
			if a := m.calls[c.Key]; a == nil || a.answered {
				continue
			}
		case Sleep:
			if m.timers[c.Timer] == nil {
				continue
			}
		case Await:
			if m.awaits[c.ID] == nil {
				continue
			}
		case Watch:
			if !m.watches[c.Key] {
				continue
			}
		}
		live = append(live, c)
	}
	m.out = nil
	return live
}

// Wants tells whether the run still needs what a command asked for.
func (m *Machine) Wants(c Command) bool {
	switch c := c.(type) {
	case Call:
		a := m.calls[c.Key]
		return a != nil && !a.answered && a.phase != withdrawn
	case Cancel:
		a := m.calls[c.Key]
		return a != nil && !a.answered
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

// Apply tells the machine what happened. The error is a *MismatchError.
func (m *Machine) Apply(event Event) error {
	if at := event.Time(); at.After(m.now) {
		m.now = at // a clock that jumps back does not take the run's time with it
	}
	if err := m.apply(event); err != nil {
		return err
	}
	m.advance()
	return nil
}

func (m *Machine) apply(event Event) error {
	switch e := event.(type) {
	case Taken:
		a := m.calls[e.Key]
		switch {
		case a == nil:
			return &MismatchError{fmt.Sprintf("it took up the call %s, which the flow does not make", e.Key)}
		case a.taken || a.phase == withdrawn:
			return &MismatchError{fmt.Sprintf("it took up the call %s, which was not to be made", e.Key)}
		case e.Print != a.print:
			return &MismatchError{fmt.Sprintf("its call %s of step %s was another one", e.Key, a.act.path)}
		}
		a.onTaken()
	case Answered:
		a := m.calls[e.Key]
		if a == nil || !a.taken || a.answered {
			return &MismatchError{fmt.Sprintf("it has an outcome for the call %s, which is not under way", e.Key)}
		}
		a.onAnswer(e.Outcome)
	case Received:
		m.receive(e.Receipt)
	case Fired:
		if f := m.timers[e.Timer]; f != nil {
			delete(m.timers, e.Timer)
			f()
		}
	case Arrived:
		if f := m.awaits[e.Await]; f != nil && !m.consumed[e.ID] {
			f(e)
		}
	case CancelRequested:
		if m.cancelled == nil && m.result == nil {
			reason := e.Reason
			m.cancelled = &reason
			m.root.stop(cancelling)
		}
	default:
		return &MismatchError{fmt.Sprintf("unknown event %T", event)}
	}
	return nil
}

func (m *Machine) receive(r call.Receipt) {
	if r.ID != "" {
		if m.consumed["receipt "+r.ID] {
			return
		}
		m.consumed["receipt "+r.ID] = true
	}
	m.receipts[r.Key] = append(m.receipts[r.Key], r)
	if a := m.calls[r.Key]; a != nil {
		a.onReceipt(r)
	}
}

// sleep calls f when the time has come, unless the returned func is called before.
func (m *Machine) sleep(until time.Time, f func()) (drop func()) {
	m.nextTimer++
	id := m.nextTimer
	m.timers[id] = f
	m.out = append(m.out, Sleep{id, until})
	return func() { delete(m.timers, id) }
}

// print identifies a call by what it does.
func print(c call.Call) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %s %d ", c.Action, c.Connection, c.Step, c.Attempt)
	// Inputs are plain values, which always encode; maps are sorted.
	_ = json.NewEncoder(h).Encode(c.Input)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

var errStopped = errors.New("stopped")
