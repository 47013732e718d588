package whatsapp

import (
	"fmt"
	"slices"
	"strings"

	"facteur/flow/schema"
)

// A limit is what a rule demands of one value alone. It goes into the type of the value,
// so that the JSON Schema and the reference show it and Coerce enforces it.
type limit func(*schema.Type)

// length bounds the characters of a text; most 0: no bound.
func length(least, most int) limit {
	return func(t *schema.Type) { t.MinLength, t.MaxLength = least, most }
}

// items bounds a list, or the entries of a map; most 0: no bound.
func items(least, most int) limit {
	return func(t *schema.Type) { t.MinItems, t.MaxItems = least, most }
}

// within bounds a whole number.
func within(least, most float64) limit {
	return func(t *schema.Type) { t.Minimum, t.Maximum = &least, &most }
}

// atLeast bounds a number from below.
func atLeast(least float64) limit {
	return func(t *schema.Type) { t.Minimum = &least }
}

// oneOf lists the values that are allowed.
func oneOf(values ...any) limit {
	return func(t *schema.Type) { t.Enum = values }
}

// inAnyCase is oneOf for words that may be written in capitals, and are sent so.
func inAnyCase(words string) limit {
	return func(t *schema.Type) {
		t.AnyCase = true
		for word := range strings.FieldsSeq(words) {
			t.Enum = append(t.Enum, word)
		}
	}
}

// inSmallLetters is oneOf for words that may be written in capitals, and are sent in
// small letters.
func inSmallLetters(words string) limit {
	return func(t *schema.Type) {
		inAnyCase(words)(t)
		t.AnyCase, t.FoldCase = false, true
	}
}

// pattern is a regular expression that a text matches.
func pattern(re string) limit {
	return func(t *schema.Type) { t.Pattern = re }
}

// both is two limits that are one rule.
func both(a, b limit) limit {
	return func(t *schema.Type) { a(t); b(t) }
}

// webAddress is a rule that wants an address of the web.
func webAddress(r rule) rule {
	r.limit, r.check, r.hint = pattern(webPattern), webStart, webHint
	return r
}

// webStart judges an address of which only the beginning is known; the others are for the
// pattern.
func webStart(v schema.Value, say report) {
	fixed := v.FixedParts()
	if !v.IsUnknown() || len(fixed) == 0 || fixed[0] == "" {
		return
	}
	start := strings.ToLower(fixed[0])
	for _, scheme := range [...]string{"https://", "http://"} {
		if strings.HasPrefix(start, scheme) || strings.HasPrefix(scheme, start) {
			return
		}
	}
	say(v, "begins with %s, which is not of the right form", mention(fixed[0]))
}

const (
	webPattern = `^[Hh][Tt][Tt][Pp][Ss]?://[^\s]`
	webHint    = "give an address that begins with https://"
)

// limited gives the type with the limits of the rules on something. What no rule is
// about is shared with t.
func limited(t *schema.Type, on ...string) *schema.Type {
	for _, r := range rules() {
		if r.limit == nil {
			continue
		}
		for _, where := range fieldsOrNone(r.on) {
			if !slices.Contains(on, where) {
				continue
			}
			_, kind, _ := strings.Cut(where, "/")
			for _, at := range fieldsOrNone(r.at) {
				out := change(t, stepsOf(at), kind, func(t *schema.Type) {
					r.limit(t)
					t.Rule, t.Hint = r.id, r.hint
				})
				if out == nil {
					panic(fmt.Sprintf("whatsapp: rule %s: %s has no %s", r.id, where, at))
				}
				t = out
			}
		}
	}
	return t
}

// change gives a copy of a type that differs at a place; unions on the way have the case
// of that kind. It is nil where there is no such place.
func change(t *schema.Type, steps []any, kind string, by func(*schema.Type)) *schema.Type {
	out := *t
	if len(steps) == 0 {
		by(&out)
		return &out
	}
	var inner *schema.Type
	switch {
	case t.Kind == schema.Union:
		i := slices.IndexFunc(t.Cases, func(c schema.Case) bool { return c.Value == kind })
		if i < 0 {
			return nil
		}
		out.Cases = slices.Clone(t.Cases)
		inner = change(t.Cases[i].Type, steps, kind, by)
		out.Cases[i].Type = inner
	case steps[0] == any(each{}) && t.Elem != nil:
		inner = change(t.Elem, steps[1:], kind, by)
		out.Elem = inner
	default:
		i := slices.IndexFunc(t.Fields, func(f *schema.Field) bool { return steps[0] == any(f.Name) })
		if i < 0 {
			return nil
		}
		field := *t.Fields[i]
		inner = change(field.Type, steps[1:], kind, by)
		field.Type = inner
		out.Fields = slices.Clone(t.Fields)
		out.Fields[i] = &field
	}
	if inner == nil {
		return nil
	}
	return &out
}
