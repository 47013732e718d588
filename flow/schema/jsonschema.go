package schema

import (
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// expressionPattern matches a text with an expression, in JSON Schema.
const expressionPattern = `\$\{`

// JSONSchema returns the JSON Schema (2020-12) of the type, with $defs for types that occur
// more than once. With expressions, each place also accepts a text with ${…}, and a string
// place accepts the numbers and booleans that unquoted YAML is read as.
func (t *Type) JSONSchema(expressions bool) map[string]any {
	w := NewSchemaWriter(expressions, t)
	schema := w.Write(t)
	if len(w.Defs) > 0 {
		schema["$defs"] = w.Defs
	}
	return schema
}

// A SchemaWriter writes the JSON Schemas of types in one document, and collects in Defs the
// document's $defs.
type SchemaWriter struct {
	Defs map[string]any // by name; filled by Write

	expressions bool
	uses        map[*Type]int
	refs        map[*Type]string
}

// NewSchemaWriter returns a writer for the types. It needs all of them in advance: objects
// that occur more than once go to Defs.
func NewSchemaWriter(expressions bool, types ...*Type) *SchemaWriter {
	w := &SchemaWriter{Defs: map[string]any{}, expressions: expressions, uses: map[*Type]int{}, refs: map[*Type]string{}}
	for _, t := range types {
		w.count(t)
	}
	return w
}

func (w *SchemaWriter) count(t *Type) {
	if t == nil {
		return
	}
	if w.uses[t]++; w.uses[t] > 1 {
		return
	}
	w.count(t.Elem)
	for _, f := range t.Fields {
		w.count(f.Type)
	}
	for _, c := range t.Cases {
		w.count(c.Type)
	}
}

// Write returns the schema of the type. The caller may add to it.
func (w *SchemaWriter) Write(t *Type) map[string]any { return w.write(t, "value") }

// write names the definition of a shared object after the field in which it first occurs.
func (w *SchemaWriter) write(t *Type, name string) map[string]any {
	if t.Kind != Object || len(t.Fields) == 0 || w.uses[t] < 2 {
		return w.inline(t, name)
	}
	ref, ok := w.refs[t]
	if !ok {
		ref = name
		for n := 2; w.Defs[ref] != nil; n++ {
			ref = name + "_" + strconv.Itoa(n)
		}
		w.refs[t], w.Defs[ref] = ref, true
		w.Defs[ref] = w.inline(t, name)
	}
	return map[string]any{"$ref": "#/$defs/" + ref}
}

func (w *SchemaWriter) inline(t *Type, name string) map[string]any {
	schema := map[string]any{}
	if t.Doc != "" {
		schema["description"] = t.Doc
	}
	switch t.Kind {
	case Any, Union: // the cases of a union are written by the enclosing object
		return schema
	case String:
		w.text(schema, t)
		return schema
	case Timestamp:
		w.constrain(schema, "string", map[string]any{"format": "date-time"})
		return schema
	case Duration:
		w.constrain(schema, "string", map[string]any{"pattern": durationPattern})
		return schema
	case Bool:
		w.nonText(schema, "boolean")
	case Int:
		w.nonText(schema, "integer")
	case Number:
		w.nonText(schema, "number")
	case List:
		w.nonText(schema, "array")
		if t.elem().Kind != Any {
			schema["items"] = w.write(t.elem(), singular(name))
		}
		limit(schema, "minItems", t.MinItems)
		limit(schema, "maxItems", t.MaxItems)
	case Map:
		w.nonText(schema, "object")
		if t.elem().Kind != Any {
			schema["additionalProperties"] = w.write(t.elem(), singular(name))
		}
		limit(schema, "minProperties", t.MinItems)
		limit(schema, "maxProperties", t.MaxItems)
	case Object:
		w.nonText(schema, "object")
		w.object(schema, t)
	}
	if t.Minimum != nil {
		schema["minimum"] = *t.Minimum
	}
	if t.Maximum != nil {
		schema["maximum"] = *t.Maximum
	}
	if len(t.Enum) > 0 {
		delete(schema, "pattern")
		w.constrain(schema, nil, t.choices())
	}
	return schema
}

// nonText sets the type of a value that is not a string. The pattern only applies to strings,
// so that an expression needs no separate schema.
func (w *SchemaWriter) nonText(schema map[string]any, kind string) {
	schema["type"] = kind
	if w.expressions {
		schema["type"] = []any{kind, "string"}
		schema["pattern"] = expressionPattern
	}
}

// constrain sets constraints that do not apply to expressions.
func (w *SchemaWriter) constrain(schema map[string]any, kind any, constraints map[string]any) {
	if kind != nil {
		schema["type"] = kind
	}
	switch {
	case len(constraints) == 0:
	case w.expressions:
		schema["anyOf"] = []any{constraints, map[string]any{"type": "string", "pattern": expressionPattern}}
	default:
		maps.Copy(schema, constraints)
	}
}

func (w *SchemaWriter) text(schema map[string]any, t *Type) {
	var kind any = "string"
	if w.expressions {
		kind = []any{"string", "number", "boolean"}
	}
	rules := map[string]any{}
	limit(rules, "minLength", t.MinLength)
	limit(rules, "maxLength", t.MaxLength)
	switch e164 := t.Format == "e164"; {
	case e164 && t.Pattern != "":
		rules["allOf"] = []any{map[string]any{"pattern": t.Pattern}, map[string]any{"pattern": e164Pattern}}
	case e164:
		rules["pattern"] = e164Pattern
	case t.Pattern != "":
		rules["pattern"] = t.Pattern
	}
	if t.Format != "" && t.Format != "e164" {
		rules["format"] = t.Format
	}
	if len(t.Enum) > 0 {
		// With the constraints in one place a reader sees them together.
		maps.Copy(rules, t.choices())
		w.constrain(schema, "string", rules)
		return
	}
	w.constrain(schema, kind, rules)
}

// choices is the schema of the allowed values: editors complete from the enum, the pattern
// accepts any case.
func (t *Type) choices() map[string]any {
	enum := map[string]any{"enum": t.Enum}
	if !t.FoldCase && !t.AnyCase {
		return enum
	}
	patterns := make([]string, 0, len(t.Enum))
	for _, v := range t.Enum {
		patterns = append(patterns, foldPattern(fmt.Sprint(v)))
	}
	return map[string]any{"anyOf": []any{enum, map[string]any{"pattern": "^(" + strings.Join(patterns, "|") + ")$"}}}
}

// foldPattern matches a text in any case; ECMA patterns have no flag for it.
func foldPattern(s string) string {
	var b strings.Builder
	for _, r := range s {
		if lower, upper := unicode.ToLower(r), unicode.ToUpper(r); lower != upper {
			b.WriteString("[" + string(lower) + string(upper) + "]")
		} else {
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	return b.String()
}

func (w *SchemaWriter) object(schema map[string]any, t *Type) {
	properties := map[string]any{}
	var required, cases []any
	for _, f := range t.Fields {
		property := w.write(f.Type, f.Name)
		if f.Doc != "" {
			property["description"] = f.Doc
		}
		if f.Default != nil {
			property["default"] = JSON(f.Default)
		} else if f.Required {
			required = append(required, f.Name)
		}
		properties[f.Name] = property
		if f.Type.Kind == Union {
			cases = append(cases, w.cases(t, f)...)
		}
	}
	if len(properties) > 0 {
		schema["properties"] = properties
	}
	if len(required) > 0 {
		schema["required"] = required
	}
	if len(cases) > 0 {
		schema["allOf"] = cases
	}
	if !t.Open {
		schema["additionalProperties"] = false
	}
}

// cases returns the conditions of a union's cases: if the tag has this value, the field has
// that schema.
func (w *SchemaWriter) cases(t *Type, f *Field) []any {
	union := f.Type
	tag := t.Field(union.Tag)
	var all []any
	for _, c := range union.Cases {
		chosen := map[string]any{
			"properties": map[string]any{union.Tag: map[string]any{"pattern": "^" + foldPattern(c.Value) + "$"}},
		}
		if tag == nil || tag.Default == nil || !strings.EqualFold(fmt.Sprint(tag.Default), c.Value) {
			chosen["required"] = []any{union.Tag}
		}
		then := map[string]any{"properties": map[string]any{f.Name: w.write(c.Type, c.Value)}}
		all = append(all, map[string]any{"if": chosen, "then": then})
	}
	return all
}

// singular returns the name of a list's items.
func singular(name string) string { return strings.TrimSuffix(name, "s") }

func limit(schema map[string]any, key string, n int) {
	if n > 0 {
		schema[key] = n
	}
}
