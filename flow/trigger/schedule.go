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
	// longest is how long Run sleeps at a stretch, so that it notices when the clock was
	// set or the machine slept.
	longest = time.Minute
	// again is when what the host, or the disk, refused is tried again.
	again = 5 * time.Second
	// ahead is how far in the future a noted time may be; one further off is of a clock
	// that was wrong.
	ahead = 25 * time.Hour
	// noteKind is what the starter's notes are of.
	noteKind = "schedule"
)

func (t *table) addSchedules(p *plan.Plan) {
	same := map[string]int{}
	for _, trigger := range p.Triggers {
		if trigger.Kind != "schedule" || trigger.Schedule == nil {
			continue
		}
		name := p.Name + " " + describe(trigger)
		same[name]++
		if n := same[name]; n > 1 {
			name += fmt.Sprintf(" #%d", n)
		}
		t.schedules = append(t.schedules, host.Schedule{Name: name, Plan: p, Trigger: trigger})
	}
}

// A note is what is stored of a schedule.
type note struct {
	Last time.Time `json:"last"` // the last time that was met or given up
}

// A timetable is what Run knows of the schedules.
type timetable struct {
	s     *Starter
	of    *table
	last  map[string]time.Time // by name
	awake time.Time            // since when times are met without a gap
	since time.Time            // what was due before may have been met by another process
	slept time.Time            // when the last sleep began
}

// Run meets the times of schedules until ctx ends; then it returns nil.
//
// A time is met once, also when the process is killed in the middle, and not again when
// the clock jumps back. A time at which the process did not run, or the machine slept, is
// missed, unless that was less than a minute ago: `missed: once` makes up for the last of
// those, `skip` for none. A schedule that is new counts from when it is first seen.
//
// A host that keeps schedules itself, a host.Scheduler, is given them instead, each time that
// there are others.
func (s *Starter) Run(ctx context.Context) error {
	if wait(ctx, s.served) != nil {
		return nil
	}
	if keeper, ok := s.host.(host.Scheduler); ok {
		return s.keep(ctx, keeper)
	}
	now := s.now()
	t := &timetable{s: s, last: map[string]time.Time{}, awake: now.Add(-host.Grace), slept: now}
	if s.Restored {
		t.since = now
	}
	for ctx.Err() == nil {
		next := t.look(ctx)
		t.slept = s.now()
		if err := s.Clock.Wait(ctx, next, s.wake); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
	return nil
}

// keep gives a host the schedules, whenever there are others, until ctx ends.
func (s *Starter) keep(ctx context.Context, keeper host.Scheduler) error {
	var kept *table
	for {
		var next time.Time
		if current := s.table.Load(); current != kept {
			err := keeper.Schedule(ctx, current.loaded, current.schedules)
			if kept = current; err != nil && ctx.Err() == nil {
				s.Log.Error("the host could not be given the schedules; it is tried again", "error", err)
				kept, next = nil, s.Clock.Now().Add(again)
			}
		}
		if err := s.Clock.Wait(ctx, next, s.wake); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// now is the time on the clock alone: what Go keeps beside it, to measure with, goes on evenly
// while the clock is set, and stands still while the machine sleeps.
func (s *Starter) now() time.Time { return s.Clock.Now().Round(0) }

// look meets what is due, and returns when to look again; the zero time: when the plans
// change.
func (t *timetable) look(ctx context.Context) (next time.Time) {
	now := t.s.now()
	if slept := now.Sub(t.slept); slept > 2*longest || slept < 0 {
		t.awake = now.Add(-host.Grace)
	}
	if current := t.s.table.Load(); current != t.of {
		if err := t.take(ctx, current, now); err != nil {
			if ctx.Err() == nil {
				t.s.Log.Error("the schedules could not be read; they are tried again", "error", err)
			}
			return now.Add(again)
		}
	}
	if t.of == nil || len(t.of.schedules) == 0 {
		return time.Time{}
	}
	next = now.Add(longest)
	for _, one := range t.of.schedules {
		if at := t.meet(ctx, one, now); !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next
}

// take learns when the schedules of a table were last met.
func (t *timetable) take(ctx context.Context, of *table, now time.Time) error {
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
			continue // it is noted with its first time
		}
	}
	for name := range notes {
		if _, known := last[name]; !known { // should it come back, it is a new one
			if err := t.s.Notes.Note(ctx, noteKind, name, nil); err != nil {
				return err
			}
		}
	}
	t.of, t.last = of, last
	return nil
}

func (t *timetable) note(ctx context.Context, name string, at time.Time) error {
	body, err := json.Marshal(note{at.UTC()})
	if err == nil {
		err = t.s.Notes.Note(ctx, noteKind, name, body)
	}
	if err != nil && ctx.Err() == nil {
		t.s.Log.Error("a schedule could not be noted", "schedule", name, "error", err)
	}
	return err
}

// meet meets the last time of a schedule that is due, and returns the next one.
func (t *timetable) meet(ctx context.Context, one host.Schedule, now time.Time) (next time.Time) {
	last := t.last[one.Name]
	if last.After(now.Add(ahead)) {
		t.s.Log.Warn("a schedule was last met in the future: the clock was wrong", "schedule", one.Name, "last", last)
		last = now
	}
	r := host.EvaluateSchedule(one.Trigger, last, now, t.awake)
	if !r.Due.IsZero() && r.Due.Before(t.since) {
		r.Missed, r.Until, r.Due = r.Missed+1, r.Due, time.Time{}
	}
	if r.Due.IsZero() && r.Missed == 0 {
		t.last[one.Name] = r.Last
		return r.Next
	}
	if t.s.Meet(ctx, host.DueSchedule{Schedule: one, At: r.Due, Missed: r.Missed, Until: r.Until}) != nil {
		return now.Add(again)
	}
	t.last[one.Name] = r.Last
	_ = t.note(ctx, one.Name, r.Last) // is logged; started again, it has the same key
	return r.Next
}

// Meet starts the run of a time of a schedule, and tells of those that were missed. Called
// again with the same time, it starts nothing twice. The error is that of a host that could
// not start a run: then Meet has to be called again. It waits until Serve was called.
//
// now() is that time, so that it does not matter how late it is met.
func (s *Starter) Meet(ctx context.Context, due host.DueSchedule) error {
	c := candidate{due.Plan, due.Trigger}
	if !due.At.IsZero() {
		at := due.At.UTC().Format(time.RFC3339)
		if err := s.startWith(ctx, c, at, "schedule "+due.Trigger.Cron, due.Name+" at "+at, expr.Vars{Values: outside(due.Plan), Now: due.At}); err != nil {
			return err
		}
	}
	for range due.Missed {
		s.count(due.Plan, due.Trigger, Missed)
	}
	if due.Missed > 0 {
		s.Log.Warn("a schedule was missed: nothing ran at the time", "schedule", due.Name, "times", due.Missed, "until", due.Until)
	}
	return nil
}
