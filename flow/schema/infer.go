package schema

import (
	"maps"
	"reflect"
	"slices"
	"time"
)

// Infer returns the type of a plain value. Lists have the type that their items
// share, integer and number being number, or any; a map whose values share a type is
// a Map with its keys as Fields, any other a closed Object. An Unknown is of its own
// type. Where the type is wider than a part of the value, Coerce brings the value into it.
func Infer(v any) *Type {
	switch v := v.(type) {
	case nil:
		return AnyType
	case string:
		return StringType
	case bool:
		return BoolType
	case int64:
		return IntType
	case float64:
		return NumberType
	case time.Time:
		return TimestampType
	case time.Duration:
		return DurationType
	case Unknown:
		if v.Type == nil {
			return AnyType
		}
		return v.Type
	case []any:
		var elem *Type
		for _, item := range v {
			if elem = meet(elem, Infer(item)); elem == nil {
				return ListOf(AnyType)
			}
		}
		if elem == nil {
			elem = AnyType
		}
		return ListOf(elem)
	case map[string]any:
		return inferMap(v)
	}
	if plain, changed := toPlain(v); changed {
		return Infer(plain)
	}
	return AnyType
}

func inferMap(m map[string]any) *Type {
	if len(m) == 0 {
		return MapOf(AnyType)
	}
	object := InferObject(m)
	var elem *Type
	for _, f := range object.Fields {
		if elem = meet(elem, f.Type); elem == nil {
			return object
		}
	}
	shared := MapOf(elem)
	shared.Fields = object.Fields
	return shared
}

// InferObject is Infer for a map that is to be a closed object whatever its values share.
func InferObject(m map[string]any) *Type {
	object := &Type{Kind: Object}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		object.Fields = append(object.Fields, &Field{Name: name, Type: Infer(m[name]), Required: true})
	}
	return object
}

// meet returns the type that a and b share, b when a is nil, and nil when there is
// none. What differs otherwise, such as patterns, is dropped.
func meet(a, b *Type) *Type {
	switch {
	case a == nil || a == b:
		return b
	case reflect.DeepEqual(a, b):
		return a
	}
	sensitive := a.Sensitive || b.Sensitive
	switch {
	case a.Kind == b.Kind && a.Kind <= Duration:
		return &Type{Kind: a.Kind, Sensitive: sensitive}
	case a.Kind == Int && b.Kind == Number, a.Kind == Number && b.Kind == Int:
		return &Type{Kind: Number, Sensitive: sensitive}
	case a.Kind == b.Kind && (a.Kind == List || a.Kind == Map):
		if elem := meet(a.elem(), b.elem()); elem != nil {
			return &Type{Kind: a.Kind, Elem: elem, Sensitive: sensitive}
		}
	case a.Kind == Object && b.Kind == Object && slices.Equal(a.Names(), b.Names()):
		object := &Type{Kind: Object, Open: a.Open || b.Open, Sensitive: sensitive}
		for i, f := range a.Fields {
			t := meet(f.Type, b.Fields[i].Type)
			if t == nil {
				return nil
			}
			object.Fields = append(object.Fields, &Field{Name: f.Name, Type: t, Required: f.Required && b.Fields[i].Required})
		}
		return object
	}
	return nil
}
