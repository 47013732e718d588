package schema

import (
	"strings"
	"time"
)

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }

// Of returns the type of a Go type.
func Of[T any]() *Type { panic("not yet") }

// Coerce turns a decoded value (JSON, YAML or already coerced) into the Go value
// of the type, filling in defaults. Unknown parts are passed through.
func (t *Type) Coerce(v any) (any, Violations) { panic("not yet") }

// FromText turns a text, as given on a command line, into a value of the type.
func (t *Type) FromText(s string) (any, error) { panic("not yet") }

// Accepts tells whether every value of type from could be a value of t, as far as
// types say; why completes "expected X, got Y".
func (t *Type) Accepts(from *Type) (ok bool, why string) { panic("not yet") }

// Name gives the type as a short word for messages: "string", "list of integer".
func (t *Type) Name() string { panic("not yet") }

// JSONSchema returns the JSON Schema (2020-12) of the type. With expressions, each
// slot also takes a text that holds ${…}.
func (t *Type) JSONSchema(expressions bool) map[string]any { panic("not yet") }

// Decode stores a coerced value in the Go struct that into points to.
func Decode(v any, into any) error { panic("not yet") }

// Encode turns a Go value into plain values; the inverse of Decode.
func Encode(v any) any { panic("not yet") }

// Infer returns the type of a plain value: objects for maps with differing values.
func Infer(v any) *Type { panic("not yet") }

// ParseDuration reads a duration such as "90s", "24h", "1h30m" or "7d".
func ParseDuration(s string) (time.Duration, error) { panic("not yet") }

// FormatDuration is the inverse of ParseDuration.
func FormatDuration(d time.Duration) string { panic("not yet") }
