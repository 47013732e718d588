package local

import (
	"context"
	"fmt"
	"sync"
	"time"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
	"facteur/flow/plan"
)

// A runner carries one run. Only its loop touches the machine; what comes from elsewhere
// goes through post. In the foreground the loop waits for that. Otherwise it ends when there
// is nothing to do, and whoever brings something begins it again: while a run waits for an
// answer, no goroutine waits with it.
type runner struct {
	h        *Host
	w        *ward
	m        *machine.Machine
	plan     *plan.Plan
	planned  *host.Planned // nil in the foreground
	virtual  *host.Virtual // nil: time is real
	id       string
	started  time.Time
	stays    bool    // in the foreground: it is not parked, and ends when its context does
	restored *backup // nil: it is not from one

	agenda   agenda
	lines    map[string]*line // by limit: calls that wait for a place
	held     []waitingCall    // by a hold
	nextLine int64
	asked    []machine.Await      // that it does not listen to yet
	made     map[string]*underWay // by key
	fault    error                // of OnStep
	halted   error                // why a run that has just begun goes no further
	doubt    error                // why one from a backup does not, once its calls have ended

	head    *journal.Run    // of a run that began here …
	fresh   bool            // … and is not stored yet
	pending journal.Change  // applied, and not stored yet
	acks    []chan<- error  // of those who wait until it is
	records int             // that are stored
	roused  time.Time       // when something came last
	unknown map[string]bool // keys of calls that are stored as unknown
	ended   *host.Result    // once that is stored

	calls sync.WaitGroup
	wake  chan struct{} // wakes the loop in the foreground; nil elsewhere

	mu    sync.Mutex
	inbox []item
	poked bool // there is something to look at …
	alone bool // … and the loop has ended until there is

	subs map[int]*listening     // written with the host's lock held
	old  []journal.Subscription // of the run before it was rebuilt, until it listens anew
}

// An item is something for the loop.
type item struct {
	event machine.Event
	// make gives the event in place of event. Its error goes to told alone.
	make   func(m *machine.Machine) (machine.Event, error)
	begins *underWay    // a call that wants to be taken up, in place of an event
	told   chan<- error // is answered when the event is stored, though not durably; may be nil
}

// carry gives a ward a runner. The host's lock is held.
func (h *Host) carry(w *ward) *runner {
	r := &runner{h: h, w: w, virtual: h.virtual, id: w.id}
	w.state, w.runner = carried, r
	return r
}

// create begins a run that is not stored yet.
func (r *runner) create(p *plan.Plan, start *machine.Start, head *journal.Run) error {
	first, err := r.h.encodeStart(start)
	if err != nil {
		return err
	}
	r.head, r.fresh = head, true
	r.pending.Records = append(make([]journal.Record, 0, 2), first) // and that a call is taken up
	r.plan, r.started = p, start.At
	r.m = machine.New(p, *start)
	if r.restore(head); r.restored != nil {
		r.restored.end(r.m)
	}
	return nil
}

// replay rebuilds the machine of a stored run. Steps that ended before it was parked were
// told then; those that end by what was handed to it since are told now.
func (r *runner) replay(p *plan.Plan, head journal.Run, records []journal.Record) error {
	before := max(1, len(records)-r.takeHanded())
	each := func(*machine.Machine, machine.Event) {}
	if r.restore(&head); r.restored != nil {
		each = r.restored.see
	}
	m, start, err := r.h.replay(p, head, records[:before], each)
	if err != nil {
		return err
	}
	m.Ended()
	for _, record := range records[before:] {
		event, err := r.h.decode(r.id, record)
		if err != nil {
			return err
		}
		if event == nil {
			continue
		}
		each(m, event)
		if err := m.Apply(event); err != nil {
			return err
		}
	}
	if r.restored != nil {
		r.restored.end(m)
	}
	r.m, r.plan, r.started = m, p, start.At
	unknown := m.Unknown()
	for _, key := range unknown {
		r.noteUnknown(key)
	}
	if head.Unknown > len(unknown) { // a receipt came while nobody carried the run
		for _, s := range m.Steps() {
			r.pending.Settled = append(r.pending.Settled, difference(s.Keys, unknown)...)
		}
	}
	return nil
}

// takeHanded returns how many records there are from the first receipt on that was handed to
// the run while nobody carried it.
func (r *runner) takeHanded() int {
	if r.w == nil {
		return 0
	}
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	n := r.w.handed
	r.w.handed = 0
	return n
}

// post hands the loop something.
func (r *runner) post(i item) {
	if r.leave(i) {
		r.h.crew.do(r.work)
	}
}

// poke makes the loop look around.
func (r *runner) poke() {
	if r.leave() {
		r.h.crew.do(r.work)
	}
}

// leave leaves something for the loop, or only word to look around. It tells whether the
// loop has ended: then it is the caller who has to begin it again.
func (r *runner) leave(items ...item) (alone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inbox = append(r.inbox, items...)
	select {
	case r.wake <- struct{}{}:
	default:
	}
	alone = r.alone
	r.poked, r.alone = true, false
	return alone
}

func (r *runner) take() []item {
	r.mu.Lock()
	defer r.mu.Unlock()
	items := r.inbox
	r.inbox = nil
	return items
}

// isIdle tells whether nothing came since it was asked last. If so, and the loop is to end
// then, whoever brings something from here on begins it again.
func (r *runner) isIdle(ends bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.poked || len(r.inbox) > 0 {
		r.poked = false
		return false
	}
	r.alone = ends
	return true
}

func (r *runner) now() time.Time { return r.h.opts.Clock.Now() }

// loop performs commands and applies events until the run has ended, or is in its hands no
// more.
func (r *runner) loop(ctx context.Context) (ended bool, err error) {
	soft := ctx
	for {
		if err := r.advance(); err != nil {
			return false, err
		}
		if result := r.m.Result(); result != nil && len(r.made) == 0 {
			return true, r.end(result)
		}
		if r.doubt != nil && len(r.made) == 0 {
			if err := r.flush(false); err != nil {
				return false, err
			}
			return false, r.doubt
		}
		// What came goes before what is due: an event that was there in time is not late.
		items, done := r.take(), false
		if len(items) == 0 {
			var err error
			if done, err = r.due(); err != nil {
				return false, err
			}
		}
		err := soft.Err()
		if len(items) == 0 && !done && err == nil {
			var gone bool
			if gone, err = r.rest(soft); gone {
				return false, err
			}
		}
		if _, stuck := err.(*host.StuckError); stuck {
			return false, &host.StuckError{Waits: r.waits()}
		}
		if _, failed := err.(*storeError); failed {
			return false, err
		}
		if err != nil {
			soft = context.WithoutCancel(ctx)
			items = append(items, item{event: machine.CancelRequested{At: r.now(), Reason: "interrupted"}})
		}
		if len(items) > 0 {
			r.roused = r.now()
		}
		for i, one := range items {
			if err := r.deal(one); err != nil {
				r.putBack(items[i:])
				return false, err
			}
		}
	}
}

// advance does what the machine wants, and tells what became of steps.
func (r *runner) advance() error {
	if err := r.recheck(); err != nil {
		return err
	}
	if err := r.perform(); err != nil {
		return err
	}
	r.leaveOld()
	if err := r.listen(); err != nil {
		return err
	}
	r.unsubscribe()
	r.tell()
	return nil
}

// rest stores what has happened, and waits until something does, or lets go of the run.
func (r *runner) rest(ctx context.Context) (gone bool, err error) {
	if err := r.flush(false); err != nil {
		return true, err
	}
	if r.stays {
		return false, r.h.opts.Clock.Wait(ctx, r.agenda.next(), r.wake)
	}
	if err := r.h.failed(); err != nil {
		return true, err
	}
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	return r.letGo()
}

// deal applies what came.
func (r *runner) deal(i item) error {
	if i.begins != nil {
		refused, err := i.begins.takeUp()
		if err == nil {
			i.told <- refused
		}
		return err
	}
	event := i.event
	if i.make != nil {
		var err error
		if event, err = i.make(r.m); err != nil {
			i.told <- err
			return nil
		}
		if event == nil {
			i.told <- nil
			return nil
		}
	}
	if a, ok := event.(machine.Answered); ok && !r.made[a.Key].taken { // it never began
		u := r.made[a.Key]
		if !r.m.Wants(u.Call) {
			delete(r.made, a.Key)
			return nil
		}
		if u.paused {
			a.Outcome = host.HeldOutcome("held", errPaused.Error())
			event = a
		}
		if err := r.apply(r.takenUp(u.Call)); err != nil {
			return err
		}
	}
	if a, ok := event.(machine.Arrived); ok && !r.m.Wants(machine.Await{ID: a.Await}) {
		return nil // it was on its way when the run stopped waiting
	}
	if came, ok := event.(machine.Received); ok && r.restored != nil && !r.mayHear(came.Receipt.Key) {
		if i.told != nil {
			r.acks = append(r.acks, i.told)
		}
		return nil
	}
	if err := r.apply(event); err != nil {
		return err
	}
	if i.told != nil {
		r.acks = append(r.acks, i.told)
	}
	return nil
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

// end stores the end of the run: durably in the foreground. Elsewhere that is for those who
// want to know the end to wait for, and the next run goes on meanwhile.
func (r *runner) end(result *machine.Result) error {
	r.pending.Status, r.pending.Ended = string(result.Status), r.m.Now()
	if err := r.flush(r.stays); err != nil {
		return err
	}
	r.ended = host.ResultOf(r.m, r.id, r.plan.Name, r.started)
	return nil
}

// result tells how far the run came: once it has ended, everybody the same.
func (r *runner) result() *host.Result {
	if r.ended != nil {
		return r.ended
	}
	out := host.ResultOf(r.m, r.id, r.plan.Name, r.started)
	out.Result = machine.Result{Status: machine.Running}
	return out
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
			r.fault = fmt.Errorf("the run %s went on, but telling of its step %s broke: %v", r.id, s.Path, v)
		}
	}()
	r.h.opts.OnStep(r.id, s, r.m.Sensitive())
}

// putBack keeps what could not be stored.
func (r *runner) putBack(items []item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inbox = append(items, r.inbox...)
}

// salvage applies the outcomes that came and could not be recorded, so that who is told
// that the journal failed is also told what became of the calls. The journal does not
// know: there, they are unknown.
func (r *runner) salvage() {
	for _, i := range r.take() {
		if answered, ok := i.event.(machine.Answered); ok {
			_ = r.m.Apply(answered)
		}
	}
	r.tell()
}
