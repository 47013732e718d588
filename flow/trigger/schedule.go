package trigger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"facteur/flow/plan"
)

const (
	// grace is how late a time may be met after the starter was away, before it counts
	// as missed.
	grace = time.Minute
	// longest is how long Run sleeps at a stretch, so that it notices when the clock was
	// set or the machine slept.
	longest = time.Minute
	// again is when what the host, or the disk, refused is tried again.
	again = 5 * time.Second
	// ahead is how far in the future a noted time may be; one further off is of a clock
	// that was wrong.
	ahead = 25 * time.Hour
	// back is how far back times are looked for that were missed.
	back = 366 * 24 * time.Hour
	// noteKind is what the starter's notes are of.
	noteKind = "schedule"
)

// A schedule is a schedule trigger, by a name that lasts as long as its times are the same.
type schedule struct {
	candidate
	name string
}

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
		t.schedules = append(t.schedules, schedule{candidate{p, trigger}, name})
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
	slept time.Time            // when the last sleep began
}

// Run meets the times of schedules until ctx ends; then it returns nil.
//
// A time is met once, also when the process is killed in the middle, and not again when
// the clock jumps back. A time at which the process did not run, or the machine slept, is
// missed, unless that was less than a minute ago: `missed: once` makes up for the last of
// those, `skip` for none. A schedule that is new counts from when it is first seen.
func (s *Starter) Run(ctx context.Context) error {
	now := s.Clock.Now()
	t := &timetable{s: s, last: map[string]time.Time{}, awake: now.Add(-grace), slept: now}
	for ctx.Err() == nil {
		next := t.look(ctx)
		t.slept = s.Clock.Now()
		if err := s.Clock.Wait(ctx, next, s.wake); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
	return nil
}

// look meets what is due, and returns when to look again; the zero time: when the plans
// change.
func (t *timetable) look(ctx context.Context) (next time.Time) {
	now := t.s.Clock.Now()
	if slept := now.Sub(t.slept); slept > 2*longest || slept < 0 {
		t.awake = now.Add(-grace)
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
		if err := json.Unmarshal(notes[one.name], &stored); err == nil && !stored.Last.IsZero() {
			last[one.name] = stored.Last
			continue
		}
		if last[one.name] = now; t.note(ctx, one.name, now) != nil {
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
func (t *timetable) meet(ctx context.Context, one schedule, now time.Time) (next time.Time) {
	last := t.last[one.name]
	switch {
	case last.After(now.Add(ahead)):
		t.s.Log.Warn("a schedule was last met in the future: the clock was wrong", "schedule", one.name, "last", last)
		last = now
	case last.Before(now.Add(-back)):
		last = now.Add(-back)
	}
	var due time.Time
	passed := 0
	for next = one.trigger.Schedule.Next(last); !next.IsZero() && !next.After(now); next = one.trigger.Schedule.Next(next) {
		due = next
		passed++
	}
	if passed == 0 {
		t.last[one.name] = last
		return next
	}
	if missed := due.Before(t.awake); missed && one.trigger.Missed != "once" {
		t.miss(one, passed, due)
	} else {
		t.miss(one, passed-1, due)
		if t.start(ctx, one, due) != nil {
			return now.Add(again)
		}
	}
	t.last[one.name] = due
	_ = t.note(ctx, one.name, due) // is logged; started again, it has the same key
	return next
}

func (t *timetable) miss(one schedule, times int, until time.Time) {
	if times == 0 {
		return
	}
	for range times {
		t.s.count(one.plan, one.trigger, Missed)
	}
	t.s.Log.Warn("a schedule was missed: nothing ran at the time", "schedule", one.name, "times", times, "until", until)
}

// start starts the run of a time. now() is that time, so that it does not matter how late
// it is met.
func (t *timetable) start(ctx context.Context, one schedule, due time.Time) error {
	at := due.UTC().Format(time.RFC3339)
	return t.s.startWith(ctx, one.candidate, at, "schedule "+one.trigger.Cron, one.name+" at "+at, outside(one.plan, due))
}
