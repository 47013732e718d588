package plan

import (
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
}

type field struct {
	name  string
	value *Value
}

// Literal returns the value when it holds no expression.
func (v *Value) Literal() (any, bool) {
	if v == nil || v.program != nil || v.isList || v.isMap {
		return nil, false
	}
	return v.literal, true
}

// Eval evaluates the value. Literal parts are shared between evaluations and must
// not be changed. A field or an item whose expression gives no value (an optional
// none) is left out; the value itself may be expr.Absent. Errors are *expr.EvalError.
func (v *Value) Eval(vars expr.Vars) (any, error) {
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

// fold turns a value without expressions into one literal.
func (v *Value) fold() *Value {
	switch {
	case v.isList:
		list := make([]any, len(v.items))
		for i, item := range v.items {
			x, ok := item.Literal()
			if !ok {
				return v
			}
			list[i] = x
		}
		return &Value{Type: v.Type, literal: list}
	case v.isMap:
		object := make(map[string]any, len(v.fields))
		for _, f := range v.fields {
			x, ok := f.value.Literal()
			if !ok {
				return v
			}
			object[f.name] = x
		}
		return &Value{Type: v.Type, literal: object}
	}
	return v
}

// skeleton gives the value with schema.Unknown in the place of each expression.
func (v *Value) skeleton() any {
	switch {
	case v.program != nil:
		return schema.Unknown{Type: v.Type}
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
