package schema

import (
	"maps"
	"reflect"
	"slices"
	"time"
)

// Infer returns the type of a plain value. A list has the common type of its items (integer
// and number being number), or any; a map whose values have a common type is a Map, any other
// a closed Object. An Unknown has its own type. If the type is wider than a part of the value,
// Coerce converts that part.
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
			if elem = commonType(elem, Infer(item)); elem == nil {
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
		if elem = commonType(elem, f.Type); elem == nil {
			return object
		}
	}
	shared := MapOf(elem)
	shared.Fields = object.Fields
	return shared
}

// InferObject is Infer for a map that is a closed object even if its values have a common
// type.
func InferObject(m map[string]any) *Type {
	object := &Type{Kind: Object}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		object.Fields = append(object.Fields, &Field{Name: name, Type: Infer(m[name]), Required: true})
	}
	return object
}

// commonType returns the type that covers a and b, b if a is nil, and nil if there is none.
// Constraints in which they differ, such as patterns, are dropped.
func commonType(a, b *Type) *Type {
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
		if elem := commonType(a.elem(), b.elem()); elem != nil {
			return &Type{Kind: a.Kind, Elem: elem, Sensitive: sensitive}
		}
	case a.Kind == Object && b.Kind == Object && slices.Equal(a.Names(), b.Names()):
		object := &Type{Kind: Object, Open: a.Open || b.Open, Sensitive: sensitive}
		for i, f := range a.Fields {
			t := commonType(f.Type, b.Fields[i].Type)
			if t == nil {
				return nil
			}
			object.Fields = append(object.Fields, &Field{Name: f.Name, Type: t, Required: f.Required && b.Fields[i].Required})
		}
		return object
	}
	return nil
}
