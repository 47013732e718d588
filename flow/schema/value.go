package schema

import (
	"maps"
	"slices"
	"unicode/utf8"
)

// Unknown stands in a value for a part that is not known yet: an expression that
// has not been evaluated.
type Unknown struct {
	Type     *Type    // what it will be, Any when that is open
	Fixed    []string // of a text: what stands before, between and after its expressions
	Among    []string // texts each of which it may turn out to be
	Optional bool     // it may turn out to be no value at all
}

// Value is a cursor at one place of a value. Reading an Unknown part marks the
// cursor's Watch, so that whoever runs a rule can discard what the rule said. Least and
// Fixed read what holds in any case.
type Value struct {
	v      any
	parent *Value
	name   string // the way from the parent, unless place counts
	place  int    // in a list, from 1
	watch  *Watch
}

// Watch remembers whether a rule read a part that is not known yet.
type Watch struct {
	Unknown bool // what the rule said may not hold
	Open    bool // it holds, and the rule may say more once the rest is known
}

// NewValue returns a cursor at the root of v.
func NewValue(v any, w *Watch) Value { return Value{v: v, watch: w} }

// Path returns the way from the root to the cursor.
func (c Value) Path() Path {
	if c.parent == nil {
		return nil
	}
	if c.place > 0 {
		return append(c.parent.Path(), c.place-1)
	}
	return append(c.parent.Path(), c.name)
}

// Get returns the cursor at a field of an object or map, following each name in
// turn; it is absent when there is no such field.
func (c Value) Get(names ...string) Value {
	for _, name := range names {
		c = c.Field(name)
	}
	return c
}

// Field is Get with one name. It costs no memory where the cursor is read at once.
func (c Value) Field(name string) Value {
	return Value{v: field(c.known(), name), parent: &c, name: name, watch: c.watch}
}

func field(v any, name string) any {
	object, _ := v.(map[string]any)
	if inner, ok := object[name]; ok {
		return inner
	}
	return absent{}
}

// Index returns the cursor at an element of a list; it is absent past its end.
func (c Value) Index(i int) Value {
	return Value{v: element(c.known(), i), parent: &c, place: i + 1, watch: c.watch}
}

func element(v any, i int) any {
	list, _ := v.([]any)
	if i >= 0 && i < len(list) {
		return list[i]
	}
	return absent{}
}

// Items returns a cursor for each element of a list, none for anything else.
func (c Value) Items() []Value {
	list, _ := c.known().([]any)
	items := make([]Value, len(list))
	for i := range list {
		items[i] = Value{v: list[i], parent: &c, place: i + 1, watch: c.watch}
	}
	return items
}

// Keys returns the names of an object or map, sorted; none for anything else.
func (c Value) Keys() []string {
	object, _ := c.known().(map[string]any)
	return slices.Sorted(maps.Keys(object))
}

// Len returns the number of elements of a list, of entries of an object or map, or of
// Unicode scalar values of a text; ok is false for anything else.
func (c Value) Len() (n int, ok bool) {
	switch v := c.known().(type) {
	case []any:
		return len(v), true
	case map[string]any:
		return len(v), true
	case string:
		return utf8.RuneCountInString(v), true
	}
	return 0, false
}

// Least is Len of what is known: nothing makes a text shorter than what is fixed in it, or a
// list shorter than its entries that are there in any case. It is 0 for anything else.
func (c Value) Least() (n int) {
	if list, ok := c.v.([]any); ok {
		for _, item := range list {
			if u, ok := item.(Unknown); ok && u.Optional {
				c.open()
			} else {
				n++
			}
		}
		return n
	}
	if text, ok := c.v.(string); ok {
		return utf8.RuneCountInString(text)
	}
	for _, piece := range c.Fixed() {
		n += utf8.RuneCountInString(piece)
	}
	return n
}

// Fixed returns the parts of a text that are known: what stands before, between and after
// its expressions, or the whole of a text without any; nil for anything else.
func (c Value) Fixed() []string {
	switch v := c.v.(type) {
	case string:
		return []string{v}
	case Unknown:
		c.open()
		return v.Fixed
	}
	return nil
}

func (c Value) open() {
	if c.watch != nil {
		c.watch.Open = true
	}
}

type absent struct{}

func (c Value) known() any {
	if _, ok := c.v.(Unknown); ok {
		if c.watch != nil {
			c.watch.Unknown = true
		}
		return nil
	}
	return c.v
}

// Present tells whether there is a value here; an unknown one is, and marks the watch where
// it may turn out to be none.
func (c Value) Present() bool {
	if u, ok := c.v.(Unknown); ok && u.Optional {
		c.known()
	}
	_, gone := c.v.(absent)
	return !gone
}

// Any returns the value, nil when it is absent or unknown.
func (c Value) Any() any {
	if !c.Present() {
		return nil
	}
	return c.known()
}

// Text returns the value as a string; ok is false for anything else.
func (c Value) Text() (s string, ok bool) {
	s, ok = c.known().(string)
	return s, ok
}

// Object returns the value as an object or map; ok is false for anything else.
func (c Value) Object() (m map[string]any, ok bool) {
	m, ok = c.known().(map[string]any)
	return m, ok
}

// List returns the value as a list; ok is false for anything else.
func (c Value) List() (l []any, ok bool) {
	l, ok = c.known().([]any)
	return l, ok
}

// Number returns the value as a number; ok is false for anything else.
func (c Value) Number() (n float64, ok bool) {
	switch v := c.known().(type) {
	case int64:
		return float64(v), true
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// Bool returns the value as a boolean; ok is false for anything else.
func (c Value) Bool() (b, ok bool) {
	b, ok = c.known().(bool)
	return b, ok
}

// IsUnknown tells whether the value is not known yet. A rule that asks, and passes over what
// is not, keeps what it said of the others.
func (c Value) IsUnknown() bool {
	_, ok := c.v.(Unknown)
	if ok {
		c.open()
	}
	return ok
}
