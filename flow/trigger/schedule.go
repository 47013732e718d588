package trigger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"facteur/flow/expr"
	"facteur/flow/host"
	"facteur/flow/plan"
)

const (
	// maxSleep bounds each sleep of Run, so that it notices when the clock was set or the
	// machine slept.
	maxSleep = time.Minute
	// retryDelay is the delay before a start that the host refused, or a failed access to
	// Notes, is tried again.
	retryDelay = 5 * time.Second
	// maxAhead is how far in the future a stored time may be; one further off was stored while
	// the clock was wrong.
	maxAhead = 25 * time.Hour
	// noteKind is the kind of the starter's notes.
	noteKind = "schedule"
)

func (t *table) addSchedules(p *plan.Plan) {
	seen := map[string]int{}
	for _, trigger := range p.Triggers {
		if trigger.Kind != "schedule" || trigger.Schedule == nil {
			continue
		}
		name := p.Name + " " + triggerName(trigger)
		seen[name]++
		if n := seen[name]; n > 1 {
			name += fmt.Sprintf(" #%d", n)
		}
		t.schedules = append(t.schedules, host.Schedule{Name: name, Plan: p, Trigger: trigger})
	}
}

// A note is what Notes has of a schedule. It is stored.
type note struct {
	Last time.Time `json:"last"` // the latest time that was met or missed
}

// A scheduleLoop is the state of Run.
type scheduleLoop struct {
	s          *Starter
	table      *table
	last       map[string]time.Time // by schedule: note.Last
	awakeSince time.Time            // earlier times are missed
	restoredAt time.Time            // earlier times may have been met before the backup was restored
	sleepStart time.Time            // of the latest sleep
}

// Run meets the times of schedules until ctx ends; then it returns nil.
//
// A time is met once, even if the process is killed in the middle, and not again when the clock
// jumps back. A time at which the process did not run, or the machine slept, is missed, unless
// that was less than a minute ago: `missed: once` makes up for the latest of those, `skip` for
// none. A new schedule counts from when it is first seen.
//
// If the host is a host.Scheduler, Run only gives it the schedules whenever they change.
func (s *Starter) Run(ctx context.Context) error {
	if waitFor(ctx, s.served) != nil {
		return nil
	}
	if scheduler, ok := s.host.(host.Scheduler); ok {
		return s.delegate(ctx, scheduler)
	}
	now := s.now()
	t := &scheduleLoop{s: s, last: map[string]time.Time{}, awakeSince: now.Add(-host.Grace), sleepStart: now}
	if s.Restored {
		t.restoredAt = now
	}
	return s.repeat(ctx, func() time.Time {
		next := t.tick(ctx)
		t.sleepStart = s.now()
		return next
	})
}

// delegate gives a host the schedules, again whenever they change, until ctx ends.
func (s *Starter) delegate(ctx context.Context, scheduler host.Scheduler) error {
	var given *table
	return s.repeat(ctx, func() (next time.Time) {
		current := s.table.Load()
		if current == given {
			return time.Time{}
		}
		if err := scheduler.Schedule(ctx, current.loaded, current.schedules); err != nil && ctx.Err() == nil {
			s.Log.Error("the schedules could not be passed to the host; trying again", "error", err)
			return s.Clock.Now().Add(retryDelay)
		}
		given = current
		return time.Time{}
	})
}

// repeat calls tick whenever the plans change, and at the time that it returned, until ctx ends. The
// zero time is never.
func (s *Starter) repeat(ctx context.Context, tick func() (next time.Time)) error {
	for ctx.Err() == nil {
		if err := s.Clock.Wait(ctx, tick(), s.wake); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// now returns the wall clock time. Without its monotonic reading, differences show that the clock
// was set, or the machine slept.
func (s *Starter) now() time.Time { return s.Clock.Now().Round(0) }

// tick meets what is due, and returns when to call it again; the zero time: when the plans
// change.
func (t *scheduleLoop) tick(ctx context.Context) (next time.Time) {
	now := t.s.now()
	if slept := now.Sub(t.sleepStart); slept > 2*maxSleep || slept < 0 {
		t.awakeSince = now.Add(-host.Grace)
	}
	if current := t.s.table.Load(); current != t.table {
		if err := t.load(ctx, current, now); err != nil {
			if ctx.Err() == nil {
				t.s.Log.Error("the schedules could not be read; trying again", "error", err)
			}
			return now.Add(retryDelay)
		}
	}
	if t.table == nil || len(t.table.schedules) == 0 {
		return time.Time{}
	}
	next = now.Add(maxSleep)
	for _, one := range t.table.schedules {
		if at := t.meet(ctx, one, now); !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next
}

// load takes over a table, and reads when its schedules were last met.
func (t *scheduleLoop) load(ctx context.Context, of *table, now time.Time) error {
	notes, err := t.s.Notes.Notes(ctx, noteKind)
	if err != nil {
		return err
	}
	last := map[string]time.Time{}
	for _, one := range of.schedules {
		var stored note
		if err := json.Unmarshal(notes[one.Name], &stored); err == nil && !stored.Last.IsZero() {
			last[one.Name] = stored.Last
			continue
		}
		if last[one.Name] = now; t.note(ctx, one.Name, now) != nil {
			continue // it will be stored with its first time
		}
	}
	for name := range notes {
		if _, known := last[name]; !known { // if it comes back it is a new schedule
			if err := t.s.Notes.Note(ctx, noteKind, name, nil); err != nil {
				return err
			}
		}
	}
	t.table, t.last = of, last
	return nil
}

func (t *scheduleLoop) note(ctx context.Context, name string, at time.Time) error {
	body, err := json.Marshal(note{at.UTC()})
	if err == nil {
		err = t.s.Notes.Note(ctx, noteKind, name, body)
	}
	if err != nil && ctx.Err() == nil {
		t.s.Log.Error("a schedule's state could not be stored", "schedule", name, "error", err)
	}
	return err
}

// meet meets the latest due time of a schedule, if there is one, and returns the next.
func (t *scheduleLoop) meet(ctx context.Context, one host.Schedule, now time.Time) (next time.Time) {
	last := t.last[one.Name]
	if last.After(now.Add(maxAhead)) {
		t.s.Log.Warn("a schedule last fired in the future: the clock was wrong", "schedule", one.Name, "last", last)
		last = now
	}
	r := host.EvaluateSchedule(one.Trigger, last, now, t.awakeSince)
	if !r.Due.IsZero() && r.Due.Before(t.restoredAt) {
		r.Missed, r.Until, r.Due = r.Missed+1, r.Due, time.Time{}
	}
	if r.Due.IsZero() && r.Missed == 0 {
		t.last[one.Name] = r.Last
		return r.Next
	}
	if t.s.Meet(ctx, host.DueSchedule{Schedule: one, At: r.Due, Missed: r.Missed, Until: r.Until}) != nil {
		return now.Add(retryDelay)
	}
	t.last[one.Name] = r.Last
	_ = t.note(ctx, one.Name, r.Last) // note has logged an error; if the run is started again, it has the same key
	return r.Next
}

// Meet starts the run of a time of a schedule, and logs and counts the missed ones. Called again
// with the same time, it starts nothing twice. The error is that of a host that could not start
// the run: then Meet has to be called again. It waits until Serve was called.
//
// now() is that time, so that it does not matter how late it is met.
func (s *Starter) Meet(ctx context.Context, due host.DueSchedule) error {
	c := candidate{due.Plan, due.Trigger}
	if !due.At.IsZero() {
		at := due.At.UTC().Format(time.RFC3339)
		if err := s.startTriggered(ctx, c, at, "schedule "+due.Trigger.Cron, due.Name+" at "+at, expr.Vars{Values: baseVars(due.Plan), Now: due.At}); err != nil {
			return err
		}
	}
	for range due.Missed {
		s.count(due.Plan, due.Trigger, Missed)
	}
	if due.Missed > 0 {
		s.Log.Warn("a schedule was missed: the daemon was not running at the time", "schedule", due.Name, "times", due.Missed, "until", due.Until)
	}
	return nil
}
