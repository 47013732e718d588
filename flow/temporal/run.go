package temporal

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// A runner executes one run inside its workflow. All that it does is deterministic: the same
// when the workflow is replayed.
type runner struct {
	h          *Host
	ctx        workflow.Context // not cancelled with the workflow
	in         input
	planned    *host.CachedPlan
	m          *machine.Machine // nil: the run has not begun
	started    time.Time
	log        eventLog
	earlier    int // how many of log's events are of earlier executions
	startSize  int // size of the history in bytes once those were read
	admittedAt *time.Time
	selector   workflow.Selector
	pendingOps int // signals and activities in flight, other than calls

	inFlight      map[string]*inFlightCall // by key
	delayed       []*delayedCall
	backoffs      map[string]*stepBackoff // by step
	subscriptions map[int]*subscription
	attributes    runAttributes
	queue         []*machine.Call // wait to be admitted
	inputBytes    int             // size of the call inputs in this workflow task
	receiptsAsked map[string]bool // by key: calls whose receipts were fetched
	recipients    map[string]bool // for recipientKey
	full          bool            // the run was cancelled because its history is too large
	lockReleased  bool
	draining      bool       // nothing new is taken up: the run is to continue as new
	unanswered    []eventRef // events that wait for the reply whether the run consumed them
}

// run is the workflow of a run.
func (h *Host) run(ctx workflow.Context, in input) (*record, error) {
	if in.Machine != machine.Version {
		panic(fmt.Sprintf("version %d of the machine started the run, this is version %d: a daemon of that version has to go on with it", in.Machine, machine.Version))
	}
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	r := &runner{
		h: h, ctx: disconnected, in: in, selector: workflow.NewSelector(disconnected), inFlight: map[string]*inFlightCall{}, subscriptions: map[int]*subscription{},
		backoffs: map[string]*stepBackoff{}, recipients: map[string]bool{}, receiptsAsked: map[string]bool{},
	}
	if in.Rejected {
		return &record{Status: host.Rejected, Ended: workflow.Now(ctx)}, nil
	}
	if in.Final != nil {
		return workflowResult(in.Final)
	}
	if h.onRunner != nil {
		h.onRunner(r)
	}
	var err error
	if r.planned, err = h.plan(&in); err != nil {
		panic(err.Error())
	}
	if err := workflow.SetQueryHandler(ctx, reportQuery, r.report); err != nil {
		return nil, err
	}
	if in.Queued && in.Began == nil {
		if err := r.waitForAdmission(ctx); err != nil {
			return nil, err
		}
	}
	if err := r.readPages(); err != nil {
		panic(err.Error())
	}
	r.handleSignals(ctx)
	if err := r.start(); err != nil {
		panic(err.Error())
	}
	return r.loop()
}

// start rebuilds the machine from the events so far.
func (r *runner) start() error {
	start, err := stored.DecodeStart(workflow.GetInfo(r.ctx).WorkflowExecution.ID, r.in.Start)
	if err != nil {
		return err
	}
	if r.m, err = rebuild(r.planned.Plan, start, cmp.Or(r.admittedAt, r.in.Began), r.log.events, nil); err != nil {
		return err
	}
	r.started = start.At
	r.m.Ended() // an earlier execution has reported those
	r.readAttributes()
	r.startSize = workflow.GetInfo(r.ctx).GetCurrentHistorySize()
	return nil
}

// loop performs commands and applies events until the run has ended.
func (r *runner) loop() (*record, error) {
	for {
		r.cancelIfFull()
		if !r.in.AwaitsTurn {
			r.perform()
		}
		r.reportSteps()
		if !r.selector.HasPending() && !r.draining {
			r.loadAwaitedReceipts()
		}
		switch {
		case r.hasEnded():
			if !r.prepareEnd() {
				return r.end()
			}
		case r.isDrained():
			if !r.writePage(r.in.maxInlineBytes()) {
				return nil, r.continueAsNew()
			}
		default:
			r.wait()
		}
	}
}

// isQuiet reports whether no call is in flight, and nothing has happened that was not handled.
func (r *runner) isQuiet() bool { return len(r.inFlight) == 0 && !r.selector.HasPending() }

// hasEnded reports whether the run has ended, and all who wait for it to reply know.
func (r *runner) hasEnded() bool {
	if r.m.Result() == nil || !r.isQuiet() {
		return false
	}
	r.answerEvents()
	return r.pendingOps == 0
}

// isDrained reports whether the run is to continue as new, and may.
func (r *runner) isDrained() bool {
	r.draining = r.draining || r.needsNewExecution()
	return r.draining && r.pendingOps == 0 && r.isQuiet()
}

// wait waits until something happens, and handles it, and what has happened with it.
func (r *runner) wait() {
	if !r.selector.HasPending() {
		r.upsertAttributes()
		r.answerEvents()
		r.inputBytes = 0 // selecting ends the workflow task, which hands the inputs to the server
	}
	r.selector.Select(r.ctx)
	for r.selector.HasPending() {
		r.selector.Select(r.ctx)
	}
}

// maxHistoryEvents is how many events the history of a run may have before it continues as
// new, unless the server suggests that earlier. The server's limit is far above.
const maxHistoryEvents = 8000

func (r *runner) continueAsNew() error {
	in := r.in
	info := workflow.GetInfo(r.ctx)
	in.Reset = in.Reset || info.OriginalRunID != info.WorkflowExecution.RunID
	in.Pages, in.Events = r.log.pages, r.log.unpaged()
	if r.admittedAt != nil {
		in.Began = r.admittedAt
	}
	ctx := r.ctx
	if len(in.Pages) > 0 {
		ctx = workflow.WithWorkflowTaskTimeout(ctx, pagedTaskTime)
	}
	return workflow.NewContinueAsNewError(ctx, runType, in)
}

// apply applies an event to the machine, and logs it.
func (r *runner) apply(event machine.Event) {
	if err := r.m.Apply(event); err != nil {
		panic(err.Error()) // the workflow makes no progress until a version comes that can apply it
	}
	r.log.events = append(r.log.events, encode(event))
}

func (r *runner) now() time.Time { return workflow.Now(r.ctx) }

// onSignal has a selector call f with the argument of each signal of a name.
func onSignal[T any](ctx workflow.Context, sel workflow.Selector, name string, f func(T)) {
	sel.AddReceive(workflow.GetSignalChannel(ctx, name), func(c workflow.ReceiveChannel, _ bool) {
		var arg T
		c.Receive(ctx, &arg)
		f(arg)
	})
}

// handleSignals registers the handlers of signals, and of the workflow's cancellation.
func (r *runner) handleSignals(ctx workflow.Context) {
	onSignal(r.ctx, r.selector, receiptsSignal, r.applyReceipts)
	onSignal(r.ctx, r.selector, arrivedSignal, r.onEvents)
	onSignal(r.ctx, r.selector, settledSignal, func(s stored.Record) {
		s.At = r.now()
		event, err := stored.Decode(s)
		if err != nil {
			panic(err.Error())
		}
		r.apply(event)
	})
	onSignal(r.ctx, r.selector, liftedSignal, r.onLifted)
	onSignal(r.ctx, r.selector, cancelSignal, r.cancel)
	onSignal(r.ctx, r.selector, admittedSignal, r.onAdmitted)
	if r.in.AwaitsTurn {
		r.scheduleClaim(r.selector, firstReclaim, func() bool { return r.in.AwaitsTurn }, func() { r.in.AwaitsTurn = false })
	}
	cancelled := workflow.NewBufferedChannel(r.ctx, 1)
	workflow.Go(r.ctx, func(disconnected workflow.Context) {
		ctx.Done().Receive(disconnected, nil)
		cancelled.Send(disconnected, true)
	})
	r.selector.AddReceive(cancelled, func(c workflow.ReceiveChannel, _ bool) {
		c.Receive(r.ctx, nil)
		r.cancel("cancelled on the server")
	})
}

func (r *runner) cancel(reason string) {
	if r.m.Result() == nil {
		r.leaveLockQueue()
		r.apply(machine.CancelRequested{At: r.now(), Reason: reason})
	}
}

// reportSteps reports the steps that ended to OnStep, except on replay.
func (r *runner) reportSteps() {
	ended := r.m.Ended()
	if r.h.opts.OnStep == nil || workflow.IsReplaying(r.ctx) {
		return
	}
	for _, s := range ended {
		r.h.opts.OnStep(r.id(), s, r.m.Sensitive())
	}
}

func (r *runner) id() string { return workflow.GetInfo(r.ctx).WorkflowExecution.ID }

// prepareEnd releases the lock and writes pages before the end. It reports whether it
// waited for something: signals may have come meanwhile, and are to be handled first.
func (r *runner) prepareEnd() bool {
	if r.in.Lock != "" && !r.in.Unlocked && !r.lockReleased {
		r.upsertAttributes()
		r.releaseLock()
		r.lockReleased = true
		return true
	}
	if len(r.log.pages) > len(r.in.Pages) || recordBytes(r.log.events[r.earlier:]) > pageSize {
		return r.writePage(pageSize)
	}
	return false
}

// end ends the workflow with the run's status.
func (r *runner) end() (*record, error) {
	r.upsertAttributes()
	if r.h.opts.OnEnd != nil && !workflow.IsReplaying(r.ctx) {
		r.h.opts.OnEnd(host.ResultOf(r.m, r.id(), r.in.Flow, r.started))
	}
	return workflowResult(r.record())
}

// workflowResult returns the result of a run's workflow, so that a run that failed or was
// cancelled has that status on the server, too.
func workflowResult(rec *record) (*record, error) {
	switch rec.Status {
	case machine.Failed:
		return nil, temporal.NewApplicationErrorWithOptions("the run failed", failedType, temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{rec}})
	case machine.Cancelled:
		return nil, temporal.NewCanceledError(rec)
	}
	return rec, nil
}

// failedType is the type of the error of a workflow whose run has failed.
const failedType = "facteur.failed"

func (r *runner) record() *record {
	rec := r.head()
	if rec.Events = r.log.events[r.earlier:]; len(r.log.pages) > len(r.in.Pages) {
		rec.Pages, rec.Events = r.log.pages, r.log.unpaged()
	}
	return rec
}

// head returns the record without its events.
func (r *runner) head() *record {
	rec := &record{Status: machine.Running, Began: r.admittedAt}
	switch result := r.result(); {
	case result != nil && len(r.inFlight) == 0:
		rec.Status, rec.Ended = result.Status, r.m.Now()
	case r.m == nil && r.in.Queued && r.in.Began == nil && r.admittedAt == nil, r.in.AwaitsTurn:
		rec.Status = host.Queued
	case r.m != nil && len(r.inFlight) == 0:
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

// report is the handler of reportQuery.
func (r *runner) report(q reportRequest) (report, error) {
	if len(r.in.Pages) > 0 && r.m == nil {
		return report{}, errors.New("it reads what happened before")
	}
	out := report{Record: *r.head(), Total: len(r.log.events)}
	if r.m == nil { // it has not begun: there are no events of this execution
		out.Record.Events, out.Total = r.in.Events, len(r.in.Events)
	} else if rest := r.log.events[min(q.From, out.Total):]; q.Rest || recordBytes(rest) <= r.in.maxInlineBytes() {
		out.Record.Events = rest[:pageLen(rest)]
	}
	if !q.Rest {
		out.Input = r.in
		out.Input.Events = nil
	}
	for _, one := range r.delayed {
		out.Held = append(out.Held, one.heldCall)
	}
	return out, nil
}

func encode(event machine.Event) stored.Record {
	rec, err := stored.Encode(nil, event)
	if err != nil {
		panic(err.Error())
	}
	return rec
}

func encodeAll(events ...machine.Event) []stored.Record {
	out := make([]stored.Record, 0, len(events))
	for _, event := range events {
		out = append(out, encode(event))
	}
	return out
}
