package schema

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"facteur/flow/diag"
)

// scalar converts v to the Go type of a scalar kind. If it is not ok, a violation has been
// reported.
func (c *coercer) scalar(t *Type, v any) (out any, changed, ok bool) {
	switch t.Kind {
	case String:
		if _, ok := v.(string); ok {
			return v, false, true
		}
	case Bool:
		if _, ok := v.(bool); ok {
			return v, false, true
		}
	case Int:
		switch number := v.(type) {
		case int64:
			return v, false, true
		case float64:
			return c.wholeNumber(number)
		}
	case Number:
		switch number := v.(type) {
		case float64:
			if !math.IsNaN(number) && !math.IsInf(number, 0) {
				return v, false, true
			}
		case int64:
			return float64(number), true, true
		}
	case Timestamp:
		switch at := v.(type) {
		case time.Time:
			return v, false, true
		case string:
			return c.timestamp(at)
		}
	case Duration:
		switch text := v.(type) {
		case time.Duration:
			return v, false, true
		case string:
			d, err := ParseDuration(text)
			if err != nil {
				c.errorf("format", "", "%s", c.unlessSensitive(err.Error(), "the value is not a duration: "+durationForm))
			}
			return d, true, err == nil
		}
	}
	if n, isNumber := v.(json.Number); isNumber {
		before := len(c.found)
		if n := c.number(n); len(c.found) == before {
			out, _, ok := c.scalar(t, n)
			return out, true, ok
		}
		return v, false, false
	}
	if plain, changed := toPlain(v); changed {
		out, _, ok := c.scalar(t, plain)
		return out, true, ok
	}
	c.mistype(t, v)
	return v, false, false
}

func (c *coercer) wholeNumber(f float64) (out any, changed, ok bool) {
	switch {
	case f != math.Trunc(f) || math.IsInf(f, 0) || math.IsNaN(f):
		c.mistype(IntType, f)
		return f, false, false
	case math.Abs(f) > exactFloat:
		c.errorf("type", "write a long number that is not a quantity as a string", "expected integer, got a number over 2^53, whose last digits are lost")
		return f, false, false
	}
	return int64(f), true, true
}

func (c *coercer) timestamp(s string) (out any, changed, ok bool) {
	var at time.Time
	// Unlike time.Parse, this is as strict as RFC 3339.
	if err := at.UnmarshalText([]byte(s)); err != nil {
		hint := `write it as "2030-01-31T09:00:00+01:00"`
		if _, err := time.Parse(time.DateOnly, s); err == nil && c.sensitiveDepth == 0 {
			hint = fmt.Sprintf(`add the time and the zone: "%sT09:00:00+01:00"`, s)
		}
		c.errorf("format", hint, "%s is not a timestamp", c.quote(s))
		return s, false, false
	}
	return at, true, true
}

// unlessSensitive returns text, or hidden inside a sensitive type.
func (c *coercer) unlessSensitive(text, hidden string) string {
	if c.sensitiveDepth > 0 {
		return hidden
	}
	return text
}

// check checks the constraints of a scalar of the right kind.
func (c *coercer) check(t *Type, v any, changed bool) (any, bool) {
	if t.Rule != "" {
		before := len(c.found)
		defer func() { c.applyRule(t, before) }()
	}
	if len(t.Enum) > 0 {
		allowed, ok := t.enumValue(v)
		if !ok {
			c.notAllowed(t, v)
			return v, changed
		}
		if s, isText := v.(string); isText && s != allowed && !t.AnyCase {
			v, changed = allowed, true
		}
	}
	switch known := v.(type) {
	case string:
		c.length(t, known)
		if t.Pattern != "" {
			c.pattern(t, known)
		}
		if t.Format != "" {
			c.format(t, known)
		}
	case int64:
		c.bounds(t, float64(known), v)
	case float64:
		c.bounds(t, known, v)
	}
	return v, changed
}

// enumValue returns the allowed value that v matches.
func (t *Type) enumValue(v any) (any, bool) {
	if _, ok := v.(string); ok && slices.Contains(t.Enum, v) { // the frequent case
		return v, true
	}
	for _, allowed := range t.Enum {
		if a, ok := allowed.(string); ok {
			if s, ok := v.(string); ok && (s == a || (t.FoldCase || t.AnyCase) && strings.EqualFold(s, a)) {
				return allowed, true
			}
			continue
		}
		if plain, changed := toPlain(allowed); changed {
			allowed = plain
		}
		if allowed == v {
			return v, true
		}
		if a, ok := asFloat(allowed); ok {
			if f, ok := asFloat(v); ok && a == f {
				return v, true
			}
		}
	}
	return v, false
}

func asFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func (c *coercer) notAllowed(t *Type, v any) {
	texts := make([]string, len(t.Enum))
	for i, allowed := range t.Enum {
		texts[i] = fmt.Sprint(allowed)
	}
	name, hint := fmt.Sprint(v), "allowed: "+strings.Join(texts, ", ")
	if s, ok := v.(string); ok && c.sensitiveDepth == 0 && len(s) < 80 {
		hint = diag.DidYouMean(name, "allowed", texts)
	}
	c.errorf("enum", hint, "%s is not one of the allowed values", c.quote(v))
}

func (c *coercer) length(t *Type, s string) {
	// A Unicode scalar value takes one to four bytes.
	if len(s) < 4*t.MinLength {
		if n := utf8.RuneCountInString(s); n < t.MinLength {
			if n == 0 {
				c.errorf("min-length", "", "must not be empty")
			} else {
				c.errorf("min-length", "", "has %s, needs at least %d", characters(n), t.MinLength)
			}
		}
	}
	c.tooLong(t, s, "")
}

// checkFixedParts checks the known parts of a text with expressions.
func (c *coercer) checkFixedParts(t *Type, u Unknown) {
	if t.Kind != String || t.MaxLength == 0 || len(u.FixedParts) == 0 {
		return
	}
	before := len(c.found)
	c.tooLong(t, strings.Join(u.FixedParts, ""), " even without its expressions")
	if t.Rule != "" {
		c.applyRule(t, before)
	}
}

// checkAlternatives checks each text that a value may become.
func (c *coercer) checkAlternatives(t *Type, u Unknown, owner siblings) {
	if t.Kind != String {
		return
	}
	for _, s := range u.Alternatives {
		before := len(c.found)
		c.valueOf(t, s, owner)
		for i := range c.found[before:] {
			if v, text := &c.found[before+i], c.quote(s); !strings.Contains(v.Message, text) {
				v.Message = text + " " + v.Message
			}
		}
	}
}

func (c *coercer) tooLong(t *Type, s, beside string) {
	if t.MaxLength == 0 || len(s) <= t.MaxLength {
		return
	}
	n, units := 0, 0
	for _, r := range s {
		n++
		units++
		if r > 0xFFFF {
			units++
		}
	}
	if n > t.MaxLength {
		c.errorf("max-length", "", "has %s%s, at most %d are allowed", characters(n), beside, t.MaxLength)
	} else if units > t.MaxLength {
		c.add(Violation{Rule: "utf16-length", Warning: true, Hint: "some emoji count twice there; shorten the text to be sure",
			Message: fmt.Sprintf("has %s%s, but %d as UTF-16 counts them, which is over %d", characters(n), beside, units, t.MaxLength)})
	}
}

func characters(n int) string {
	if n == 1 {
		return "1 character"
	}
	return strconv.Itoa(n) + " characters"
}

func (c *coercer) pattern(t *Type, s string) {
	re, err := compilePattern(t.Pattern)
	if err != nil {
		c.errorf("pattern", "", "the pattern %s of this value is not valid: %s", t.Pattern, err)
	} else if !re.MatchString(s) && t.Rule != "" { // the rule's hint says more than the pattern
		c.errorf("pattern", "", "%s does not have the right form", c.quote(s))
	} else if !re.MatchString(s) {
		c.errorf("pattern", t.Doc, "%s does not match the pattern %s", c.quote(s), t.Pattern)
	}
}

// patterns caches compiled patterns, because types are plain literals.
var patterns sync.Map // string to *regexp.Regexp

func compilePattern(pattern string) (*regexp.Regexp, error) {
	if re, ok := patterns.Load(pattern); ok {
		return re.(*regexp.Regexp), nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	patterns.Store(pattern, re)
	return re, nil
}

func (c *coercer) bounds(t *Type, f float64, v any) {
	if t.Minimum != nil && f < *t.Minimum {
		c.errorf("minimum", "", "%s is less than %v", c.quote(v), *t.Minimum)
	}
	if t.Maximum != nil && f > *t.Maximum {
		c.errorf("maximum", "", "%s is more than %v", c.quote(v), *t.Maximum)
	}
}
