package schema

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// mostViolations bounds how many errors, and how many warnings, Coerce reports.
const mostViolations = 100

// exactFloat is the largest float64 up to which every integer has one of its own.
const exactFloat = 1 << 53

// Coerce turns a decoded value (JSON, YAML, Go or already coerced) into the Go value
// that the type's Kind names, and fills in defaults. Parts that are Unknown pass, but for
// texts whose fixed parts alone are too long. The value is only of use when the violations hold no error; up to 100 are reported.
// Their rules are type, required (at the object that lacks the field), unknown-field,
// enum, pattern, format, min-length, max-length, utf16-length (a warning), minimum,
// maximum, min-items and max-items.
//
// v is never changed, and what is right already is not copied.
func (t *Type) Coerce(v any) (any, Violations) { return t.coerce(v, false) }

func (t *Type) coerce(v any, stored bool) (any, Violations) {
	c := coercer{stored: stored}
	out, _ := c.value(t, v, siblings{})
	if len(c.found) > 0 {
		c = coercer{stored: stored, report: true}
		out, _ = c.value(t, v, siblings{})
	}
	return out, c.done()
}

// A coercer collects what is wrong. Each container adds its step to the paths of what
// was found inside, so paths cost nothing while all is well; they are reversed until done.
type coercer struct {
	found            Violations
	errors, warnings int
	masked           int  // more than 0 inside a sensitive type
	report           bool // something is wrong: tell in the order of keys, and what was meant
	stored           bool // bring it into the form in which JSON gives it back
}

func (c *coercer) add(v Violation) {
	count := &c.errors
	if v.Warning {
		count = &c.warnings
	}
	if *count++; *count <= mostViolations {
		c.found = append(c.found, v)
	}
}

func (c *coercer) errorf(rule, hint, format string, args ...any) {
	c.add(Violation{Rule: rule, Hint: hint, Message: fmt.Sprintf(format, args...)})
}

// within adds a step to the paths of the violations found from number n on.
func (c *coercer) within(n int, step any) {
	for i := n; i < len(c.found); i++ {
		c.found[i].Path = append(c.found[i].Path, step)
	}
}

func (c *coercer) done() Violations {
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

// last gives the end of the path from its last name on: parameters[1].
func (p Path) last() string {
	for i := len(p) - 1; i >= 0; i-- {
		if _, ok := p[i].(string); ok {
			return p[i:].String()
		}
	}
	return p.String()
}

// value coerces v, which stands in the object owner, if in any. changed is false
// when v itself is the result.
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
		c.masked++
		out, changed = c.valueOf(t, v, owner)
		c.masked--
		return out, changed
	}
	return c.valueOf(t, v, owner)
}

func (c *coercer) valueOf(t *Type, v any, owner siblings) (out any, changed bool) {
	if u, ok := v.(Unknown); ok {
		c.fixed(t, u)
		c.among(t, u, owner)
		return v, false
	}
	// Only a union takes what may be a mistake, while its case is not known.
	if t.Mistake != nil && (c.report || t.Kind == Union) && c.mistaken(t, v) {
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
				n = max(t.MaxItems, NewValue(v, nil).Least()) // what may be none is not too many
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
	// A Go slice, map or struct is first turned into plain values.
	if plain, changed := toPlain(v); changed {
		out, _ := c.value(t, plain, owner)
		return out, true
	}
	c.mistype(t, v)
	return v, false
}

// siblings is the object that a union's tag is looked up in.
type siblings struct {
	t *Type
	m map[string]any
}

// caseOf returns the type of the case that is chosen; nil while that is not known.
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

// mistaken reports what a type says about a value that is meant for something else;
// true: nothing more is to be said.
func (c *coercer) mistaken(t *Type, v any) bool {
	for _, found := range t.Mistake(v) {
		if len(found.Path) == 0 {
			c.add(found)
			return true
		}
	}
	return false
}

// named gives what was found from number n on the rule of the type.
func (c *coercer) named(t *Type, n int) {
	for i := n; i < len(c.found); i++ {
		if v := &c.found[i]; len(v.Path) == 0 && !v.Warning && v.Rule != "type" && v.Rule != "required" {
			v.Rule = t.Rule
			if v.Hint == "" || v.Hint == t.Doc {
				v.Hint = t.Hint
			}
		}
	}
}

// any brings a value of no particular type into plain Go values.
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
		c.errorf("type", "", "a Go %T is not a value that flows know", v)
		return nil, true
	}
	out, _ := c.any(plain)
	return out, true
}

// number gives the int64 of a JSON number that is written as one, else the float64.
func (c *coercer) number(n json.Number) any {
	if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
		return i
	}
	f, err := strconv.ParseFloat(n.String(), 64)
	if err != nil {
		c.errorf("type", "", "%s is out of the range of numbers", c.quote(n.String()))
	}
	return f
}
