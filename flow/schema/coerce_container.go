package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"facteur/flow/diag"
)

// Coercion of objects, maps and lists.

// A cowMap is a map that is copied on the first write.
type cowMap struct {
	m       map[string]any
	changed bool
}

func (e *cowMap) set(name string, v any) {
	if !e.changed {
		e.m, e.changed = maps.Clone(e.m), true
	}
	if e.m == nil {
		e.m = map[string]any{}
	}
	e.m[name] = v
}

func (e *cowMap) delete(name string) {
	e.set(name, nil)
	delete(e.m, name)
}

func (c *coercer) object(t *Type, m map[string]any) (map[string]any, bool) {
	out, known := cowMap{m: m}, 0
	for _, f := range t.Fields {
		var v any
		ok := known < len(m) // otherwise all entries have been seen
		if ok {
			v, ok = m[f.Name]
		}
		if ok {
			if known++; f.Plain && c.stored {
				continue
			}
			if v == nil && t.NullIsAbsent && !f.Required {
				out.delete(f.Name)
				ok = false
			}
		}
		if !ok {
			if v = f.Default; v == nil {
				if f.Required && !c.isMisspelt(t, f.Name, m) {
					c.missingField(f)
				}
				continue
			}
		}
		n := len(c.found)
		got, differs := c.value(f.Type, v, siblings{t, m})
		if len(c.found) > n {
			c.within(n, f.Name)
		}
		if differs || !ok {
			out.set(f.Name, got)
		}
	}
	if known < len(m) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if t.Field(name) == nil {
				c.undeclaredField(t, name, &out)
			}
		}
	}
	return out.m, out.changed
}

// reportMistakenField is reportMistake for a field that the type does not declare.
func (c *coercer) reportMistakenField(t *Type, name string, object map[string]any) bool {
	if t.DetectMistake == nil {
		return false
	}
	for _, found := range t.DetectMistake(object) {
		if len(found.Path) == 1 && found.Path[0] == name {
			found.Path = nil
			c.add(found)
			return true
		}
	}
	return false
}

// undeclaredField handles a field that the type does not declare.
func (c *coercer) undeclaredField(t *Type, name string, object *cowMap) {
	n := len(c.found)
	if c.reportMistakenField(t, name, object.m) {
		c.within(n, name)
		return
	}
	if t.Open {
		c.entry(AnyType, name, object.m[name], object)
		return
	}
	c.add(Violation{Rule: "unknown-field", OnKey: true, Message: "no field " + quoteShort(name),
		Hint: diag.DidYouMean(name, "fields", t.Names()), MeantField: diag.Suggest(name, t.Names()), Hidden: diag.NamesSecret(name)})
	c.within(n, name)
}

// isMisspelt reports whether a missing field is present under a wrong name, which
// undeclaredField reports with a hint at the right one.
func (c *coercer) isMisspelt(t *Type, missing string, object map[string]any) bool {
	if t.Open {
		return false
	}
	var mistakes Violations
	if t.DetectMistake != nil {
		mistakes = t.DetectMistake(object)
	}
	if slices.ContainsFunc(mistakes, func(v Violation) bool { return v.MeantField == missing }) {
		return true
	}
	for name := range object {
		if t.Field(name) == nil && diag.Suggest(name, t.Names()) == missing {
			return !slices.ContainsFunc(mistakes, func(v Violation) bool { return len(v.Path) == 1 && v.Path[0] == name })
		}
	}
	return false
}

func (c *coercer) missingField(f *Field) {
	hint := ""
	if f.Doc != "" {
		hint = f.Name + ": " + f.Doc
	}
	if few := f.Type.Enum; len(few) > 1 && len(few) <= 16 && f.Type.Kind == String && !strings.Contains(f.Doc, fmt.Sprint(few[0])) {
		if hint == "" {
			hint = f.Name
		}
		hint = strings.TrimSuffix(hint, ".") + "; one of"
		for i, v := range few {
			if i > 0 {
				hint += ","
			}
			hint += fmt.Sprintf(" %v", v)
		}
	}
	c.errorf("required", hint, "missing field %q", f.Name)
}

func (c *coercer) entries(elem *Type, m map[string]any) (map[string]any, bool) {
	out := cowMap{m: m}
	if c.detailed {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			c.entry(elem, name, m[name], &out)
		}
		return out.m, out.changed
	}
	for name, v := range m {
		if elem == AnyType && c.keepsUnchanged(v) && (!c.stored || utf8.ValidString(name)) {
			continue
		}
		c.entry(elem, name, v, &out)
	}
	return out.m, out.changed
}

// keepsUnchanged reports whether any keeps a scalar as it is, for the most frequent types.
func (c *coercer) keepsUnchanged(v any) bool {
	switch v := v.(type) {
	case string:
		return !c.stored || utf8.ValidString(v)
	case nil, bool, int64:
		return true
	}
	return false
}

func (c *coercer) entry(elem *Type, name string, v any, out *cowMap) {
	n := len(c.found)
	got, differs := c.value(elem, v, siblings{})
	if len(c.found) > n {
		c.within(n, name)
	}
	if c.stored && !utf8.ValidString(name) {
		out.delete(name)
		name, differs = storedText(name), true
	}
	if differs {
		out.set(name, got)
	}
}

func (c *coercer) items(elem *Type, list []any) ([]any, bool) {
	out, changed := list, false
	for i, v := range list {
		n := len(c.found)
		got, differs := c.value(elem, v, siblings{})
		if len(c.found) > n {
			c.within(n, i)
		}
		if differs && !changed {
			out, changed = slices.Clone(list), true
		}
		if differs {
			out[i] = got
		}
	}
	return out, changed
}

func (c *coercer) count(t *Type, n int, one, many string) {
	if n >= t.MinItems && (n <= t.MaxItems || t.MaxItems <= 0) {
		return
	}
	if t.Rule != "" {
		before := len(c.found)
		defer func() { c.applyRule(t, before) }()
	}
	noun := func(n int) string {
		if n == 1 {
			return one
		}
		return many
	}
	if n < t.MinItems {
		c.errorf("min-items", "", "has %d %s, needs at least %d", n, noun(n), t.MinItems)
	}
	if t.MaxItems > 0 && n > t.MaxItems {
		c.errorf("max-items", "", "has %d %s, at most %d are allowed", n, noun(n), t.MaxItems)
	}
}

// elem is the type of the items of a list or of the values of a map.
func (t *Type) elem() *Type {
	if t.Elem == nil {
		return AnyType
	}
	return t.Elem
}
