package plan_test

import (
	"strings"
	"testing"
	"time"

	"facteur/flow/plan"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func zone(t testing.TB, name string) *time.Location {
	z, err := time.LoadLocation(name)
	require.NoError(t, err)
	return z
}

// TestSchedule lists the next times after one, as the clock of the zone shows them, with the
// offset where it matters.
func TestSchedule(t *testing.T) {
	const plain, exact = "2006-01-02 15:04", "2006-01-02 15:04 -07:00"
	for _, tt := range []struct{ name, zone, cron, after, want string }{
		{"every minute", "UTC", "* * * * *", "2026-03-01 12:00", "2026-03-01 12:01, 2026-03-01 12:02"},
		{"a time of day", "Europe/Paris", "30 9 * * *", "2026-03-01 09:30", "2026-03-02 09:30, 2026-03-03 09:30"},
		{"on week days", "Europe/Paris", "0 9 * * mon-fri", "2026-03-06 09:00", "2026-03-09 09:00, 2026-03-10 09:00"},
		{"Sunday as 7", "UTC", "0 9 * * 7", "2026-03-01 09:00", "2026-03-08 09:00"},
		{"Sunday as 0", "UTC", "0 9 * * 0", "2026-03-01 09:00", "2026-03-08 09:00"},
		{"Sunday at the end of a range", "UTC", "0 9 * * 6-7", "2026-03-01 09:00", "2026-03-07 09:00, 2026-03-08 09:00, 2026-03-14 09:00"},
		{"Sunday at the end of a range, by name", "UTC", "0 9 * * Fri-SUN", "2026-03-01 09:00", "2026-03-06 09:00, 2026-03-07 09:00, 2026-03-08 09:00, 2026-03-13 09:00"},
		{"Sunday at the end of every second day", "UTC", "0 9 * * 1-7/2", "2026-03-01 09:00", "2026-03-02 09:00, 2026-03-04 09:00, 2026-03-06 09:00, 2026-03-08 09:00"},
		{"every day by number", "UTC", "0 9 * * 0-7", "2026-03-01 09:00", "2026-03-02 09:00"},
		{"among others", "UTC", "0 9 * * 3,7", "2026-03-01 09:00", "2026-03-04 09:00, 2026-03-08 09:00"},
		{"the 29th of February", "UTC", "0 0 29 2 *", "2026-03-01 09:00", "2028-02-29 00:00"},

		{"Paris, spring: it does not exist", "Europe/Paris", "30 2 * * *", "2026-03-28 12:00", "2026-03-29 03:00 +02:00, 2026-03-30 02:30 +02:00"},
		{"Paris, spring: several do not exist", "Europe/Paris", "*/15 2,3 * * *", "2026-03-29 01:00", "2026-03-29 03:00 +02:00, 2026-03-29 03:15 +02:00"},
		{"Paris, spring: each hour", "Europe/Paris", "0 * * * *", "2026-03-29 00:30", "2026-03-29 01:00 +01:00, 2026-03-29 03:00 +02:00, 2026-03-29 04:00 +02:00"},
		{"Paris, spring: each hour, past it", "Europe/Paris", "15 * * * *", "2026-03-29 00:30", "2026-03-29 01:15 +01:00, 2026-03-29 03:15 +02:00"},
		{"Paris, spring: midnight", "Europe/Paris", "0 0 * * *", "2026-03-28 12:00", "2026-03-29 00:00 +01:00, 2026-03-30 00:00 +02:00"},
		{"Paris, autumn: it exists twice", "Europe/Paris", "30 2 * * *", "2026-10-24 12:00", "2026-10-25 02:30 +02:00, 2026-10-26 02:30 +01:00"},
		{"Paris, autumn: the hour exists twice", "Europe/Paris", "0 2-4 * * *", "2026-10-25 00:00", "2026-10-25 02:00 +02:00, 2026-10-25 03:00 +01:00, 2026-10-25 04:00 +01:00"},
		{"Paris, autumn: each hour", "Europe/Paris", "0 * * * *", "2026-10-25 01:30", "2026-10-25 02:00 +02:00, 2026-10-25 02:00 +01:00, 2026-10-25 03:00 +01:00"},
		{"Paris, autumn: each half hour", "Europe/Paris", "*/30 * * * *", "2026-10-25 01:45", "2026-10-25 02:00 +02:00, 2026-10-25 02:30 +02:00, 2026-10-25 02:00 +01:00, 2026-10-25 02:30 +01:00, 2026-10-25 03:00 +01:00"},
		{"New York, spring: it does not exist", "America/New_York", "30 2 * * *", "2026-03-07 12:00", "2026-03-08 03:00 -04:00, 2026-03-09 02:30 -04:00"},
		{"New York, autumn: it exists twice", "America/New_York", "30 1 * * *", "2026-10-31 12:00", "2026-11-01 01:30 -04:00, 2026-11-02 01:30 -05:00"},
		{"New York, autumn: at the change", "America/New_York", "0 1,2 * * *", "2026-10-31 12:00", "2026-11-01 01:00 -04:00, 2026-11-01 02:00 -05:00"},
		{"Lord Howe, spring: half an hour does not exist", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03 12:00", "2026-10-04 02:30 +11:00, 2026-10-05 02:15 +11:00"},
		{"Lord Howe, spring: after the jump", "Australia/Lord_Howe", "30 2 * * *", "2026-10-03 12:00", "2026-10-04 02:30 +11:00, 2026-10-05 02:30 +11:00"},
		{"Lord Howe, autumn: half an hour exists twice", "Australia/Lord_Howe", "45 1 * * *", "2026-04-04 12:00", "2026-04-05 01:45 +11:00, 2026-04-06 01:45 +10:30"},
		{"Lord Howe, autumn: before it", "Australia/Lord_Howe", "15 1 * * *", "2026-04-04 12:00", "2026-04-05 01:15 +11:00, 2026-04-06 01:15 +10:30"},
		{"midnight does not exist", "America/Santiago", "0 0 * * *", "2026-09-05 12:00", "2026-09-06 01:00 -03:00, 2026-09-07 00:00 -03:00"},
		{"a day does not exist", "Pacific/Apia", "0 9 * * *", "2011-12-29 12:00", "2011-12-31 00:00 +14:00, 2011-12-31 09:00 +14:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z := zone(t, tt.zone)
			s, err := plan.ParseSchedule(tt.cron, z)
			require.NoError(t, err)
			at, err := time.ParseInLocation(plain, tt.after, z)
			require.NoError(t, err)
			for want := range strings.SplitSeq(tt.want, ", ") {
				at = s.Next(at)
				format := plain
				if len(want) > len(plain) {
					format = exact
				}
				require.Equal(t, want, at.In(z).Format(format))
			}
		})
	}
}

func TestInvalidSchedule(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "empty",
		"* * * *":                       "expected exactly 5 fields, found 4",
		"@daily":                        "descriptors",
		"TZ=UTC * * * * *":              "its own key, timezone",
		"60 * * * *":                    "above maximum",
		"* * * * 8":                     "above maximum",
		"* * * * 7-9":                   "above maximum",
		"* * * * 1-7/0":                 "step",
		"* * * * mon-7/x":               "x",
		"0 0 31 4 *":                    "no such date",
		", * * * *":                     "a field is empty",
		"1-2-3 * * * *":                 "hyphens",
		"*/9223372036854775808 * * * *": "failed to parse",
	} {
		_, err := plan.ParseSchedule(text, time.UTC)
		assert.ErrorContains(t, err, want, text)
	}
}

// FuzzSchedule: for any expression the times are in order, whole minutes, and the same when
// asked for from in between.
func FuzzSchedule(f *testing.F) {
	for _, text := range []string{"* * * * *", "30 2 * * *", "*/7 1-3 * 3,10 sun", "0 0 29 2 *", "5-55/10 * 1,15 * 1-7/2", "0 * * * *", ", * * * *", "* * * * 5-7"} {
		f.Add(text, int64(1774746000)) // an hour before clocks change in Paris
	}
	zones := []*time.Location{time.UTC, zone(f, "Europe/Paris"), zone(f, "America/New_York"), zone(f, "Australia/Lord_Howe")}
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		start := time.Unix(seconds%4102444800, 0)
		for _, z := range zones {
			s, err := plan.ParseSchedule(text, z)
			if err != nil {
				assert.NotEmpty(t, err.Error())
				continue
			}
			at := start
			for range 4 {
				next := s.Next(at)
				if next.IsZero() {
					break
				}
				require.True(t, next.After(at), "%s after %s", next, at)
				require.Zero(t, next.Unix()%60)
				require.Equal(t, next, s.Next(next.Add(-time.Second)))
				require.Equal(t, next, s.Next(at.Add(next.Sub(at)/2)))
				at = next
			}
		}
	})
}

func BenchmarkScheduleNext(b *testing.B) {
	s, err := plan.ParseSchedule("30 9 * * mon-fri", zone(b, "Europe/Paris"))
	require.NoError(b, err)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		s.Next(at)
	}
}
