package whatsapp

import (
	"fmt"
	"slices"
	"strings"

	"facteur/flow/schema"
)

// A limit is the part of a rule that a schema can express. It is set on the value's schema,
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

// both combines two limits into one.
func both(a, b limit) limit {
	return func(t *schema.Type) { a(t); b(t) }
}

// webAddress completes a rule that demands an http or https URL.
func webAddress(r rule) rule {
	r.limit, r.check, r.hint = pattern(webPattern), webStart, webHint
	return r
}

// webStart checks a URL of which only the beginning is known; the pattern checks whole ones.
func webStart(v schema.Value, report reporter) {
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
	report(v, "starts with %s, which is not http:// or https://", mention(fixed[0]))
}

const (
	webPattern = `^[Hh][Tt][Tt][Pp][Ss]?://[^\s]`
	webHint    = "give an address that starts with https://"
)

// withLimits returns a schema with the limits of the rules that are on any of these. Parts
// that no rule is about are shared with t.
func withLimits(t *schema.Type, on ...string) *schema.Type {
	for _, r := range rules() {
		if r.limit == nil {
			continue
		}
		for _, where := range splitWords(r.on) {
			if !slices.Contains(on, where) {
				continue
			}
			_, kind, _ := strings.Cut(where, "/")
			for _, at := range splitWords(r.at) {
				out := withTypeAt(t, parsePath(at), kind, func(t *schema.Type) {
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

// withTypeAt returns a copy of a schema with the part at a path changed. Of a union, on the way or
// at its end, that is the case of that kind. It returns nil if there is no such path.
func withTypeAt(t *schema.Type, steps []any, kind string, by func(*schema.Type)) *schema.Type {
	out := *t
	var inner *schema.Type
	switch {
	case t.Kind == schema.Union:
		i := slices.IndexFunc(t.Cases, func(c schema.Case) bool { return c.Value == kind })
		if i < 0 {
			return nil
		}
		out.Cases = slices.Clone(t.Cases)
		inner = withTypeAt(t.Cases[i].Type, steps, kind, by)
		out.Cases[i].Type = inner
	case len(steps) == 0:
		by(&out)
		return &out
	case steps[0] == any(anyIndex{}) && t.Elem != nil:
		inner = withTypeAt(t.Elem, steps[1:], kind, by)
		out.Elem = inner
	default:
		i := slices.IndexFunc(t.Fields, func(f *schema.Field) bool { return steps[0] == any(f.Name) })
		if i < 0 {
			return nil
		}
		field := *t.Fields[i]
		inner = withTypeAt(field.Type, steps[1:], kind, by)
		field.Type = inner
		out.Fields = slices.Clone(t.Fields)
		out.Fields[i] = &field
	}
	if inner == nil {
		return nil
	}
	return &out
}
