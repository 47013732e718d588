// Package schema describes the shape of values, and coerces values to it.
//
// A Type is built once, from a Go type (Of) or from a flow's `inputs:`, and serves wherever a
// shape matters: the type of a CEL expression, the coercion of JSON values, JSON Schema for
// editors, the reference pages. Values are plain Go values (see Coerce); Value is a cursor
// into one, for rules that must also work while parts of it are still unknown.
package schema

import (
	"strings"
	"time"
)

// Kind is the broad kind of a type.
type Kind uint8

// The kinds, each with the Go value that Coerce returns for it.
const (
	Any       Kind = iota // any of the below, or nil
	String                // string
	Bool                  // bool
	Int                   // int64
	Number                // float64
	Timestamp             // time.Time, written as RFC 3339
	Duration              // time.Duration, written as "90s", "24h" or "7d"
	List                  // []any
	Map                   // map[string]any, free keys, one type of value
	Object                // map[string]any, named fields
	Union                 // one of Cases, chosen by a sibling field
)

var kindNames = [...]string{"any", "string", "boolean", "integer", "number", "timestamp", "duration", "array", "map", "object", "union"}

func (k Kind) String() string { return kindNames[k] }

// A Type describes values. Types are immutable once built and may be shared.
type Type struct {
	Kind Kind
	Doc  string

	// Strings.
	Format    string // e164, uri, email, uuid or "": checked by Coerce
	Pattern   string // RE2, unanchored, as in JSON Schema
	MinLength int    // in Unicode scalar values
	MaxLength int    // 0: no limit
	Enum      []any  // allowed values
	FoldCase  bool   // Enum matches in any case; Coerce gives the case of Enum
	AnyCase   bool   // Enum matches in any case; Coerce keeps the case of the value

	// Numbers.
	Minimum, Maximum *float64

	// Lists and maps.
	Elem               *Type
	MinItems, MaxItems int // MaxItems 0: no limit

	// Fields are those of an object. Of a map made by literals they are its keys, of which
	// only Name and Required are used in expressions; nil for a map that may have other keys.
	Fields []*Field
	Open   bool // other fields of any type are allowed
	// NullIsAbsent treats null as an absent field if the field is optional, because other
	// systems write null for what they do not know: the field is left out, or gets its
	// default.
	NullIsAbsent bool

	// Unions: the value of the sibling field Tag chooses the case. While the tag is
	// unknown the value is checked against no case.
	Tag   string
	Cases []Case

	// Sensitive values are masked wherever people see them.
	Sensitive bool

	// Rule is the id of a rule that the limits above implement: violations have it in place of
	// max-length and the like, and Hint if they have none of their own.
	Rule, Hint string

	// DetectMistake, if set, recognises values that were meant as something else. Its
	// violations replace those of the type: with an empty path about the whole value, with one
	// name about a field that the type does not declare. It is pure, cheap, and returns
	// nothing for values that the type accepts.
	DetectMistake func(v any) Violations
}

// A Case is one shape of a union.
type Case struct {
	Value string
	Type  *Type
}

// A Field is one named field of an object.
type Field struct {
	Name     string
	Type     *Type
	Doc      string
	Required bool
	Default  any  // nil: none
	Always   bool // of outputs: also present after a failure
	// Plain says that values are created in the form of Stored, such as those of ReadJSON:
	// Encode and CoerceStored do not look at them.
	Plain bool
}

// Field returns the field of that name, or nil. A nil type has none.
func (t *Type) Field(name string) *Field {
	if t == nil {
		return nil
	}
	for _, f := range t.Fields {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// Names returns the names of the fields in their order.
func (t *Type) Names() []string {
	names := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		names[i] = f.Name
	}
	return names
}

// Case returns the type of the case with that value, ignoring case, or nil.
func (t *Type) Case(value string) *Type {
	for i := range t.Cases {
		if t.Cases[i].Value == value { // the frequent case
			return t.Cases[i].Type
		}
	}
	for i := range t.Cases {
		if strings.EqualFold(t.Cases[i].Value, value) {
			return t.Cases[i].Type
		}
	}
	return nil
}

// ListOf returns the type of lists of elem.
func ListOf(elem *Type) *Type { return &Type{Kind: List, Elem: elem} }

// MapOf returns the type of maps with values of elem.
func MapOf(elem *Type) *Type { return &Type{Kind: Map, Elem: elem} }

// Shared types without constraints.
var (
	AnyType       = &Type{Kind: Any}
	StringType    = &Type{Kind: String}
	BoolType      = &Type{Kind: Bool}
	IntType       = &Type{Kind: Int}
	NumberType    = &Type{Kind: Number}
	TimestampType = &Type{Kind: Timestamp}
	DurationType  = &Type{Kind: Duration}
)

// Zero returns the empty value of the type, nil if it has none.
func (t *Type) Zero() any {
	switch t.Kind {
	case String:
		return ""
	case Bool:
		return false
	case Int:
		return int64(0)
	case Number:
		return float64(0)
	case Timestamp:
		return time.Time{}
	case Duration:
		return time.Duration(0)
	case List:
		return []any{}
	case Map, Object:
		return map[string]any{}
	}
	return nil
}
