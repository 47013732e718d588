package expr

import (
	"cmp"
	"fmt"
	"regexp"
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

// tokens are the parts of a layout that stand for a part of the time.
var tokens = regexp.MustCompile("Y+|M+|D+|H+|m+|s+")

// goLayouts are the layouts of package time for the known tokens.
var goLayouts = [...]struct{ token, layout string }{{"YYYY", "2006"}, {"MM", "01"}, {"DD", "02"}, {"HH", "15"}, {"mm", "04"}, {"ss", "05"}}

// formatTime formats a time in a time zone by a layout such as "DD/MM/YYYY HH:mm".
func formatTime(t time.Time, layout, zone string) (string, error) {
	location, err := timeZone(zone)
	if err != nil {
		return "", err
	}
	t = t.In(location)
	text := tokens.ReplaceAllStringFunc(layout, func(token string) string {
		for _, known := range goLayouts {
			if known.token == token {
				return t.Format(known.layout)
			}
		}
		err = cmp.Or(err, fmt.Errorf("the layout %q contains %s, but only YYYY, MM, DD, HH, mm and ss are known; put words outside of it", layout, token))
		return ""
	})
	return text, err
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
