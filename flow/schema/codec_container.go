package schema

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
)

func interfaceCodec(t reflect.Type) *codec {
	return &codec{
		decode: func(dst reflect.Value, v any) error {
			if v == nil {
				dst.SetZero()
				return nil
			}
			src := reflect.ValueOf(v)
			if !src.Type().AssignableTo(t) {
				return fmt.Errorf("a Go %T cannot be decoded into %s", v, t)
			}
			dst.Set(src)
			return nil
		},
		encode: func(v reflect.Value) any {
			if v.IsNil() {
				return nil
			}
			return Encode(v.Interface())
		},
	}
}

func pointerCodec(t reflect.Type) *codec {
	return &codec{
		decode: func(dst reflect.Value, v any) error {
			if v == nil {
				dst.SetZero()
				return nil
			}
			p := reflect.New(t.Elem())
			if err := codecOf(t.Elem()).decode(p.Elem(), v); err != nil {
				return err
			}
			dst.Set(p)
			return nil
		},
		encode: func(v reflect.Value) any {
			if v.IsNil() {
				return nil
			}
			return encodeWith(codecOf(t.Elem()), v.Elem())
		},
	}
}

func encodeWith(p *codec, v reflect.Value) any {
	if p.encode == nil {
		return nil
	}
	return p.encode(v)
}

func listCodec(t reflect.Type) *codec {
	return &codec{
		decode: func(dst reflect.Value, v any) error {
			list, ok := v.([]any)
			if !ok || t.Kind() == reflect.Array {
				return mismatch("list", v)
			}
			if t.Elem().Kind() == reflect.Interface && t.Elem().NumMethod() == 0 {
				dst.Set(reflect.ValueOf(v).Convert(t))
				return nil
			}
			out, elem := reflect.MakeSlice(t, len(list), len(list)), codecOf(t.Elem())
			for i, item := range list {
				if err := elem.decode(out.Index(i), item); err != nil {
					return atStep(i, err)
				}
			}
			dst.Set(out)
			return nil
		},
		encode: func(v reflect.Value) any {
			out, elem := make([]any, v.Len()), codecOf(t.Elem())
			for i := range out {
				out[i] = encodeWith(elem, v.Index(i))
			}
			return out
		},
	}
}

func mapCodec(t reflect.Type) *codec {
	if t.Key().Kind() != reflect.String {
		return &codec{decode: func(reflect.Value, any) error { return fmt.Errorf("a Go %s cannot be decoded", t) }}
	}
	return &codec{
		decode: func(dst reflect.Value, v any) error {
			m, ok := v.(map[string]any)
			if !ok {
				return mismatch("object", v)
			}
			if reflect.TypeOf(v).ConvertibleTo(t) {
				dst.Set(reflect.ValueOf(v).Convert(t))
				return nil
			}
			out, elem := reflect.MakeMapWithSize(t, len(m)), codecOf(t.Elem())
			for name, item := range m {
				value := reflect.New(t.Elem()).Elem()
				if err := elem.decode(value, item); err != nil {
					return atStep(name, err)
				}
				out.SetMapIndex(reflect.ValueOf(name).Convert(t.Key()), value)
			}
			dst.Set(out)
			return nil
		},
		encode: func(v reflect.Value) any {
			out, elem := make(map[string]any, v.Len()), codecOf(t.Elem())
			for entries := v.MapRange(); entries.Next(); {
				out[entries.Key().String()] = encodeWith(elem, entries.Value())
			}
			return out
		},
	}
}

// A structField is a field of a struct with its name in the object. Its codec is looked up
// when it is first needed, because a Go type may contain itself.
type structField struct {
	name      string
	index     []int
	omitEmpty bool // also for pointers
	codec     func() *codec
}

func structCodec(t reflect.Type) *codec {
	var fields []structField
	err := eachField(t, nil, func(f reflect.StructField, name string, omitEmpty bool) error {
		m := structField{name: name, index: f.Index, omitEmpty: omitEmpty || f.Type.Kind() == reflect.Pointer}
		if of := f.Type; of.Kind() == reflect.Interface && slices.Contains(splitTag(f.Tag.Get("schema")), "plain") {
			plainCodec := &codec{decode: interfaceCodec(of).decode, encode: func(v reflect.Value) any { return v.Interface() }}
			m.codec = func() *codec { return plainCodec }
		} else {
			m.codec = sync.OnceValue(func() *codec { return codecOf(of) })
		}
		fields = append(fields, m)
		return nil
	})
	return &codec{
		decode: func(dst reflect.Value, v any) error {
			object, ok := v.(map[string]any)
			if !ok {
				return mismatch("object", v)
			}
			if err != nil {
				return err
			}
			for i := range fields {
				m := &fields[i]
				field := dst.FieldByIndex(m.index)
				value, ok := object[m.name]
				if !ok {
					field.SetZero()
					continue
				}
				if err := m.codec().decode(field, value); err != nil {
					return atStep(m.name, err)
				}
			}
			return nil
		},
		encode: func(v reflect.Value) any {
			out := map[string]any{}
			for i := range fields {
				m := &fields[i]
				if field := v.FieldByIndex(m.index); !m.omitEmpty || !isEmpty(field) {
					out[m.name] = encodeWith(m.codec(), field)
				}
			}
			return out
		},
	}
}

// isEmpty reports what omitempty omits: zero values, and slices and maps without elements.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return v.IsZero()
}
