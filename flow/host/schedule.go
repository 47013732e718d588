package host

import (
	"context"
	"time"

	"facteur/flow/plan"
)

// A Schedule is a schedule trigger of a flow.
type Schedule struct {
	// Name is unique, and stays the same for as long as the trigger's times do.
	Name    string
	Plan    *plan.Plan
	Trigger *plan.Trigger // of Plan
}

// A Scheduler is a host that runs schedules itself, where they outlive the daemons.
type Scheduler interface {
	// Schedule replaces all schedules. One that exists goes on, with the new plan; a new one
	// counts from now.
	//
	// Each daemon calls it once whenever it has loaded its flows. Where daemons differ, the flows
	// that were loaded last win, in whatever order the calls arrive.
	Schedule(ctx context.Context, loaded time.Time, all []Schedule) error
}

// A DueSchedule is a schedule with a time at which to start its run, or with missed times.
type DueSchedule struct {
	Schedule
	At     time.Time // to start a run for; zero: none
	Missed int       // how many times were missed …
	Until  time.Time // … the last of them
}

const (
	// Grace is how long after its time a run may be started because nothing was running before
	// that; later it counts as missed.
	Grace = time.Minute
	// maxCatchUp is how far back missed times are looked for.
	maxCatchUp = 366 * 24 * time.Hour
)

// A ScheduleEvaluation is what a schedule requires at some moment.
type ScheduleEvaluation struct {
	Due  time.Time // to start a run for; zero: none
	Last time.Time // all times up to this one are done or missed, once Due is done
	Next time.Time // zero: none within five years

	Missed int
	Until  time.Time
}

// EvaluateSchedule returns what a schedule requires now that was evaluated up to last. Times before
// awake, when the process or machine started, were missed; `missed: once` makes up for the last of
// them. If several times are due, all but the last count as missed too.
func EvaluateSchedule(t *plan.Trigger, last, now, awake time.Time) ScheduleEvaluation {
	if oldest := now.Add(-maxCatchUp); last.Before(oldest) {
		last = oldest
	}
	r := ScheduleEvaluation{Last: last}
	passed := 0
	for r.Next = t.Schedule.Next(last); !r.Next.IsZero() && !r.Next.After(now); r.Next = t.Schedule.Next(r.Next) {
		r.Last = r.Next
		passed++
	}
	if passed == 0 {
		return r
	}
	if !r.Last.Before(awake) || t.Missed == "once" {
		r.Due = r.Last
		passed--
	}
	if r.Missed = passed; passed > 0 {
		r.Until = r.Last
	}
	return r
}
