package plan

import (
	"maps"
	"slices"

	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"
)

// A Value is a compiled YAML value made of literals and expressions.
type Value struct {
	Type *schema.Type // of the result, as far as known

	literal any // set if program, items and fields are nil
	program *expr.Program
	items   []*Value
	fields  []field
	isList  bool
	isMap   bool

	target      *schema.Type // the type that Eval coerces the result to; nil: none
	targetRange diag.Range   // where a result that does not fit target is reported
}

type field struct {
	name  string
	value *Value
}

// Literal returns the value if it holds no expression.
func (v *Value) Literal() (any, bool) {
	if v == nil || !v.literalOnly() {
		return nil, false
	}
	return v.literal, true
}

// Prefix returns what a text value always begins with, whatever its expressions give.
func (v *Value) Prefix() string {
	switch {
	case v.program != nil:
		return v.program.Prefix()
	case v.literalOnly():
		text, _ := v.literal.(string)
		return text
	}
	return ""
}

func (v *Value) literalOnly() bool { return v.program == nil && !v.isList && !v.isMap }

// isOptional reports whether the expression may give no value.
func (v *Value) isOptional() bool { return v.program != nil && v.program.Optional() }

// fillKnown replaces the literal parts by their coerced form, and adds defaults. It is only of
// use if no part may be absent.
func (v *Value) fillKnown(known any) {
	part := func(v *Value, known any) *Value {
		if v.literalOnly() {
			return &Value{Type: v.Type, literal: known}
		}
		v.fillKnown(known)
		return v
	}
	switch known := known.(type) {
	case map[string]any:
		if !v.isMap {
			return
		}
		for i, f := range v.fields {
			v.fields[i].value = part(f.value, known[f.name])
		}
		for _, name := range slices.Sorted(maps.Keys(known)) {
			if !slices.ContainsFunc(v.fields, func(f field) bool { return f.name == name }) {
				v.fields = append(v.fields, field{name, &Value{literal: known[name]}})
			}
		}
	case []any:
		for i, item := range v.items {
			v.items[i] = part(item, known[i])
		}
	}
}

// mayBeAbsent reports whether a part of the value may give no value.
func (v *Value) mayBeAbsent() bool {
	return v.isOptional() || slices.ContainsFunc(v.items, (*Value).mayBeAbsent) ||
		slices.ContainsFunc(v.fields, func(f field) bool { return f.value.mayBeAbsent() })
}

// Eval evaluates the value. Literal parts are shared between evaluations and must not be
// changed. A field or an item whose expression gives no value (an empty optional) is left out;
// the value itself may be expr.Absent. Errors are *expr.EvalError.
func (v *Value) Eval(vars expr.Vars) (any, error) {
	x, err := v.eval(vars)
	if err != nil || v.target == nil {
		return x, err
	}
	if _, none := x.(expr.Absent); none {
		return x, nil
	}
	out, found := v.target.Coerce(x)
	if err := found.Err(); err != nil {
		return nil, &expr.EvalError{Range: v.targetRange, Message: err.Error()}
	}
	return out, nil
}

func (v *Value) eval(vars expr.Vars) (any, error) {
	switch {
	case v.program != nil:
		return v.program.Eval(vars)
	case v.isList:
		list := make([]any, 0, len(v.items))
		for _, item := range v.items {
			x, err := item.Eval(vars)
			if err != nil {
				return nil, err
			}
			if _, none := x.(expr.Absent); !none {
				list = append(list, x)
			}
		}
		return list, nil
	case v.isMap:
		object := make(map[string]any, len(v.fields))
		for _, f := range v.fields {
			x, err := f.value.Eval(vars)
			if err != nil {
				return nil, err
			}
			if _, none := x.(expr.Absent); !none {
				object[f.name] = x
			}
		}
		return object, nil
	}
	return v.literal, nil
}

// convert returns the value as one of type t, which accepts it: an integer becomes a number if
// t is one, a value of type any is checked when it is evaluated.
func (v *Value) convert(t *schema.Type, at diag.Range) *Value {
	if t.Kind == schema.Any || sameType(v.Type, t) {
		return v
	}
	out := *v
	out.Type, out.target, out.targetRange = t, withoutLimits(t), at
	if v.literalOnly() {
		if x, found := out.target.Coerce(v.literal); found.Err() == nil {
			return &Value{Type: t, literal: x}
		}
	}
	return &out
}

// withoutLimits returns the type without its limits, and with any in place of objects and
// unions.
func withoutLimits(t *schema.Type) *schema.Type {
	switch {
	case t == nil || t.Kind == schema.Object || t.Kind == schema.Union:
		return schema.AnyType
	case t.Kind == schema.List || t.Kind == schema.Map:
		return &schema.Type{Kind: t.Kind, Elem: withoutLimits(t.Elem), Sensitive: t.Sensitive}
	}
	return &schema.Type{Kind: t.Kind, Sensitive: t.Sensitive}
}

// fold turns parts without expressions into literals. It changes v in place unless the whole
// of it is a literal.
func (v *Value) fold() *Value {
	literal := true
	switch {
	case v.isList:
		list := make([]any, len(v.items))
		for i := range v.items {
			v.items[i] = v.items[i].fold()
			literal = literal && v.items[i].literalOnly()
			list[i] = v.items[i].literal
		}
		if literal {
			return &Value{Type: v.Type, literal: list}
		}
	case v.isMap:
		object := make(map[string]any, len(v.fields))
		for i := range v.fields {
			f := &v.fields[i]
			f.value = f.value.fold()
			literal = literal && f.value.literalOnly()
			object[f.name] = f.value.literal
		}
		if literal {
			return &Value{Type: v.Type, literal: object}
		}
	}
	return v
}

// partial returns the value with schema.Unknown in place of each expression.
func (v *Value) partial() any {
	switch {
	case v.program != nil:
		return schema.Unknown{Type: v.Type, FixedParts: v.program.FixedParts(), Alternatives: v.program.Alternatives(), Optional: v.isOptional()}
	case v.isList:
		list := make([]any, len(v.items))
		for i, item := range v.items {
			list[i] = item.partial()
		}
		return list
	case v.isMap:
		object := make(map[string]any, len(v.fields))
		for _, f := range v.fields {
			object[f.name] = f.value.partial()
		}
		return object
	}
	return v.literal
}
