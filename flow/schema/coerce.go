package schema

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// maxViolations bounds how many errors, and how many warnings, Coerce reports.
const maxViolations = 100

// exactFloat is the largest float64 up to which every integer has an exact representation.
const exactFloat = 1 << 53

// Coerce converts a decoded value (from JSON, YAML, Go, or already coerced) to the Go value
// that the type's Kind documents, and fills in defaults. Unknown parts are accepted; of texts
// with expressions only the fixed parts are checked, against the maximum length. The result is
// only valid if the violations hold no error; up to 100 are reported. Their rules are type,
// required (at the object that lacks the field), unknown-field, enum, pattern, format,
// min-length, max-length, utf16-length (a warning), minimum, maximum, min-items and max-items.
//
// v is never changed, and parts that are already right are not copied.
func (t *Type) Coerce(v any) (any, Violations) { return t.coerce(v, false) }

func (t *Type) coerce(v any, stored bool) (any, Violations) {
	c := coercer{stored: stored}
	out, _ := c.value(t, v, siblings{})
	if len(c.found) > 0 {
		c = coercer{stored: stored, detailed: true}
		out, _ = c.value(t, v, siblings{})
	}
	return out, c.finish()
}

// A coercer collects violations. Each container appends its step to the paths of those found
// inside it, so that paths cost nothing as long as there are none; finish reverses them.
type coercer struct {
	found            Violations
	errors, warnings int
	sensitiveDepth   int  // more than 0 inside a sensitive type
	detailed         bool // second pass, after a violation: report in the order of keys, and with mistakes that the type recognises
	stored           bool // convert to the form in which JSON gives values back
}

func (c *coercer) add(v Violation) {
	count := &c.errors
	if v.Warning {
		count = &c.warnings
	}
	if *count++; *count <= maxViolations {
		c.found = append(c.found, v)
	}
}

func (c *coercer) errorf(rule, hint, format string, args ...any) {
	c.add(Violation{Rule: rule, Hint: hint, Message: fmt.Sprintf(format, args...)})
}

// within appends a step to the paths of the violations from number n on.
func (c *coercer) within(n int, step any) {
	for i := n; i < len(c.found); i++ {
		c.found[i].Path = append(c.found[i].Path, step)
	}
}

func (c *coercer) finish() Violations {
	for i := range c.found {
		v := &c.found[i]
		slices.Reverse(v.Path)
		if v.Rule == "unknown-field" {
			if owner := v.Path[:len(v.Path)-1].last(); owner != "" {
				v.Message = owner + " has " + v.Message
			}
		}
	}
	return c.found
}

// last returns the end of the path from its last name on: parameters[1].
func (p Path) last() string {
	for i := len(p) - 1; i >= 0; i-- {
		if _, ok := p[i].(string); ok {
			return p[i:].String()
		}
	}
	return p.String()
}

// value coerces v; owner is the object that v is a field of, if any. changed is false if v
// itself is the result.
func (c *coercer) value(t *Type, v any, owner siblings) (out any, changed bool) {
	if c.stored {
		if plain, differs := asStored(v); differs {
			out, _ = c.value(t, plain, owner)
			return out, true
		}
	}
	if t == AnyType {
		return c.any(v)
	}
	if t.Sensitive {
		c.sensitiveDepth++
		out, changed = c.valueOf(t, v, owner)
		c.sensitiveDepth--
		return out, changed
	}
	return c.valueOf(t, v, owner)
}

func (c *coercer) valueOf(t *Type, v any, owner siblings) (out any, changed bool) {
	if u, ok := v.(Unknown); ok {
		c.checkFixedParts(t, u)
		c.checkAlternatives(t, u, owner)
		return v, false
	}
	// A union accepts anything while its case is unknown, so it looks for mistakes in any pass.
	if t.DetectMistake != nil && (c.detailed || t.Kind == Union) && c.reportMistake(t, v) {
		return v, false
	}
	switch t.Kind {
	case Any:
		return c.any(v)
	case Union:
		if of := owner.caseOf(t); of != nil {
			return c.value(of, v, siblings{})
		}
		return c.any(v)
	case List:
		if list, ok := v.([]any); ok {
			n := len(list)
			if t.MaxItems > 0 && n > t.MaxItems {
				n = max(t.MaxItems, NewValue(v, nil).MinLen()) // optional items do not count
			}
			c.count(t, n, "item", "items")
			if out, changed := c.items(t.elem(), list); changed {
				return out, true
			}
			return v, false
		}
	case Map, Object:
		if m, ok := v.(map[string]any); ok {
			if t.Kind == Map {
				c.count(t, len(m), "entry", "entries")
				return c.entries(t.elem(), m)
			}
			return c.object(t, m)
		}
	default:
		if out, changed, ok := c.scalar(t, v); ok {
			return c.check(t, out, changed)
		}
		return v, false
	}
	// A Go slice, map or struct is first converted to plain values.
	if plain, changed := toPlain(v); changed {
		out, _ := c.value(t, plain, owner)
		return out, true
	}
	c.mistype(t, v)
	return v, false
}

// siblings is the object in which a union's tag is looked up, and its type.
type siblings struct {
	t *Type
	m map[string]any
}

// caseOf returns the type of the case that the tag chooses; nil while that is unknown.
func (s siblings) caseOf(union *Type) *Type {
	if s.t == nil {
		return nil
	}
	tag, ok := s.m[union.Tag]
	if f := s.t.Field(union.Tag); !ok && f != nil {
		tag = f.Default
	}
	if plain, changed := toPlain(tag); changed {
		tag = plain
	}
	name, ok := tag.(string)
	if !ok {
		return nil
	}
	return union.Case(name)
}

// reportMistake reports what DetectMistake says about the whole value. If true, nothing else
// is reported about it.
func (c *coercer) reportMistake(t *Type, v any) bool {
	for _, found := range t.DetectMistake(v) {
		if len(found.Path) == 0 {
			c.add(found)
			return true
		}
	}
	return false
}

// applyRule gives the violations from number n on the rule of the type.
func (c *coercer) applyRule(t *Type, n int) {
	for i := n; i < len(c.found); i++ {
		if v := &c.found[i]; len(v.Path) == 0 && !v.Warning && v.Rule != "type" && v.Rule != "required" {
			v.Rule = t.Rule
			if v.Hint == "" || v.Hint == t.Doc {
				v.Hint = t.Hint
			}
		}
	}
}

// any converts a value of unspecified type to plain values.
func (c *coercer) any(v any) (any, bool) {
	switch known := v.(type) {
	case nil, string, bool, int64, time.Time, time.Duration, Unknown:
		return v, false
	case float64:
		if math.IsNaN(known) || math.IsInf(known, 0) {
			c.mistype(NumberType, v)
		}
		return v, false
	case json.Number:
		return c.number(known), true
	case []any:
		if out, changed := c.items(AnyType, known); changed {
			return out, true
		}
		return v, false
	case map[string]any:
		return c.entries(AnyType, known)
	}
	plain, ok := toPlain(v)
	if !ok {
		c.errorf("type", "", "flows cannot hold a Go %T", v)
		return nil, true
	}
	out, _ := c.any(plain)
	return out, true
}

// number returns a JSON number as an int64 if it is written as an integer, else as a float64.
func (c *coercer) number(n json.Number) any {
	if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
		return i
	}
	f, err := strconv.ParseFloat(n.String(), 64)
	if err != nil {
		c.errorf("type", "", "%s is too large for a number", c.quote(n.String()))
	}
	return f
}
