package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
	"facteur/flow/plan"
)

// A runner executes one run. Only its loop touches the machine; everything else sends it
// messages. No goroutine blocks while a call is in flight: see mailbox.
type runner struct {
	h          *Host
	run        *activeRun
	m          *machine.Machine
	plan       *host.CachedPlan // nil in the foreground
	started    time.Time
	foreground bool         // never parked; cancelled when the context of Run or Resume ends
	restored   *restoredRun // nil: not from a backup
	inbox      mailbox

	jobs       jobQueue
	callQueues map[string]*callQueue // by limit
	held       []waitingCall         // waiting for a hold to be lifted
	nextSeq    int64
	newAwaits  []machine.Await          // not subscribed yet
	inFlight   map[string]*inFlightCall // by key
	calls      sync.WaitGroup           // of inFlight
	stepFault  error                    // OnStep panicked
	startErr   error                    // why a run that was just stored cannot go on
	restoreErr error                    // why a restored run stops once its calls have ended

	head          *journal.Run   // of a run that is not stored yet
	pending       journal.Change // applied, not stored yet
	acks          []chan<- error // replies that wait until pending is stored
	storedRecords int            // how many records are stored
	lastActivity  time.Time      // when the last message came
	unknown       []string       // keys of calls that are stored as unknown
	final         *host.Result   // set once the end is stored

	subs    map[int]*subscription  // written with h.mu held
	oldSubs []journal.Subscription // from before it was rebuilt, until newAwaits are subscribed
}

// attachRunner gives a run a runner. The caller holds h.mu.
func (h *Host) attachRunner(run *activeRun) *runner {
	r := &runner{h: h, run: run}
	run.state, run.runner = stateRunning, r
	return r
}

// initRun sets up the runner of a new run, which is not stored yet.
func (r *runner) initRun(p *plan.Plan, start *machine.Start, head *journal.Run) error {
	first, err := r.h.encodeStart(start)
	if err != nil {
		return err
	}
	r.head = head
	r.pending.Records = append(make([]journal.Record, 0, 2), first) // room for a Taken beside it
	r.started = start.At
	r.m = machine.New(p, *start)
	if r.initRestored(p, head); r.restored != nil {
		r.restored.markEnd(r.m)
	}
	return nil
}

// replay rebuilds the machine of a stored run. Steps that ended before it was parked were
// reported then; those that end by records appended since are reported now.
func (r *runner) replay(p *plan.Plan, head journal.Run, records []journal.Record) error {
	before := max(1, len(records)-r.takeUnseenRecords())
	var each func(*machine.Machine, machine.Event)
	if r.initRestored(p, &head); r.restored != nil {
		each = r.restored.observe
	}
	m, start, err := r.h.replay(p, head, records[:before], each)
	if err != nil {
		return err
	}
	m.Ended()
	if err := r.h.replayRecords(m, r.run.id, records[before:], each); err != nil {
		return err
	}
	if r.restored != nil {
		r.restored.markEnd(m)
	}
	r.m, r.started = m, start.At
	r.unknown = m.Unknown()
	if head.Unknown > len(r.unknown) { // a receipt was appended while the run was parked
		var keys []string
		for _, s := range m.Steps() {
			keys = append(keys, s.Keys...)
		}
		r.pending.Settled = difference(keys, r.unknown)
	}
	return nil
}

// takeUnseenRecords returns and resets activeRun.unseenRecords.
func (r *runner) takeUnseenRecords() int {
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	n := r.run.unseenRecords
	r.run.unseenRecords = 0
	return n
}

// post sends a message to the loop.
func (r *runner) post(m message) {
	if r.inbox.put(m) {
		r.h.pool.Go(r.work)
	}
}

// notify has the loop check again what it waits for.
func (r *runner) notify() {
	if r.inbox.put() {
		r.h.pool.Go(r.work)
	}
}

func (r *runner) now() time.Time { return r.h.opts.Clock.Now() }

// loop executes commands and applies messages until the run has ended or was detached.
func (r *runner) loop(ctx context.Context) (ended bool, err error) {
	soft := ctx
	for {
		if err := r.advance(); err != nil {
			return false, err
		}
		switch result := r.m.Result(); {
		case len(r.inFlight) > 0:
		case result != nil:
			return true, r.end(result)
		case r.restoreErr != nil:
			return false, cmp.Or(r.flush(false), r.restoreErr)
		}
		messages, gone, err := r.next(soft)
		if gone || err != nil {
			return false, err
		}
		if soft.Err() != nil {
			soft = context.WithoutCancel(ctx)
			messages = append(messages, message{event: machine.CancelRequested{At: r.now(), Reason: "interrupted"}})
		}
		if len(messages) > 0 {
			r.lastActivity = r.now()
		}
		for i, m := range messages {
			if err := r.handle(m); err != nil {
				r.inbox.putBack(messages[i:])
				return false, err
			}
		}
	}
}

// next returns the messages that came. Without any it runs the jobs that are due, and without
// those it waits. gone means that the loop must return.
func (r *runner) next(ctx context.Context) (messages []message, gone bool, err error) {
	// Messages go before jobs that are due: an event that came in time is not late.
	if messages = r.inbox.take(); len(messages) > 0 {
		return messages, false, nil
	}
	if done, err := r.runDueJobs(); done || err != nil || ctx.Err() != nil {
		return nil, false, err
	}
	gone, err = r.yieldOrWait(ctx)
	return nil, gone, err
}

// advance executes what the machine wants, updates subscriptions and reports steps.
func (r *runner) advance() error {
	if err := r.recheck(); err != nil {
		return err
	}
	if err := r.perform(); err != nil {
		return err
	}
	r.releaseStaleWaiters()
	if err := r.listen(); err != nil {
		return err
	}
	r.unsubscribe()
	r.reportSteps()
	return nil
}

// yieldOrWait stores what happened; then it waits, in the foreground, or yields. gone means
// that the loop must return.
func (r *runner) yieldOrWait(ctx context.Context) (gone bool, err error) {
	if err := r.flush(false); err != nil {
		return false, err
	}
	if r.foreground {
		err := r.h.opts.Clock.Wait(ctx, r.jobs.next(), r.inbox.wake)
		if _, stuck := errors.AsType[*host.StuckError](err); stuck {
			return false, &host.StuckError{Waits: r.awaitedEvents()}
		}
		return false, nil
	}
	if err := r.h.failed(); err != nil {
		return false, err
	}
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	return r.yield()
}

// handle applies a message.
func (r *runner) handle(m message) error {
	if m.begin != nil {
		refused, err := m.begin.takeUp()
		if err == nil {
			m.reply <- refused
		}
		return err
	}
	event := m.event
	if m.decide != nil {
		var err error
		if event, err = m.decide(r.m); event == nil || err != nil {
			m.reply <- err
			return nil
		}
	}
	switch e := event.(type) {
	case machine.Answered:
		if ic := r.inFlight[e.Key]; !ic.taken {
			if !r.m.Wants(ic.Call) {
				delete(r.inFlight, e.Key)
				return nil
			}
			if ic.paused {
				e.Outcome = host.HeldOutcome("held", errPaused.Error())
				event = e
			}
			if err := r.apply(r.takenEvent(ic.Call)); err != nil {
				return err
			}
		}
	case machine.Arrived:
		if !r.m.Wants(machine.Await{ID: e.Await}) {
			return nil // the run stopped waiting meanwhile
		}
	case machine.Received:
		if r.restored != nil && !r.acceptReceipt(e.Receipt.Key) {
			event = nil
		}
	}
	if event != nil {
		if err := r.apply(event); err != nil {
			return err
		}
	}
	if m.reply != nil {
		r.acks = append(r.acks, m.reply)
	}
	return nil
}

// runDueJobs runs the jobs whose time has come, and tells whether there were any.
func (r *runner) runDueJobs() (done bool, err error) {
	for run := r.jobs.pop(r.now()); run != nil; run = r.jobs.pop(r.now()) {
		if err := run(); err != nil {
			return true, err
		}
		done = true
	}
	return done, nil
}

// end stores the end of the run: durably in the foreground. Otherwise Host.Wait makes it
// durable, so that the worker need not wait for the disk.
func (r *runner) end(result *machine.Result) error {
	r.pending.Status, r.pending.Ended = string(result.Status), r.m.Now()
	if err := r.flush(r.foreground); err != nil {
		return err
	}
	r.final = host.ResultOf(r.m, r.run.id, r.run.flow, r.started)
	return nil
}

// result returns how far the run has come; after its end, always the same pointer.
func (r *runner) result() *host.Result {
	if r.final != nil {
		return r.final
	}
	out := host.ResultOf(r.m, r.run.id, r.run.flow, r.started)
	out.Result = machine.Result{Status: machine.Running}
	return out
}

// reportSteps passes the steps that ended to OnStep, whose panic must not harm the run.
func (r *runner) reportSteps() {
	for _, s := range r.m.Ended() {
		r.reportStep(s)
	}
}

func (r *runner) reportStep(s *machine.Step) {
	if r.h.opts.OnStep == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			r.stepFault = fmt.Errorf("the run %s continued, but reporting its step %s failed: %v", r.run.id, s.Path, v)
		}
	}()
	r.h.opts.OnStep(r.run.id, s, r.m.Sensitive())
}

// salvage applies the outcomes that came and could not be stored, so that the result which
// goes with the journal's error includes them. In the journal these calls stay unknown.
func (r *runner) salvage() {
	for _, m := range r.inbox.take() {
		if answered, ok := m.event.(machine.Answered); ok {
			_ = r.m.Apply(answered)
		}
	}
	r.reportSteps()
}
