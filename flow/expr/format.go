package expr

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// formatFunctions declares the functions that format times and numbers for people.
func formatFunctions() []cel.EnvOption {
	text, integer := cel.StringType, cel.IntType
	return []cel.EnvOption{
		cel.Function("format", cel.Overload(formatOverload, []*cel.Type{cel.TimestampType, text, text}, text,
			cel.FunctionBinding(func(args ...ref.Val) ref.Val {
				t := args[0].(types.Timestamp).Time
				return textOr(formatTime(t, string(args[1].(types.String)), string(args[2].(types.String))))
			}))),
		cel.Function("pad", cel.Overload("pad_int_int", []*cel.Type{integer, integer}, text,
			cel.BinaryBinding(func(n, width ref.Val) ref.Val {
				return textOr(pad(int64(n.(types.Int)), int64(width.(types.Int))))
			}))),
	}
}

const formatOverload = "format_timestamp_string_string"

// formatTime formats a time in a time zone by a layout such as "DD/MM/YYYY HH:mm".
func formatTime(t time.Time, layout, zone string) (string, error) {
	location, err := timeZone(zone)
	if err != nil {
		return "", err
	}
	t = t.In(location)
	var b strings.Builder
	err = tokens(layout, func(s string, token bool) bool {
		if !token {
			b.WriteString(s)
			return true
		}
		n, ok := part(t, s)
		fmt.Fprintf(&b, "%0*d", len(s), n)
		return ok
	})
	return b.String(), err
}

// tokens calls each with the parts of a layout: tokens, which are runs of one of the letters Y
// M D H m s, and the text between them.
func tokens(layout string, each func(s string, token bool) bool) error {
	for i := 0; i < len(layout); {
		c, j := layout[i], i+1
		token := strings.IndexByte("YMDHms", c) >= 0
		for j < len(layout) && token && layout[j] == c {
			j++
		}
		if !each(layout[i:j], token) {
			return fmt.Errorf("the layout %q contains %s, but only YYYY, MM, DD, HH, mm and ss are known; put words outside of it", layout, layout[i:j])
		}
		i = j
	}
	return nil
}

// part returns the part of a time that a token stands for.
func part(t time.Time, token string) (n int, ok bool) {
	switch token {
	case "YYYY":
		return t.Year(), true
	case "MM":
		return int(t.Month()), true
	case "DD":
		return t.Day(), true
	case "HH":
		return t.Hour(), true
	case "mm":
		return t.Minute(), true
	case "ss":
		return t.Second(), true
	}
	return 0, false
}

func validLayout(layout string) error {
	_, err := formatTime(time.Time{}, layout, "UTC")
	return err
}

// timeZone returns a time zone by its name or by its offset from UTC, such as +02:00.
func timeZone(zone string) (*time.Location, error) {
	if t, err := time.Parse("-07:00", zone); err == nil {
		return t.Location(), nil
	}
	location, _ := TimeZone(zone)
	if location == nil || zone == "" {
		return nil, fmt.Errorf("%q is not a time zone; write one such as \"Europe/Paris\", \"UTC\" or \"+02:00\"", zone)
	}
	return location, nil
}

// maxPad is the largest width of pad.
const maxPad = 100

// pad formats a number with leading zeros to at least width digits.
func pad(n, width int64) (string, error) {
	if width < 0 || width > maxPad {
		return "", fmt.Errorf("pad: the width must be between 0 and %d, not %d", maxPad, width)
	}
	digits, sign := strings.CutPrefix(strconv.FormatInt(n, 10), "-")
	digits = strings.Repeat("0", max(0, int(width)-len(digits))) + digits
	if sign {
		digits = "-" + digits
	}
	return digits, nil
}
