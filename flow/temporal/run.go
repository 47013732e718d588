package temporal

import (
	"errors"
	"fmt"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// A runner carries one run, inside its workflow. All that it does is the same when the
// workflow is replayed.
type runner struct {
	h       *Host
	ctx     workflow.Context // it does not end when the workflow is cancelled
	in      input
	planned *host.CachedPlan
	m       *machine.Machine // nil: it has not begun
	started time.Time
	all     chronicle
	before  int // how many events came in earlier executions
	base    int // how many bytes the history had when the run began to go on
	began   *time.Time
	sel     workflow.Selector
	beside  int // signals and activities other than calls that are under way

	made     map[string]*made // calls that are under way, by key
	held     []*heldBack
	pauses   map[string]*pause // by step
	subs     map[int]*subscription
	shown    shown
	line     []*machine.Call // that wait until fewer are under way
	sent     int             // bytes of inputs that were not handed to the server yet
	looked   map[string]bool // keys of calls whose past receipts were asked for
	told     map[string]bool // recipients that lists find the run by
	stopped  bool            // because too much has happened
	unlocked bool
	draining bool // nothing new is taken up: it goes on in another execution
	backlog  []*machine.Call
	heard    []heard // events of which somebody waits to hear whether the run consumed them
}

// run is the workflow of a run.
func (h *Host) run(ctx workflow.Context, in input) (*record, error) {
	if in.Machine != machine.Version {
		panic(fmt.Sprintf("version %d of the machine started the run, this is version %d: a daemon of that version has to go on with it", in.Machine, machine.Version))
	}
	free, _ := workflow.NewDisconnectedContext(ctx)
	r := &runner{h: h, ctx: free, in: in, sel: workflow.NewSelector(free), made: map[string]*made{}, subs: map[int]*subscription{}, pauses: map[string]*pause{}, told: map[string]bool{}, looked: map[string]bool{}}
	if in.Rejected {
		return &record{Status: host.Rejected, Ended: workflow.Now(ctx)}, nil
	}
	if in.Over != nil {
		return ending(in.Over)
	}
	if h.begun != nil {
		h.begun(r)
	}
	var err error
	if r.planned, err = h.plan(&in); err != nil {
		panic(err.Error())
	}
	if err := workflow.SetQueryHandler(ctx, reportQuery, r.report); err != nil {
		return nil, err
	}
	if in.Queued && in.Began == nil {
		if err := r.queue(ctx); err != nil {
			return nil, err
		}
	}
	if err := r.remember(); err != nil {
		panic(err.Error())
	}
	r.listen(ctx)
	if err := r.begin(); err != nil {
		panic(err.Error())
	}
	return r.loop()
}

// begin makes the machine, and lets it go through what happened before.
func (r *runner) begin() error {
	start, err := stored.DecodeStart(workflow.GetInfo(r.ctx).WorkflowExecution.ID, r.in.Start)
	if err != nil {
		return err
	}
	in := r.in
	in.Events = r.all.events
	r.m, err = rebuild(r.planned.Plan, start, in, r.began, nil)
	if err != nil {
		return err
	}
	r.started = start.At
	r.m.Ended() // those were told of in an earlier execution
	r.recallShown()
	r.base = workflow.GetInfo(r.ctx).GetCurrentHistorySize()
	return nil
}

// loop performs commands and applies events until the run has ended.
func (r *runner) loop() (*record, error) {
	for {
		if r.m.Result() == nil && !r.stopped && r.isFull() {
			r.stopped = true
			r.cancel(full)
		}
		if !r.in.Turn {
			r.perform()
		}
		r.tell()
		if !r.sel.HasPending() && !r.draining {
			r.lookAll()
		}
		if r.m.Result() != nil && len(r.made) == 0 && !r.sel.HasPending() {
			if r.answerHeard(); r.beside == 0 {
				if r.prepareEnd() {
					continue
				}
				return r.end()
			}
		}
		if r.draining = r.draining || r.isLong(); r.draining && len(r.made) == 0 && r.beside == 0 && !r.sel.HasPending() {
			if r.file(r.in.inline()) {
				continue
			}
			return nil, r.continueAsNew()
		}
		if !r.sel.HasPending() {
			r.show()
			r.answerHeard()
			r.sent = 0 // what was decided is handed over before anything comes
		}
		r.sel.Select(r.ctx)
		for r.sel.HasPending() {
			r.sel.Select(r.ctx)
		}
	}
}

// longHistory is from how many events on a run goes on in another execution, if the server
// does not ask for that before: far below what it allows.
const longHistory = 8000

func (r *runner) continueAsNew() error {
	in := r.in
	info := workflow.GetInfo(r.ctx)
	in.Reset = in.Reset || info.OriginalRunID != info.WorkflowExecution.RunID
	in.Pages, in.Events = r.all.pages, r.all.loose()
	if r.began != nil {
		in.Began = r.began
	}
	ctx := r.ctx
	if len(in.Pages) > 0 {
		ctx = workflow.WithWorkflowTaskTimeout(ctx, pagedTaskTime)
	}
	return workflow.NewContinueAsNewError(ctx, runType, in)
}

// apply tells the machine what happened.
func (r *runner) apply(event machine.Event) {
	if err := r.m.Apply(event); err != nil {
		panic(err.Error()) // the workflow stands still, and nothing is guessed
	}
	one, err := stored.Encode(nil, event)
	if err != nil {
		panic(err.Error())
	}
	r.all.events = append(r.all.events, one)
}

func (r *runner) now() time.Time { return workflow.Now(r.ctx) }

// listen attends to what comes from outside.
func (r *runner) listen(ctx workflow.Context) {
	on := func(name string, f func(c workflow.ReceiveChannel)) {
		r.sel.AddReceive(workflow.GetSignalChannel(r.ctx, name), func(c workflow.ReceiveChannel, _ bool) { f(c) })
	}
	on(receiptsSignal, func(c workflow.ReceiveChannel) {
		var list []stored.Receipt
		c.Receive(r.ctx, &list)
		for _, receipt := range list {
			r.apply(machine.Received{At: r.now(), Receipt: receipt.Receipt()})
		}
	})
	on(arrivedSignal, func(c workflow.ReceiveChannel) {
		var a arrived
		c.Receive(r.ctx, &a)
		r.arrived(a)
	})
	on(settledSignal, func(c workflow.ReceiveChannel) {
		var s stored.Record
		c.Receive(r.ctx, &s)
		s.At = r.now()
		event, err := stored.Decode(s)
		if err != nil {
			panic(err.Error())
		}
		r.apply(event)
	})
	on(liftedSignal, func(c workflow.ReceiveChannel) {
		var hold string
		c.Receive(r.ctx, &hold)
		r.lift(hold)
	})
	on(cancelSignal, func(c workflow.ReceiveChannel) {
		var reason string
		c.Receive(r.ctx, &reason)
		r.cancel(reason)
	})
	on(admittedSignal, func(c workflow.ReceiveChannel) { // perhaps twice
		var claim string
		c.Receive(r.ctx, &claim)
		r.admitted(claim)
	})
	if r.in.Turn {
		r.claimLater(r.sel, firstClaim, func() bool { return r.in.Turn }, func() { r.in.Turn = false })
	}
	asked := workflow.NewBufferedChannel(r.ctx, 1)
	workflow.Go(r.ctx, func(free workflow.Context) {
		ctx.Done().Receive(free, nil)
		asked.Send(free, true)
	})
	r.sel.AddReceive(asked, func(c workflow.ReceiveChannel, _ bool) {
		c.Receive(r.ctx, nil)
		r.cancel("cancelled on the server")
	})
}

func (r *runner) cancel(reason string) {
	if r.m.Result() == nil {
		r.leaveLine()
		r.apply(machine.CancelRequested{At: r.now(), Reason: reason})
	}
}

// tell reports the steps that ended, once.
func (r *runner) tell() {
	ended := r.m.Ended()
	if r.h.opts.OnStep == nil || workflow.IsReplaying(r.ctx) {
		return
	}
	for _, s := range ended {
		r.h.opts.OnStep(r.id(), s, r.m.Sensitive())
	}
}

func (r *runner) id() string { return workflow.GetInfo(r.ctx).WorkflowExecution.ID }

// prepareEnd does what takes time before the end, and tells whether it took any: then more
// may have come.
func (r *runner) prepareEnd() bool {
	if r.in.Lock != "" && !r.in.Free && !r.unlocked {
		r.show()
		r.unlock()
		r.unlocked = true
		return true
	}
	if len(r.all.pages) > len(r.in.Pages) || weight(r.all.events[r.before:]) > pageSize {
		return r.file(pageSize)
	}
	return false
}

// end ends the workflow as the run did: what is cancelled or failed is so on the server,
// too.
func (r *runner) end() (*record, error) {
	r.show()
	if r.h.opts.OnEnd != nil && !workflow.IsReplaying(r.ctx) {
		r.h.opts.OnEnd(host.ResultOf(r.m, r.id(), r.in.Flow, r.started))
	}
	return ending(r.record())
}

// ending is how a workflow ends whose run ended so.
func ending(rec *record) (*record, error) {
	switch rec.Status {
	case machine.Failed:
		return nil, temporal.NewApplicationErrorWithOptions("the run failed", failedType, temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{rec}})
	case machine.Cancelled:
		return nil, temporal.NewCanceledError(rec)
	}
	return rec, nil
}

// failedType marks the failure of a workflow as that of its run.
const failedType = "facteur.failed"

func (r *runner) record() *record {
	rec := r.head()
	if rec.Events = r.all.events[r.before:]; len(r.all.pages) > len(r.in.Pages) {
		rec.Pages, rec.Events = r.all.pages, r.all.loose()
	}
	return rec
}

// head is the record without what happened.
func (r *runner) head() *record {
	rec := &record{Status: machine.Running, Began: r.began}
	switch result := r.result(); {
	case result != nil && len(r.made) == 0:
		rec.Status, rec.Ended = result.Status, r.m.Now()
	case r.m == nil && r.in.Queued && r.in.Began == nil && r.began == nil, r.in.Turn:
		rec.Status = host.Queued
	case r.m != nil && len(r.made) == 0:
		rec.Status = host.Waiting
	}
	return rec
}

func (r *runner) result() *machine.Result {
	if r.m == nil {
		return nil
	}
	return r.m.Result()
}

// report answers the query.
func (r *runner) report(q asked) (report, error) {
	if len(r.in.Pages) > 0 && r.m == nil {
		return report{}, errors.New("it reads what happened before")
	}
	out := report{Record: *r.head(), Total: len(r.all.events)}
	if r.m == nil { // it has not begun: nothing has happened since
		out.Record.Events, out.Total = r.in.Events, len(r.in.Events)
	} else if rest := r.all.events[min(q.From, out.Total):]; q.Rest || weight(rest) <= r.in.inline() {
		out.Record.Events = rest[:fit(rest)]
	}
	if !q.Rest {
		out.Input = r.in
		out.Input.Events = nil
	}
	for _, one := range r.held {
		out.Held = append(out.Held, one.heldCall)
	}
	return out, nil
}

func encodeAll(events ...machine.Event) []stored.Record {
	out := make([]stored.Record, 0, len(events))
	for _, event := range events {
		one, err := stored.Encode(nil, event)
		if err != nil {
			panic(err.Error())
		}
		out = append(out, one)
	}
	return out
}
