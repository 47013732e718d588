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

const (
	webPattern = `^[Hh][Tt][Tt][Pp][Ss]?://[^\s]`
	webHint    = "give an address that begins with https://"
)

// limited gives a type of its own with the limits of the rules on something; below is
// the case of unions on the way, "" where there are none.
func limited(t *schema.Type, on ...string) *schema.Type {
	t = clone(t)
	for _, r := range rules() {
		if r.limit == nil {
			continue
		}
		for _, where := range fieldsOrNone(r.on) {
			if !slices.Contains(on, where) {
				continue
			}
			_, below, _ := strings.Cut(where, "/")
			for _, at := range fieldsOrNone(r.at) {
				place := find(t, stepsOf(at), below)
				if place == nil {
					panic(fmt.Sprintf("whatsapp: rule %s: %s has no %s", r.id, where, at))
				}
				r.limit(place)
				place.Rule, place.Hint = r.id, r.hint
			}
		}
	}
	return t
}

// find gives the type at a place; nil: there is none.
func find(t *schema.Type, steps []any, union string) *schema.Type {
	for _, step := range steps {
		name, _ := step.(string)
		if t.Kind == schema.Union {
			t = t.Case(union)
		}
		switch {
		case t == nil:
			return nil
		case step == any(each{}):
			t = t.Elem
		case t.Field(name) == nil:
			return nil
		default:
			t = t.Field(name).Type
		}
	}
	return t
}

// clone copies a type with everything below it.
func clone(t *schema.Type) *schema.Type {
	if t == nil {
		return nil
	}
	out := *t
	out.Elem = clone(t.Elem)
	out.Fields = slices.Clone(t.Fields)
	for i, f := range out.Fields {
		field := *f
		field.Type = clone(f.Type)
		out.Fields[i] = &field
	}
	out.Cases = slices.Clone(t.Cases)
	for i := range out.Cases {
		out.Cases[i].Type = clone(out.Cases[i].Type)
	}
	return &out
}
