package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// A Schedule is a cron expression in a time zone.
//
// Where clocks change, a time of day that is skipped occurs once, at the jump, and one that is
// repeated occurs once, the first time. An expression whose hour is * follows what the clock
// shows: it occurs in a repeated hour again, and not at all in a skipped one.
type Schedule struct {
	spec   *cron.SpecSchedule // in UTC: it is evaluated over wall-clock times
	zone   *time.Location
	hourly bool // the hour is *
}

// ParseSchedule parses a cron expression of five fields: minute, hour, day of the month,
// month, day of the week, where both 0 and 7 are Sunday. One that never occurs, such as the
// 30th of February, is an error.
func ParseSchedule(text string, zone *time.Location) (*Schedule, error) {
	if strings.Contains(text, "=") {
		return nil, errors.New("write the time zone under its own key, timezone")
	}
	fields := strings.Fields(text)
	if len(fields) == 5 {
		fields[4] = withSundays(fields[4])
	}
	parsed, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(strings.Join(fields, " "))
	if err != nil {
		return nil, err
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("%q does not have five fields", text)
	}
	if slices.Contains([]uint64{spec.Minute, spec.Hour, spec.Dom, spec.Month, spec.Dow}, 0) {
		return nil, errors.New("a field is empty")
	}
	spec.Location = time.UTC
	const everyHour = 1<<24 - 1
	s := &Schedule{spec: spec, zone: zone, hourly: spec.Hour&everyHour == everyHour}
	if s.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, errors.New("there is no such date")
	}
	return s, nil
}

// withSundays rewrites 7 as a day of the week, and ranges that end on a Sunday, in the form
// that the parser knows.
func withSundays(field string) string {
	parts := strings.Split(field, ",")
	for i, part := range parts {
		span, step, _ := strings.Cut(part, "/")
		from, to, isRange := strings.Cut(span, "-")
		first, ok := weekday(from)
		switch last, known := weekday(to); {
		case part == "7":
			parts[i] = "0"
		case isRange && ok && known && (last == 7 || last == 0 && first > 0):
			parts[i] = daysFrom(first, part, step)
		}
	}
	return strings.Join(parts, ",")
}

// daysFrom lists the days from first to the next Sunday, with the given step.
func daysFrom(first int, part, step string) string {
	each, err := strconv.Atoi(cmp.Or(step, "1"))
	if err != nil || each < 1 || strings.HasSuffix(part, "/") {
		return "*/" + step // the parser reports what is wrong with it
	}
	var days []string
	for day := first; day <= 7; day += each {
		days = append(days, strconv.Itoa(day%7))
	}
	return strings.Join(days, ",")
}

func weekday(text string) (day int, ok bool) {
	if len(text) == 1 && text[0] >= '0' && text[0] <= '7' {
		return int(text[0] - '0'), true
	}
	day = slices.Index([]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}, strings.ToLower(text))
	return day, day >= 0
}

// Next returns the first time of the schedule after the given one, in UTC; the zero time if
// there is none within five years.
func (s *Schedule) Next(after time.Time) time.Time {
	after = after.In(s.zone)
	if s.hourly {
		return s.nextHourly(after)
	}
	for shown := wallClock(after); ; {
		if shown = s.spec.Next(shown); shown.IsZero() {
			return time.Time{}
		}
		if at := s.firstReached(shown); at.After(after) {
			return at
		}
	}
}

// nextHourly is Next if the hour is *: the first time at which the clock shows a match.
func (s *Schedule) nextHourly(after time.Time) time.Time {
	for {
		shown := s.spec.Next(wallClock(after))
		if shown.IsZero() {
			return time.Time{}
		}
		at := shown.Add(-offset(after))
		_, changed := after.ZoneBounds()
		if changed.IsZero() || at.Before(changed) {
			return at
		}
		if now := wallClock(changed); s.spec.Next(now.Add(-time.Second)).Equal(now) {
			return changed.UTC()
		}
		after = changed
	}
}

// firstReached returns the first time at which the clock shows a wall-clock time or, where
// that is skipped, a later one.
func (s *Schedule) firstReached(shown time.Time) time.Time {
	at := shown.Add(-16 * time.Hour).In(s.zone) // before it: no zone is 16 hours ahead of UTC
	for {
		_, changed := at.ZoneBounds()
		guess := shown.Add(-offset(at))
		switch {
		case guess.Before(at): // the clock jumped over it
			return at.UTC()
		case changed.IsZero() || guess.Before(changed):
			return guess
		}
		at = changed
	}
}

// wallClock returns the time of day that a clock shows at t, as a time in UTC.
func wallClock(t time.Time) time.Time { return t.UTC().Add(offset(t)) }

// offset is how far the zone of t is ahead of UTC at t.
func offset(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}
