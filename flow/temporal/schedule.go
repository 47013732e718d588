package temporal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"facteur/flow/host"
	"facteur/flow/plan"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// A schedule is a workflow that sleeps until the next time, and then has one of the daemons
// start a run, whose id depends on the schedule and the time. Temporal's own schedules are
// not used: they skip a time of day that does not exist, and fire twice at one that exists
// twice, which ours do not; and they would start all runs that were due while no daemon ran.

const (
	scheduleType   = "facteur.schedule"
	meetActivity   = "facteur.meet"
	scheduleSignal = "schedule" // a scheduleForm

	// maxScheduleHistory is how many events the history of a schedule has before it continues
	// as new.
	maxScheduleHistory = 2000
	// meetTime bounds one attempt to start a run.
	meetTime = time.Minute
)

// A scheduleForm is the stored form of a schedule, with the flow that it starts, so that any
// daemon can do so.
type scheduleForm struct {
	Name     string            `json:"name"`
	Flow     string            `json:"flow"`
	Digest   string            `json:"digest"`
	Sources  map[string]string `json:"sources,omitempty"`
	Trigger  int               `json:"trigger"` // its index in the flow's triggers
	Cron     string            `json:"cron"`
	Timezone string            `json:"timezone"`
	Missed   string            `json:"missed"`
	Loaded   time.Time         `json:"loaded"`         // when a daemon loaded the flows that have it
	Gone     bool              `json:"gone,omitempty"` // they have it no longer
}

// A scheduleInput is the input of a schedule's workflow. It is stored.
type scheduleInput struct {
	scheduleForm
	Last time.Time `json:"last"` // the latest time that was met or missed
}

// evaluationForm is the stored form of a host.ScheduleEvaluation.
type evaluationForm struct {
	Due    time.Time `json:"due,omitzero"`
	Last   time.Time `json:"last"`
	Next   time.Time `json:"next,omitzero"`
	Missed int       `json:"missed,omitempty"`
	Until  time.Time `json:"until,omitzero"`
}

// A dueForm is the input of meetActivity: the stored form of a host.DueSchedule.
type dueForm struct {
	scheduleForm
	At     time.Time `json:"at,omitzero"`
	Missed int       `json:"missedTimes,omitempty"`
	Until  time.Time `json:"until,omitzero"`
}

// Schedule implements host.Scheduler. Each schedule is a workflow, which goes on whichever daemons
// run. If daemons have loaded different flows, those loaded last count, until a daemon loads
// others: so they do not overwrite each other in turn.
func (h *Host) Schedule(ctx context.Context, loaded time.Time, all []host.Schedule) error {
	if h.opts.Meet == nil {
		return errors.New("a host on Temporal that keeps schedules needs Meet")
	}
	wanted := map[string]bool{}
	for _, s := range all {
		form := formOfSchedule(s, loaded)
		id := h.workflowID("schedule", s.Name)
		wanted[id] = true
		if err := h.checkSize("the flow "+s.Plan.Name, form, sourceBytes(form.Sources)); err != nil {
			return err
		}
		h.plans.Put(s.Plan)
		_, err := h.client.SignalWithStartWorkflow(ctx, id, scheduleSignal, form, client.StartWorkflowOptions{
			ID: id, TaskQueue: h.opts.Queue, WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
			TypedSearchAttributes: temporal.NewSearchAttributes(flowKey.ValueSet(form.Flow), byKey.ValueSet("schedule "+form.Cron+" "+form.Timezone)),
		}, scheduleType, scheduleInput{scheduleForm: form})
		if err != nil {
			return fmt.Errorf("keep the schedule of %s: %w", s.Name, err)
		}
	}
	return h.unschedule(ctx, loaded, wanted)
}

func formOfSchedule(s host.Schedule, loaded time.Time) scheduleForm {
	t := s.Trigger
	return scheduleForm{
		Name: s.Name, Flow: s.Plan.Name, Digest: s.Plan.Digest, Sources: s.Plan.Texts,
		Trigger: slices.Index(s.Plan.Triggers, t), Cron: t.Cron, Timezone: t.Timezone, Missed: t.Missed, Loaded: loaded.UTC(),
	}
}

// unschedule ends the schedules that are not wanted.
func (h *Host) unschedule(ctx context.Context, loaded time.Time, wanted map[string]bool) error {
	for e, err := range h.executions(ctx, h.openOf(scheduleType)) {
		if err != nil {
			return fmt.Errorf("list the schedules: %w", err)
		}
		id := e.GetExecution().GetWorkflowId()
		if wanted[id] {
			continue
		}
		err := h.client.SignalWorkflow(ctx, id, "", scheduleSignal, scheduleForm{Loaded: loaded.UTC(), Gone: true})
		if err != nil && !isNotFound(err) {
			return fmt.Errorf("end a schedule: %w", err)
		}
	}
	return nil
}

// A scheduler is the state of a schedule's workflow.
type scheduler struct {
	scheduleInput
	ctx     workflow.Context
	signals workflow.ReceiveChannel
}

// schedule is the workflow of a schedule.
func (h *Host) schedule(ctx workflow.Context, in scheduleInput) error {
	k := &scheduler{scheduleInput: in, ctx: ctx, signals: workflow.GetSignalChannel(ctx, scheduleSignal)}
	if k.Last.IsZero() {
		k.Last = workflow.Now(ctx)
	}
	for {
		var form scheduleForm
		for k.signals.ReceiveAsync(&form) {
			k.update(form)
			form = scheduleForm{}
		}
		switch {
		case k.Gone:
			return nil
		case ctx.Err() != nil:
			return ctx.Err() // cancelled on the server
		}
		info := workflow.GetInfo(ctx)
		if info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > maxScheduleHistory {
			return workflow.NewContinueAsNewError(ctx, scheduleType, k.scheduleInput)
		}
		r, err := k.evaluate()
		if err != nil {
			return err
		}
		if r.Due.IsZero() && r.Missed == 0 {
			k.sleep(r.Next)
		} else if k.meet(r) {
			k.Last = r.Last
		}
	}
}

// update takes over a schedule unless it was loaded earlier than the present one, and reports
// whether it is another.
func (k *scheduler) update(form scheduleForm) (changed bool) {
	if form.Loaded.Before(k.Loaded) {
		return false
	}
	changed = form.Gone || form.Digest != k.Digest || form.Trigger != k.Trigger
	if form.Gone {
		k.Gone, k.Loaded = true, form.Loaded
		return changed
	}
	k.scheduleForm = form
	return changed
}

// patience retries until it succeeds, at most a minute apart.
var patience = temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute}

// evaluate computes what is due, as a side effect in the history: another version may have other
// time zone data, and must decide the same on replay.
func (k *scheduler) evaluate() (host.ScheduleEvaluation, error) {
	now := workflow.Now(k.ctx)
	var r evaluationForm
	err := workflow.SideEffect(k.ctx, func(workflow.Context) any {
		zone, err := time.LoadLocation(k.Timezone)
		if err != nil {
			panic(fmt.Sprintf("the schedule %s: this machine does not know its time zone: %s", k.Name, err))
		}
		times, err := plan.ParseSchedule(k.Cron, zone)
		if err != nil {
			panic(fmt.Sprintf("the schedule %s: this version does not know its times: %s", k.Name, err))
		}
		return evaluationForm(host.EvaluateSchedule(&plan.Trigger{Schedule: times, Missed: k.Missed}, k.Last, now, now.Add(-host.Grace)))
	}).Get(&r)
	return host.ScheduleEvaluation(r), err
}

// sleep waits for a time, or until the schedule changes.
func (k *scheduler) sleep(until time.Time) {
	k.await(func(ctx workflow.Context) workflow.Future {
		if until.IsZero() {
			return nil
		}
		return workflow.NewTimer(ctx, until.Sub(workflow.Now(ctx)))
	})
}

// meet has a daemon start the run, and reports whether it did. It has not if no daemon took the
// activity up in time, or if the schedule has changed meanwhile.
func (k *scheduler) meet(r host.ScheduleEvaluation) bool {
	return k.await(func(ctx workflow.Context) workflow.Future {
		patient := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			ScheduleToStartTimeout: host.Grace, StartToCloseTimeout: meetTime, RetryPolicy: &patience,
		})
		return workflow.ExecuteActivity(patient, meetActivity, dueForm{k.scheduleForm, r.Due, r.Missed, r.Until})
	})
}

// await starts something, and reports whether that succeeded. When the schedule changes it is
// cancelled. nil: nothing was started.
func (k *scheduler) await(start func(workflow.Context) workflow.Future) (done bool) {
	ctx, cancel := workflow.WithCancel(k.ctx)
	defer cancel()
	over := false
	sel := workflow.NewSelector(ctx)
	if f := start(ctx); f != nil {
		sel.AddFuture(f, func(f workflow.Future) { over, done = true, f.Get(ctx, nil) == nil })
	}
	sel.AddReceive(k.signals, func(c workflow.ReceiveChannel, _ bool) {
		var form scheduleForm
		c.Receive(ctx, &form)
		over = k.update(form)
	})
	for !over {
		sel.Select(ctx)
	}
	return done
}

// meet is the activity that calls Options.Meet. It is retried until it succeeds.
func (h *Host) meet(ctx context.Context, due dueForm) error {
	if h.opts.Meet == nil {
		return errors.New("this daemon starts no flows")
	}
	p, err := h.plan(&input{Flow: due.Flow, Digest: due.Digest, Sources: due.Sources})
	if err != nil {
		return fmt.Errorf("the schedule %s: %w", due.Name, err)
	}
	if due.Trigger < 0 || due.Trigger >= len(p.Triggers) {
		return fmt.Errorf("the schedule %s: its flow has no trigger %d", due.Name, due.Trigger)
	}
	return h.opts.Meet(ctx, host.DueSchedule{
		Schedule: host.Schedule{Name: due.Name, Plan: p.Plan, Trigger: p.Triggers[due.Trigger]},
		At:       due.At, Missed: due.Missed, Until: due.Until,
	})
}
