package plan

import (
	"maps"
	"slices"

	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"
)

// A Value is a compiled YAML value: literal parts and expressions.
type Value struct {
	Type *schema.Type // what it gives, as far as known

	literal any // where program, items and fields are nil
	program *expr.Program
	items   []*Value
	fields  []field
	isList  bool
	isMap   bool

	as *schema.Type // what Eval brings the result to; nil: it is left as it is
	at diag.Range   // of what does not fit
}

type field struct {
	name  string
	value *Value
}

// Literal returns the value when it holds no expression.
func (v *Value) Literal() (any, bool) {
	if v == nil || !v.literalOnly() {
		return nil, false
	}
	return v.literal, true
}

// Prefix returns the text that the value, a text, begins with, whatever its expressions
// give.
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

// isOptional tells whether the value may be no value at all.
func (v *Value) isOptional() bool { return v.program != nil && v.program.Optional() }

// settle makes the literal parts what they were coerced to, and adds those that are
// defaults. It is of use where nothing may be lacking.
func (v *Value) settle(known any) {
	part := func(v *Value, known any) *Value {
		if v.literalOnly() {
			return &Value{Type: v.Type, literal: known}
		}
		v.settle(known)
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

// mayLack tells whether a part of the value may turn out to be no value at all.
func (v *Value) mayLack() bool {
	return v.isOptional() || slices.ContainsFunc(v.items, (*Value).mayLack) ||
		slices.ContainsFunc(v.fields, func(f field) bool { return f.value.mayLack() })
}

// Eval evaluates the value. Literal parts are shared between evaluations and must
// not be changed. A field or an item whose expression gives no value (an optional
// none) is left out; the value itself may be expr.Absent. Errors are *expr.EvalError.
func (v *Value) Eval(vars expr.Vars) (any, error) {
	x, err := v.eval(vars)
	if err != nil || v.as == nil {
		return x, err
	}
	if _, none := x.(expr.Absent); none {
		return x, nil
	}
	out, found := v.as.Coerce(x)
	if err := found.Err(); err != nil {
		return nil, &expr.EvalError{Range: v.at, Message: err.Error()}
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

// become returns the value as one of type t, which accepts it: an integer where t is a
// number is made one, a value of any type is checked when it is there.
func (v *Value) become(t *schema.Type, at diag.Range) *Value {
	if t.Kind == schema.Any || same(v.Type, t) {
		return v
	}
	out := *v
	out.Type, out.as, out.at = t, kindsOf(t), at
	if v.literalOnly() {
		if x, found := out.as.Coerce(v.literal); found.Err() == nil {
			return &Value{Type: t, literal: x}
		}
	}
	return &out
}

// kindsOf returns the type without its limits. Objects are not looked into.
func kindsOf(t *schema.Type) *schema.Type {
	switch {
	case t == nil || t.Kind == schema.Object || t.Kind == schema.Union:
		return schema.AnyType
	case t.Kind == schema.List || t.Kind == schema.Map:
		return &schema.Type{Kind: t.Kind, Elem: kindsOf(t.Elem), Sensitive: t.Sensitive}
	}
	return &schema.Type{Kind: t.Kind, Sensitive: t.Sensitive}
}

// fold turns parts without expressions into literals, in place where not all are.
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

// skeleton gives the value with schema.Unknown in the place of each expression.
func (v *Value) skeleton() any {
	switch {
	case v.program != nil:
		return schema.Unknown{Type: v.Type, Fixed: v.program.Fixed(), Among: v.program.Among(), Optional: v.isOptional()}
	case v.isList:
		list := make([]any, len(v.items))
		for i, item := range v.items {
			list[i] = item.skeleton()
		}
		return list
	case v.isMap:
		object := make(map[string]any, len(v.fields))
		for _, f := range v.fields {
			object[f.name] = f.value.skeleton()
		}
		return object
	}
	return v.literal
}
