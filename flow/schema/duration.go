package schema

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A unit of durations. A day is always 24 hours.
type unit struct {
	name string
	size time.Duration
}

var units = [...]unit{
	{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second},
	{"ms", time.Millisecond}, {"us", time.Microsecond}, {"ns", time.Nanosecond},
}

// durationPattern matches what ParseDuration accepts, except for the order of units.
const durationPattern = `^(\d+(\.\d+)?(d|h|m|s|ms|us|ns))+$`

const durationForm = `write it as "90s", "1h30m" or "7d"`

// unitHint guesses the unit from the text after a number, such as a space and a word.
func unitHint(number, rest string) string {
	if rest = strings.TrimSpace(rest); rest == "" {
		return "write " + number + "s for seconds"
	}
	unit := rest[:1]
	switch {
	case unitIndex(rest) >= 0:
		unit = rest
	case strings.HasPrefix(rest, "milli"):
		unit = "ms"
	case strings.HasPrefix(rest, "mo"), strings.HasPrefix(rest, "mic"): // months, microseconds
		return durationForm
	}
	if unitIndex(unit) < 0 {
		return durationForm
	}
	return "write " + number + unit
}

// ParseDuration parses a duration such as "90s", "24h", "1h30m", "7d" or "250ms": one or more
// numbers, each with its unit (d, h, m, s, ms, us, ns), the largest unit first. A day is 24
// hours. Negative and ISO 8601 durations are errors.
func ParseDuration(s string) (time.Duration, error) {
	invalid := func(why string) (time.Duration, error) {
		return 0, fmt.Errorf("%s is not a duration: %s", quoteShort(s), why)
	}
	switch {
	case s == "":
		return 0, errors.New("a duration is missing: " + durationForm)
	case s[0] == '-':
		return invalid("it must not be negative")
	case s[0] == 'P' || s[0] == 'p':
		return invalid("the ISO 8601 form is not supported, " + durationForm)
	}
	var total time.Duration
	next := 0 // index of the largest unit that may follow
	for rest := s; rest != ""; {
		number := rest[:digits(rest)]
		rest = rest[len(number):]
		name := rest
		if i := strings.IndexAny(rest, "0123456789. "); i >= 0 {
			name = rest[:i]
		}
		rest = rest[len(name):]
		if number == "" {
			return invalid(durationForm)
		}
		if name == "" {
			return invalid(fmt.Sprintf("%s has no unit directly after it, %s", number, unitHint(number, rest)))
		}
		i := unitIndex(name)
		switch {
		case i < 0:
			return invalid(fmt.Sprintf("there is no unit %s, use d, h, m, s or ms", quoteShort(name)))
		case i < next:
			return invalid(fmt.Sprintf("%q is out of place: write each unit once, the largest first", name))
		}
		next = i + 1
		part, ok := scale(number, units[i].size)
		if !ok {
			return invalid("the number before " + strconv.Quote(name) + " is too large or too precise")
		}
		if total > math.MaxInt64-part {
			return invalid("it is longer than 292 years")
		}
		total += part
	}
	return total, nil
}

// digits returns the length of the decimal number at the beginning of s.
func digits(s string) int {
	count := func(from int) int {
		i := from
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i
	}
	whole := count(0)
	if whole > 0 && whole < len(s) && s[whole] == '.' {
		if end := count(whole + 1); end > whole+1 {
			return end
		}
	}
	return whole
}

func unitIndex(name string) int {
	for i, u := range units {
		if u.name == name {
			return i
		}
	}
	return -1
}

// scale multiplies a decimal number by a unit; ok is false if the result overflows or is not a
// whole number of nanoseconds.
func scale(number string, size time.Duration) (d time.Duration, ok bool) {
	whole, fraction, _ := strings.Cut(number, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > math.MaxInt64/int64(size) {
		return 0, false
	}
	d = time.Duration(n) * size
	for _, digit := range fraction {
		if digit != '0' && size%10 != 0 {
			return 0, false
		}
		size /= 10
		part := time.Duration(digit-'0') * size
		if d > math.MaxInt64-part {
			return 0, false
		}
		d += part
	}
	return d, true
}

// FormatDuration returns the exact form that ParseDuration parses, with the largest possible
// units: "1m30s", "7d". A negative duration, which ParseDuration refuses, gets a minus sign.
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b []byte
	left := uint64(d)
	if d < 0 {
		b = append(b, '-')
		left = -left
	}
	for _, u := range units {
		if n := left / uint64(u.size); n > 0 {
			b = append(strconv.AppendUint(b, n, 10), u.name...)
			left %= uint64(u.size)
		}
	}
	return string(b)
}

// quoteShort quotes a text for a message, shortened to 40 characters.
func quoteShort(s string) string {
	const maxRunes = 40
	if runes := []rune(s); len(runes) > maxRunes {
		s = string(runes[:maxRunes]) + "…"
	}
	return strconv.Quote(s)
}
