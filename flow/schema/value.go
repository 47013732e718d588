package schema

import (
	"maps"
	"slices"
	"unicode/utf8"
)

// Unknown stands for a part of a value that is not known yet: an expression that has not been
// evaluated.
type Unknown struct {
	Type         *Type    // of the value that it will be
	FixedParts   []string // of a text: what precedes, separates and follows its expressions
	Alternatives []string // literal texts that it may become
	Optional     bool     // it may become no value at all
}

// A Value is a cursor into a value. Reading an Unknown part marks the cursor's Tracker, so
// that the caller of a rule can discard its result. MinLen and FixedParts read what holds in
// any case.
type Value struct {
	v       any
	parent  *Value
	name    string // the field of the parent, unless index is set
	index   int    // in a list, from 1
	tracker *Tracker
}

// A Tracker records whether a rule read a part that is not known yet.
type Tracker struct {
	ReadUnknown bool // the result of the rule may change
	ReadPartly  bool // the result holds, and may grow once the rest is known
}

// NewValue returns a cursor at the root of v.
func NewValue(v any, tracker *Tracker) Value { return Value{v: v, tracker: tracker} }

// Path returns the path from the root to the cursor.
func (c Value) Path() Path {
	if c.parent == nil {
		return nil
	}
	if c.index > 0 {
		return append(c.parent.Path(), c.index-1)
	}
	return append(c.parent.Path(), c.name)
}

// Get returns the cursor at a field of an object or map, following each name in turn; it is
// absent if there is no such field.
func (c Value) Get(names ...string) Value {
	for _, name := range names {
		c = c.Field(name)
	}
	return c
}

// Field is Get with one name. It does not allocate if the result is read at once.
func (c Value) Field(name string) Value {
	return Value{v: field(c.known(), name), parent: &c, name: name, tracker: c.tracker}
}

func field(v any, name string) any {
	object, _ := v.(map[string]any)
	if inner, ok := object[name]; ok {
		return inner
	}
	return absent{}
}

// Index returns the cursor at an element of a list; it is absent past the end.
func (c Value) Index(i int) Value {
	return Value{v: element(c.known(), i), parent: &c, index: i + 1, tracker: c.tracker}
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
		items[i] = Value{v: list[i], parent: &c, index: i + 1, tracker: c.tracker}
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

// MinLen is a lower bound of Len: the length of the fixed parts of a text, or the number of
// items of a list that are not optional. It is 0 for anything else.
func (c Value) MinLen() (n int) {
	if list, ok := c.v.([]any); ok {
		for _, item := range list {
			if u, ok := item.(Unknown); ok && u.Optional {
				c.markPartly()
			} else {
				n++
			}
		}
		return n
	}
	if text, ok := c.v.(string); ok {
		return utf8.RuneCountInString(text)
	}
	for _, piece := range c.FixedParts() {
		n += utf8.RuneCountInString(piece)
	}
	return n
}

// FixedParts returns the known parts of a text: what precedes, separates and follows its
// expressions, or the whole of a text without any; nil for anything else.
func (c Value) FixedParts() []string {
	switch v := c.v.(type) {
	case string:
		return []string{v}
	case Unknown:
		c.markPartly()
		return v.FixedParts
	}
	return nil
}

func (c Value) markPartly() {
	if c.tracker != nil {
		c.tracker.ReadPartly = true
	}
}

type absent struct{}

func (c Value) known() any {
	if _, ok := c.v.(Unknown); ok {
		if c.tracker != nil {
			c.tracker.ReadUnknown = true
		}
		return nil
	}
	return c.v
}

// Present reports whether there is a value. An unknown one counts as present, and marks the
// tracker if it may become absent.
func (c Value) Present() bool {
	if u, ok := c.v.(Unknown); ok && u.Optional {
		c.known()
	}
	_, isAbsent := c.v.(absent)
	return !isAbsent
}

// Any returns the value, nil if it is absent or unknown.
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

// IsUnknown reports whether the value is not known yet. A rule that skips unknown values by it
// keeps its result for the others.
func (c Value) IsUnknown() bool {
	_, ok := c.v.(Unknown)
	if ok {
		c.markPartly()
	}
	return ok
}
