package whatsapp

import (
	"slices"
	"strconv"
	"strings"

	"facteur/flow/schema"
)

// has tells whether an object has a field, whether or not its value is known.
func has(v schema.Value, name string) bool {
	object, _ := v.Object()
	inner, ok := object[name]
	if u, unknown := inner.(schema.Unknown); unknown && u.Optional {
		return v.Field(name).Present()
	}
	return ok
}

// get returns v[name] if v is an object, otherwise nil.
func get(v any, name string) any {
	object, _ := v.(map[string]any)
	return object[name]
}

// textOf is v.Get(name).Text(), without making a schema.Value where the text is known.
func textOf(v schema.Value, name string) (string, bool) {
	if object, ok := v.Object(); ok {
		if text, ok := object[name].(string); ok {
			return text, true
		}
	}
	return v.Field(name).Text()
}

// exactlyOne demands exactly one of the fields.
func exactlyOne(names ...string) func(schema.Value, reporter) {
	return func(v schema.Value, report reporter) {
		var there []string
		for _, name := range names {
			if has(v, name) {
				there = append(there, name)
			}
		}
		switch list := strings.Join(names, " or "); {
		case len(there) == 0:
			report(v, "needs %s", list)
		case len(there) > 1:
			report(v.Get(there[1]), "has both %s, takes only one of them", strings.Join(there, " and "))
		}
	}
}

// unique demands that the texts at a path inside the elements of a list differ.
func unique(names ...string) func(schema.Value, reporter) {
	return func(v schema.Value, report reporter) {
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
				report(at, "%s is already the %s of number %d", mention(text), names[len(names)-1], first+1)
			} else {
				seen[text] = i
			}
		}
	}
}

// allEqual demands that the texts at a path inside the elements of a list are equal.
func allEqual(what string, names ...string) func(schema.Value, reporter) {
	return func(v schema.Value, report reporter) {
		first, have := "", false
		for _, item := range v.Items() {
			at := item.Get(names...)
			text, ok := scalarText(at)
			switch {
			case !ok:
			case !have:
				first, have = text, true
			case text != first:
				report(at, "is %s, but that of the first is %s: %s must be the same everywhere", mention(text), mention(first), what)
			}
		}
	}
}

// noPadding refuses white space at either end.
func noPadding(v schema.Value, report reporter) {
	text := strings.Join(v.FixedParts(), "…")
	if strings.TrimSpace(text) != text {
		report(v, "starts or ends with white space, which Meta refuses")
	}
}

// atMost bounds the length of a text.
func atMost(n int) func(schema.Value, reporter) {
	return func(v schema.Value, report reporter) {
		if count := v.MinLen(); count > n {
			report(v, "has %d characters%s, at most %d are allowed", count, unknownSuffix(v), n)
		}
	}
}

// unknownSuffix tells, for a text that is only partly known, which part a finding is about.
func unknownSuffix(v schema.Value) string {
	if v.IsUnknown() {
		return " even without its expressions"
	}
	return ""
}

// notBlank refuses a text of white space only.
func notBlank(v schema.Value, report reporter) {
	if text, ok := v.Text(); ok && text != "" && strings.TrimSpace(text) == "" {
		report(v, "contains only white space")
	}
}

// notEmpty refuses an empty text.
func notEmpty(v schema.Value, report reporter) {
	if text, ok := v.Text(); ok && text == "" {
		report(v, "is empty")
	}
}

// forbidden refuses the field.
func forbidden(name, why string) func(schema.Value, reporter) {
	return func(v schema.Value, report reporter) {
		if has(v, name) {
			report(v.Get(name), "%s", why)
		}
	}
}

// ofType runs a check on values of a message type, which is in the field of that name.
func ofType(field, messageType string, check func(schema.Value, reporter)) func(schema.Value, reporter) {
	return func(v schema.Value, report reporter) {
		if kind, _ := textOf(v, field); strings.EqualFold(kind, messageType) {
			check(v, report)
		}
	}
}

// required demands the field.
func required(name, why string) func(schema.Value, reporter) {
	return func(v schema.Value, report reporter) {
		if !has(v, name) {
			report(v, "%s", why)
		}
	}
}

// fieldOfType demands that an object has the field that its type names, and no field of
// another of the types.
func fieldOfType(types string) func(schema.Value, reporter) {
	fields := strings.Fields(types)
	return func(v schema.Value, report reporter) {
		kind, ok := textOf(v, "type")
		if !ok {
			return
		}
		want := strings.ToLower(kind)
		if slices.Contains(fields, want) && !has(v, want) {
			report(v, "is of type %s but has no field %q", kind, want)
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
			report(v.Get(name), "does not belong to type %s", kind)
		}
	}
}

// degrees demands a number in a range, or a text that holds one.
func degrees(low, high float64) func(schema.Value, reporter) {
	return func(v schema.Value, report reporter) {
		n, ok := v.Number()
		if text, isText := v.Text(); isText {
			var err error
			n, err = strconv.ParseFloat(text, 64)
			ok = err == nil
		}
		switch {
		case v.IsUnknown():
		case !ok:
			report(v, "is not a number of degrees")
		case !(n >= low && n <= high):
			report(v, "is outside the range of %v to %v degrees", low, high)
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

// maxTotal demands that the lists inside the elements of a list have at most n elements
// together.
func maxTotal(n int, field, what string) func(schema.Value, reporter) {
	return func(v schema.Value, report reporter) {
		count := 0
		for _, item := range v.Items() {
			count += item.Get(field).MinLen()
		}
		if count > n {
			report(v, "have %d %s in total, at most %d are allowed", count, what, n)
		}
	}
}
