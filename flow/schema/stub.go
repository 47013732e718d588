package schema

import "strings"

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }

// Accepts tells whether every value of type from could be a value of t, as far as
// types say; why completes "expected X, got Y".
func (t *Type) Accepts(from *Type) (ok bool, why string) { panic("not yet") }

// Name gives the type as a short word for messages: "string", "list of integer".
func (t *Type) Name() string { return t.Kind.String() }

// JSONSchema returns the JSON Schema (2020-12) of the type. With expressions, each
// slot also takes a text that holds ${…}.
func (t *Type) JSONSchema(expressions bool) map[string]any { panic("not yet") }

// Infer returns the type of a plain value: objects for maps with differing values.
func Infer(v any) *Type { panic("not yet") }
