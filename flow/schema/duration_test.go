package schema_test

import (
	"math"
	"testing"
	"time"

	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDurations(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		in     string
		want   time.Duration
		format string
	}{
		{"90s", 90 * time.Second, "1m30s"},
		{"1m30s", 90 * time.Second, "1m30s"},
		{"24h", day, "1d"},
		{"168h", 7 * day, "7d"},
		{"1d12h", 36 * time.Hour, "1d12h"},
		{"250ms", 250 * time.Millisecond, "250ms"},
		{"1.5h", 90 * time.Minute, "1h30m"},
		{"0.5d", 12 * time.Hour, "12h"},
		{"0s", 0, "0s"},
		{"1500us", 1500 * time.Microsecond, "1ms500us"},
		{"7ns", 7, "7ns"},
		{"9223372036854775807ns", math.MaxInt64, "106751d23h47m16s854ms775us807ns"},
	} {
		got, err := schema.ParseDuration(tt.in)
		require.NoError(t, err, tt.in)
		assert.Equal(t, tt.want, got)
		assert.Equal(t, tt.format, schema.FormatDuration(got))
	}
	assert.Equal(t, "-5m", schema.FormatDuration(-5*time.Minute))
	assert.Equal(t, "-106751d23h47m16s854ms775us808ns", schema.FormatDuration(math.MinInt64))
}

func TestDurationErrors(t *testing.T) {
	const form = `write it as "90s", "1h30m" or "7d"`
	for in, want := range map[string]string{
		"":                      "a duration is missing: " + form,
		"90":                    `"90" is not a duration: 90 has no unit directly after it, write 90s for seconds`,
		"-5m":                   `"-5m" is not a duration: it must not be negative`,
		"PT5M":                  `"PT5M" is not a duration: the ISO 8601 form is not supported, ` + form,
		"soon":                  `"soon" is not a duration: ` + form,
		"5 m":                   `"5 m" is not a duration: 5 has no unit directly after it, write 5m`,
		"500 ms":                `"500 ms" is not a duration: 500 has no unit directly after it, write 500ms`,
		"5 milliseconds":        `"5 milliseconds" is not a duration: 5 has no unit directly after it, write 5ms`,
		"5 minutes":             `"5 minutes" is not a duration: 5 has no unit directly after it, write 5m`,
		"2 months":              `"2 months" is not a duration: 2 has no unit directly after it, ` + form,
		"5min":                  `"5min" is not a duration: there is no unit "min", use d, h, m, s or ms`,
		"2w":                    `"2w" is not a duration: there is no unit "w", use d, h, m, s or ms`,
		"30m1h":                 `"30m1h" is not a duration: "h" is out of place: write each unit once, the largest first`,
		"1h1h":                  `"1h1h" is not a duration: "h" is out of place: write each unit once, the largest first`,
		"200000d":               `"200000d" is not a duration: the number before "d" is too large or too precise`,
		"106751d24h":            `"106751d24h" is not a duration: it is longer than 292 years`,
		"0.5ns":                 `"0.5ns" is not a duration: the number before "ns" is too large or too precise`,
		"1.s":                   `"1.s" is not a duration: 1 has no unit directly after it, write it as "90s", "1h30m" or "7d"`,
		"99999999999999999999d": `"99999999999999999999d" is not a duration: the number before "d" is too large or too precise`,
		"106751.999999999999d":  `"106751.999999999999d" is not a duration: the number before "d" is too large or too precise`,
	} {
		_, err := schema.ParseDuration(in)
		assert.EqualError(t, err, want)
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"90s", "1d12h", "1.5h", "-1s", "9223372036854775807ns", "1\xffs", "0.0000000001d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := schema.ParseDuration(s)
		if err != nil {
			return
		}
		again, err := schema.ParseDuration(schema.FormatDuration(d))
		require.NoError(t, err)
		require.Equal(t, d, again)
		require.GreaterOrEqual(t, d, time.Duration(0))
	})
}
