package schema

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FromText converts a text, as given on a command line, to a value of the type: strings stay
// as they are, lists and objects are JSON, a value of any type is JSON if it is valid JSON and
// a string otherwise.
func (t *Type) FromText(s string) (any, error) {
	v, err := t.parseText(s)
	if err != nil {
		if t.Sensitive {
			return nil, fmt.Errorf("the value is not a valid %s", t.Name())
		}
		return nil, err
	}
	v, found := t.Coerce(v)
	if err := found.Err(); err != nil {
		return nil, err
	}
	return v, nil
}

func (t *Type) parseText(s string) (any, error) {
	switch t.Kind {
	case List, Map, Object, Union:
		v, err := ReadJSON([]byte(s))
		if err != nil {
			return nil, fmt.Errorf("expected %s, written as JSON: %w", t.Name(), err)
		}
		return v, nil
	case Any:
		if v, err := ReadJSON([]byte(s)); err == nil {
			return v, nil
		}
		return s, nil
	}
	return parseScalar(t, s)
}

// parseScalar parses booleans and numbers; Coerce parses other kinds.
func parseScalar(t *Type, s string) (any, error) {
	switch t.Kind {
	case Bool:
		switch s {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, fmt.Errorf("expected true or false, got %s", quoteShort(s))
	case Int:
		i, err := strconv.ParseInt(s, 10, 64)
		switch {
		case errors.Is(err, strconv.ErrRange):
			return nil, fmt.Errorf("%s is too large for an integer", quoteShort(s))
		case err != nil:
			return nil, fmt.Errorf("expected integer, got %s", quoteShort(s))
		}
		return i, nil
	case Number:
		f, err := strconv.ParseFloat(s, 64)
		switch {
		case errors.Is(err, strconv.ErrRange):
			return nil, fmt.Errorf("%s is too large for a number", quoteShort(s))
		case err != nil || strings.ContainsAny(s, "xXpP_nN"): // neither hexadecimal nor NaN
			return nil, fmt.Errorf("expected number, got %s", quoteShort(s))
		}
		return f, nil
	}
	return s, nil
}

// OneLine formats a value for people on one line: a string as it is unless it has line breaks,
// anything else as JSON.
func OneLine(v any) string {
	v = JSON(v)
	if s, ok := v.(string); ok && !strings.ContainsAny(s, "\n\r") {
		return s
	}
	text, err := AppendJSON(nil, v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// JSON converts a plain value to its form in JSON: timestamps as RFC 3339 in UTC, as string()
// formats them, durations as FormatDuration does. Coerce converts it back. Parts that need no
// conversion are not copied.
func JSON(v any) any {
	out, _ := toJSON(v)
	return out
}

func toJSON(v any) (out any, changed bool) {
	switch v := v.(type) {
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), true
	case time.Duration:
		return FormatDuration(v), true
	case []any:
		out := v
		for i, item := range v {
			if got, differs := toJSON(item); differs {
				if !changed {
					out, changed = slices.Clone(v), true
				}
				out[i] = got
			}
		}
		return out, changed
	case map[string]any:
		out := v
		for name, item := range v {
			if got, differs := toJSON(item); differs {
				if !changed {
					out, changed = maps.Clone(v), true
				}
				out[name] = got
			}
		}
		return out, changed
	}
	return v, false
}
