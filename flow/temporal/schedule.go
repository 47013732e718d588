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
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// A schedule is a workflow that sleeps from one time to the next, and at each has one of
// the daemons start a run, whose id comes of the schedule and the time. It is not one of
// the server's own schedules: those leave out a time of day that does not exist, and come
// twice to one that exists twice, which ours do not; and they would start all runs that
// were due while no daemon was there.

const (
	scheduleType   = "facteur.schedule"
	meetActivity   = "facteur.meet"
	scheduleSignal = "schedule" // a scheduleForm
	scheduleQuery  = "schedule"

	// longSchedule is from how many events on the history of a schedule begins anew.
	longSchedule = 2000
	// meetTime bounds one try to start a run.
	meetTime = time.Minute
)

// A scheduleForm is a schedule, with the flow that it starts: whichever daemon is there
// can do so.
type scheduleForm struct {
	Name     string            `json:"name"`
	Flow     string            `json:"flow"`
	Digest   string            `json:"digest"`
	Sources  map[string]string `json:"sources,omitempty"`
	Trigger  int               `json:"trigger"` // which of the flow's
	Cron     string            `json:"cron"`
	Timezone string            `json:"timezone"`
	Missed   string            `json:"missed"`
	Loaded   time.Time         `json:"loaded"`         // when a daemon read the flows that say so
	Gone     bool              `json:"gone,omitempty"` // they no longer have it
}

// A scheduleInput is what a schedule begins with.
type scheduleInput struct {
	scheduleForm
	Last time.Time `json:"last"` // the last time that was met or missed
}

// A scheduleState is what a schedule tells of itself.
type scheduleState struct {
	Name string    `json:"name"`
	Last time.Time `json:"last"`
	Next time.Time `json:"next,omitzero"`
}

// reckoned is the stored form of a host.ScheduleEvaluation.
type reckoned struct {
	Due    time.Time `json:"due,omitzero"`
	Last   time.Time `json:"last"`
	Next   time.Time `json:"next,omitzero"`
	Missed int       `json:"missed,omitempty"`
	Until  time.Time `json:"until,omitzero"`
}

// A dueForm is what the activity that meets a time is given.
type dueForm struct {
	scheduleForm
	At     time.Time `json:"at,omitzero"`
	Missed int       `json:"missedTimes,omitempty"`
	Until  time.Time `json:"until,omitzero"`
}

// Schedule implements host.Scheduler. Each schedule is a workflow, which goes on whichever
// daemons are there. Of what several daemons say, that counts which was loaded last; one
// with other flows is not asked again until it loads some, so that they do not fight.
func (h *Host) Schedule(ctx context.Context, loaded time.Time, all []host.Schedule) error {
	if h.opts.Meet == nil {
		return errors.New("a host on Temporal that keeps schedules needs Meet")
	}
	wanted := map[string]bool{}
	for _, one := range all {
		form := formOfSchedule(one, loaded)
		id := h.name("schedule", one.Name)
		wanted[id] = true
		if err := h.checkSize("the flow "+one.Plan.Name, form, weightOf(form.Sources)); err != nil {
			return err
		}
		h.plans.Put(one.Plan)
		_, err := h.client.SignalWithStartWorkflow(ctx, id, scheduleSignal, form, client.StartWorkflowOptions{
			ID: id, TaskQueue: h.opts.Queue, WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
			TypedSearchAttributes: temporal.NewSearchAttributes(flowKey.ValueSet(form.Flow), byKey.ValueSet("schedule "+form.Cron+" "+form.Timezone)),
		}, scheduleType, scheduleInput{scheduleForm: form})
		if err != nil {
			return fmt.Errorf("keep the schedule of %s: %w", one.Name, err)
		}
	}
	return h.unschedule(ctx, loaded, wanted)
}

func formOfSchedule(one host.Schedule, loaded time.Time) scheduleForm {
	t := one.Trigger
	return scheduleForm{
		Name: one.Name, Flow: one.Plan.Name, Digest: one.Plan.Digest, Sources: one.Plan.Texts,
		Trigger: slices.Index(one.Plan.Triggers, t), Cron: t.Cron, Timezone: t.Timezone, Missed: t.Missed, Loaded: loaded.UTC(),
	}
}

// unschedule ends the schedules that no flow has any more.
func (h *Host) unschedule(ctx context.Context, loaded time.Time, wanted map[string]bool) error {
	var page []byte
	for {
		answer, err := h.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: h.opts.Namespace, PageSize: 1000, NextPageToken: page,
			Query: h.openOf(scheduleType),
		})
		if err != nil {
			return fmt.Errorf("list the schedules: %w", err)
		}
		for _, e := range answer.GetExecutions() {
			id := e.GetExecution().GetWorkflowId()
			if wanted[id] {
				continue
			}
			err := h.client.SignalWorkflow(ctx, id, "", scheduleSignal, scheduleForm{Loaded: loaded.UTC(), Gone: true})
			if gone := (*serviceerror.NotFound)(nil); err != nil && !errors.As(err, &gone) {
				return fmt.Errorf("end a schedule: %w", err)
			}
		}
		if page = answer.GetNextPageToken(); len(page) == 0 {
			return nil
		}
	}
}

// A keeping is a schedule, inside its workflow.
type keeping struct {
	scheduleInput
	ctx     workflow.Context
	signals workflow.ReceiveChannel
	next    time.Time
}

// schedule is the workflow of a schedule.
func (h *Host) schedule(ctx workflow.Context, in scheduleInput) error {
	k := &keeping{scheduleInput: in, ctx: ctx, signals: workflow.GetSignalChannel(ctx, scheduleSignal)}
	if k.Last.IsZero() {
		k.Last = workflow.Now(ctx)
	}
	err := workflow.SetQueryHandler(ctx, scheduleQuery, func() (scheduleState, error) {
		return scheduleState{k.Name, k.Last, k.next}, nil
	})
	if err != nil {
		return err
	}
	for {
		var form scheduleForm
		for k.signals.ReceiveAsync(&form) {
			k.take(form)
			form = scheduleForm{}
		}
		switch {
		case k.Gone:
			return nil
		case ctx.Err() != nil:
			return ctx.Err() // somebody ended it on the server
		}
		info := workflow.GetInfo(ctx)
		if info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > longSchedule {
			return workflow.NewContinueAsNewError(ctx, scheduleType, k.scheduleInput)
		}
		r, err := k.reckon()
		if err != nil {
			return err
		}
		k.next = r.Next
		if r.Due.IsZero() && r.Missed == 0 {
			k.sleep(r.Next)
		} else if k.meet(r) {
			k.Last = r.Last
		}
	}
}

// take follows what the flows say that were loaded last, and tells whether that is other
// than before.
func (k *keeping) take(form scheduleForm) (changed bool) {
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

// reckon is recorded, so that another version's tables of time zones change nothing in
// what was decided.
func (k *keeping) reckon() (host.ScheduleEvaluation, error) {
	now := workflow.Now(k.ctx)
	var r reckoned
	err := workflow.SideEffect(k.ctx, func(workflow.Context) any {
		zone, err := time.LoadLocation(k.Timezone)
		if err != nil {
			panic(fmt.Sprintf("the schedule %s: this machine does not know its time zone: %s", k.Name, err))
		}
		times, err := plan.ParseSchedule(k.Cron, zone)
		if err != nil {
			panic(fmt.Sprintf("the schedule %s: this version does not know its times: %s", k.Name, err))
		}
		return reckoned(host.EvaluateSchedule(&plan.Trigger{Schedule: times, Missed: k.Missed}, k.Last, now, now.Add(-host.Grace)))
	}).Get(&r)
	return host.ScheduleEvaluation(r), err
}

// sleep waits for a time, or until other flows were loaded.
func (k *keeping) sleep(until time.Time) {
	ctx, cancel := workflow.WithCancel(k.ctx)
	defer cancel()
	over := false
	sel := workflow.NewSelector(ctx)
	if !until.IsZero() {
		sel.AddFuture(workflow.NewTimer(ctx, until.Sub(workflow.Now(ctx))), func(workflow.Future) { over = true })
	}
	sel.AddReceive(k.signals, func(c workflow.ReceiveChannel, _ bool) { over = k.heard(c) })
	for !over {
		sel.Select(ctx)
	}
}

// meet has a daemon start the run, and tells whether that is done. It is not when nobody
// was there to begin with it, or when other flows were loaded meanwhile.
func (k *keeping) meet(r host.ScheduleEvaluation) (done bool) {
	ctx, cancel := workflow.WithCancel(k.ctx)
	defer cancel()
	patient := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ScheduleToStartTimeout: host.Grace, StartToCloseTimeout: meetTime,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	})
	over := false
	sel := workflow.NewSelector(ctx)
	sel.AddFuture(workflow.ExecuteActivity(patient, meetActivity, dueForm{k.scheduleForm, r.Due, r.Missed, r.Until}), func(f workflow.Future) {
		over, done = true, f.Get(ctx, nil) == nil
	})
	sel.AddReceive(k.signals, func(c workflow.ReceiveChannel, _ bool) { over = k.heard(c) })
	for !over {
		sel.Select(ctx)
	}
	return done
}

func (k *keeping) heard(c workflow.ReceiveChannel) (changed bool) {
	var form scheduleForm
	c.Receive(k.ctx, &form)
	return k.take(form)
}

// meet is the activity that starts the run of a time, as often as it takes.
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
