package host

import (
	"context"
	"time"

	"facteur/flow/plan"
)

// A Schedule is a schedule trigger of a flow.
type Schedule struct {
	// Name tells it from all others, and lasts for as long as its times are the same.
	Name    string
	Plan    *plan.Plan
	Trigger *plan.Trigger // of Plan
}

// A Keeper is a host that keeps schedules itself, where they outlive the daemons.
type Keeper interface {
	// Schedule makes these all the schedules that there are. One that is there already
	// goes on, and follows this plan from now on; one that is new counts from now.
	//
	// All daemons say what their flows have, when they have loaded them and not again:
	// where they differ, the flows that were loaded last hold, whoever is asked first.
	Schedule(ctx context.Context, loaded time.Time, all []Schedule) error
}

// A Due says what has come of a schedule.
type Due struct {
	Schedule
	At     time.Time // to be met; zero: none
	Missed int       // how many times were missed …
	Until  time.Time // … the last of them
}

const (
	// Grace is how late a time may be met after nothing had run, before it counts as
	// missed.
	Grace = time.Minute
	// back is how far back times are looked for that were missed.
	back = 366 * 24 * time.Hour
)

// A Reckoning is what a schedule comes to at a time.
type Reckoning struct {
	Due  time.Time // to be met; zero: none
	Last time.Time // up to when all times are met or missed, once Due is met
	Next time.Time // zero: none within five years

	Missed int
	Until  time.Time
}

// Reckon tells what there is to do at a schedule that was dealt with up to last. Times
// before awake, since when something runs, were missed; `missed: once` makes up for the
// last of those. Of several times at once all but the last were missed, too.
func Reckon(t *plan.Trigger, last, now, awake time.Time) Reckoning {
	if oldest := now.Add(-back); last.Before(oldest) {
		last = oldest
	}
	r := Reckoning{Last: last}
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
