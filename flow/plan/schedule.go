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
// Where clocks are changed, a time of day that does not exist comes at the jump, once,
// and one that exists twice comes once, the first time. An expression whose hour is *
// goes by the clock as it is: it comes whenever the clock shows a time that fits, in an
// hour that is repeated again, and in one that is left out not at all.
type Schedule struct {
	spec   *cron.SpecSchedule // in UTC: it is asked for what clocks show, not for times
	zone   *time.Location
	hourly bool // the hour is *
}

// ParseSchedule reads a cron expression of five fields: minute, hour, day of the month,
// month, day of the week, where both 0 and 7 are Sunday. One that never comes, such as
// the 30th of February, is an error.
func ParseSchedule(text string, zone *time.Location) (*Schedule, error) {
	if strings.Contains(text, "=") {
		return nil, errors.New("the time zone has a key of its own, timezone")
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
		return nil, fmt.Errorf("%q is not five fields", text)
	}
	if slices.Contains([]uint64{spec.Minute, spec.Hour, spec.Dom, spec.Month, spec.Dow}, 0) {
		return nil, errors.New("one of its fields is empty")
	}
	spec.Location = time.UTC
	const everyHour = 1<<24 - 1
	s := &Schedule{spec: spec, zone: zone, hourly: spec.Hour&everyHour == everyHour}
	if s.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, errors.New("there is no such day")
	}
	return s, nil
}

// withSundays writes the 7 of a day of the week, and a Sunday that ends a range, in the
// way that the parser knows.
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

// daysFrom lists the days from one to the Sunday after it, or only each so many of them.
func daysFrom(first int, part, step string) string {
	each, err := strconv.Atoi(cmp.Or(step, "1"))
	if err != nil || each < 1 || strings.HasSuffix(part, "/") {
		return "*/" + step // the parser says what is wrong with it
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

// Next returns the first time of the schedule after a time, in UTC; the zero time when
// there is none within five years.
func (s *Schedule) Next(after time.Time) time.Time {
	after = after.In(s.zone)
	if s.hourly {
		return s.nextShown(after)
	}
	for shown := wall(after); ; {
		if shown = s.spec.Next(shown); shown.IsZero() {
			return time.Time{}
		}
		if at := s.reached(shown); at.After(after) {
			return at
		}
	}
}

// nextShown returns when the clock first shows a time that fits.
func (s *Schedule) nextShown(after time.Time) time.Time {
	for {
		shown := s.spec.Next(wall(after))
		if shown.IsZero() {
			return time.Time{}
		}
		at := shown.Add(-offset(after))
		_, changed := after.ZoneBounds()
		if changed.IsZero() || at.Before(changed) {
			return at
		}
		if now := wall(changed); s.spec.Next(now.Add(-time.Second)).Equal(now) {
			return changed.UTC()
		}
		after = changed
	}
}

// reached returns the first time at which the clock shows a time of day, or a later one.
func (s *Schedule) reached(shown time.Time) time.Time {
	at := shown.Add(-16 * time.Hour).In(s.zone) // no zone is so far ahead
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

// wall gives what a clock shows at a time, as that time of day in UTC.
func wall(t time.Time) time.Time { return t.UTC().Add(offset(t)) }

// offset is how far the clock of a zone is ahead of UTC at a time.
func offset(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}
