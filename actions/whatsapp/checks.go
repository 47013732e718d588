package whatsapp

import (
	"slices"
	"strconv"
	"strings"

	"facteur/flow/schema"
)

// has tells whether an object has a field, known or not.
func has(v schema.Value, name string) bool {
	object, _ := v.Object()
	inner, ok := object[name]
	if u, unknown := inner.(schema.Unknown); unknown && u.Optional {
		return v.Field(name).Present()
	}
	return ok
}

// get is v[name] of an object, nil for anything else.
func get(v any, name string) any {
	object, _ := v.(map[string]any)
	return object[name]
}

// textOf is v.Get(name).Text(), without the price of a cursor where the text is known.
func textOf(v schema.Value, name string) (string, bool) {
	if object, ok := v.Object(); ok {
		if text, ok := object[name].(string); ok {
			return text, true
		}
	}
	return v.Field(name).Text()
}

// exactlyOne wants one of the fields, and not two.
func exactlyOne(names ...string) func(schema.Value, report) {
	return func(v schema.Value, say report) {
		var there []string
		for _, name := range names {
			if has(v, name) {
				there = append(there, name)
			}
		}
		switch list := strings.Join(names, " or "); {
		case len(there) == 0:
			say(v, "needs %s", list)
		case len(there) > 1:
			say(v.Get(there[1]), "has both %s, takes only one of them", strings.Join(there, " and "))
		}
	}
}

// unique wants the texts at a place inside the elements of a list to differ.
func unique(names ...string) func(schema.Value, report) {
	return func(v schema.Value, say report) {
		seen := map[string]int{}
		for i, item := range v.Items() {
			at := item.Get(names...)
			if at.IsUnknown() {
				continue
			}
			text, ok := scalarText(at)
			if !ok {
				continue
			}
			if first, again := seen[text]; again {
				say(at, "%s is the %s of number %d already", mention(text), names[len(names)-1], first+1)
			} else {
				seen[text] = i
			}
		}
	}
}

// same wants the texts at a place inside the elements of a list to be equal.
func same(what string, names ...string) func(schema.Value, report) {
	return func(v schema.Value, say report) {
		first, have := "", false
		for _, item := range v.Items() {
			at := item.Get(names...)
			text, ok := scalarText(at)
			switch {
			case !ok:
			case !have:
				first, have = text, true
			case text != first:
				say(at, "is %s, but that of the first is %s: %s must be the same everywhere", mention(text), mention(first), what)
			}
		}
	}
}

// noPadding refuses white space at either end.
func noPadding(v schema.Value, say report) {
	text := strings.Join(v.FixedParts(), "…")
	if strings.TrimSpace(text) != text {
		say(v, "begins or ends with white space, which Meta refuses")
	}
}

// atMost bounds the length of a text.
func atMost(n int) func(schema.Value, report) {
	return func(v schema.Value, say report) {
		if count := v.MinLen(); count > n {
			say(v, "has %d characters%s, at most %d are allowed", count, beside(v), n)
		}
	}
}

// beside says of a text that is not known yet what of it is spoken of.
func beside(v schema.Value) string {
	if v.IsUnknown() {
		return " beside its expressions"
	}
	return ""
}

// notEmpty refuses a text of white space only.
func notEmpty(v schema.Value, say report) {
	if text, ok := v.Text(); ok && text != "" && strings.TrimSpace(text) == "" {
		say(v, "holds nothing but white space")
	}
}

// something refuses an empty text.
func something(v schema.Value, say report) {
	if text, ok := v.Text(); ok && text == "" {
		say(v, "is empty")
	}
}

// forbidden refuses the field.
func forbidden(name, why string) func(schema.Value, report) {
	return func(v schema.Value, say report) {
		if has(v, name) {
			say(v.Get(name), "%s", why)
		}
	}
}

// needs wants the field.
func needs(name, why string) func(schema.Value, report) {
	return func(v schema.Value, say report) {
		if !has(v, name) {
			say(v, "%s", why)
		}
	}
}

// named wants an object to have the field that its type names, and none that another of the
// types names.
func named(types string) func(schema.Value, report) {
	fields := strings.Fields(types)
	return func(v schema.Value, say report) {
		kind, ok := textOf(v, "type")
		if !ok {
			return
		}
		want := strings.ToLower(kind)
		if slices.Contains(fields, want) && !has(v, want) {
			say(v, "is of type %s and has no field %q", kind, want)
		}
		object, _ := v.Object()
		var stray []string
		for name := range object {
			if name != want && slices.Contains(fields, name) {
				stray = append(stray, name)
			}
		}
		slices.Sort(stray)
		for _, name := range stray {
			say(v.Get(name), "does not belong to the type %s", kind)
		}
	}
}

// degrees wants a number, or a text that holds one.
func degrees(low, high float64) func(schema.Value, report) {
	return func(v schema.Value, say report) {
		n, ok := v.Number()
		if text, isText := v.Text(); isText {
			var err error
			n, err = strconv.ParseFloat(text, 64)
			ok = err == nil
		}
		switch {
		case v.IsUnknown():
		case !ok:
			say(v, "is not a number of degrees")
		case !(n >= low && n <= high):
			say(v, "lies outside %v to %v degrees", low, high)
		}
	}
}

func scalarText(v schema.Value) (string, bool) {
	if text, ok := v.Text(); ok {
		return text, true
	}
	if n, ok := v.Number(); ok {
		return strconv.FormatFloat(n, 'f', -1, 64), true
	}
	return "", false
}

// total wants the lists inside the elements of a list to have at most n elements together.
func total(n int, field, what string) func(schema.Value, report) {
	return func(v schema.Value, say report) {
		count := 0
		for _, item := range v.Items() {
			count += item.Get(field).MinLen()
		}
		if count > n {
			say(v, "have %d %s together, at most %d are allowed", count, what, n)
		}
	}
}
