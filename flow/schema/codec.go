package schema

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync"
	"time"
)

// A Decoder decodes a value into itself; for types that fit no kind, together with Typed.
type Decoder interface{ DecodeValue(v any) error }

// An Encoder returns its plain value, the inverse of Decoder.
type Encoder interface{ EncodeValue() any }

// Decode stores a coerced value in the Go value that into points to, by the field names of
// FromGo. Fields that the value lacks are zeroed, entries that the Go type lacks are ignored,
// and fields of type any hold the value itself. An error names the path.
func Decode(v any, into any) error {
	dst := reflect.ValueOf(into)
	if dst.Kind() != reflect.Pointer || dst.IsNil() {
		return fmt.Errorf("decode into %T: not a pointer", into)
	}
	return codecOf(dst.Type().Elem()).decode(dst.Elem(), v)
}

// Encode converts a Go value to plain values; the inverse of Decode. Nil pointers and empty
// fields with omitempty are left out; a nil slice or map is an empty one. What has no plain
// value becomes nil.
func Encode(v any) any {
	if _, number := v.(json.Number); !number {
		if out, changed := toPlain(v); changed {
			return out
		}
	}
	var c coercer
	out, _ := c.any(v)
	return out
}

// toPlain encodes Go values that are not plain. changed is false for plain values and for
// those that have no plain form.
func toPlain(v any) (out any, changed bool) {
	switch v.(type) {
	case nil, string, bool, int64, float64, time.Time, time.Duration, []any, map[string]any, Unknown:
		return v, false
	}
	p := codecOf(reflect.TypeOf(v))
	if p.encode == nil {
		return v, false
	}
	return p.encode(reflect.ValueOf(v)), true
}

// A codec decodes and encodes values of one Go type.
type codec struct {
	decode func(dst reflect.Value, v any) error
	encode func(v reflect.Value) any // nil: there is no plain form
}

// codecs caches the codec of each Go type.
var codecs sync.Map // reflect.Type to *codec

func codecOf(t reflect.Type) *codec {
	if p, ok := codecs.Load(t); ok {
		return p.(*codec)
	}
	p, _ := codecs.LoadOrStore(t, newCodec(t))
	return p.(*codec)
}

// A pathError is an error inside a value; each container prepends its step to the path.
type pathError struct {
	path Path
	err  error
}

func (e *pathError) Error() string { return Violation{Path: e.path, Message: e.err.Error()}.Error() }
func (e *pathError) Unwrap() error { return e.err }

func atStep(step any, err error) error {
	var e *pathError
	if errors.As(err, &e) {
		e.path = append(Path{step}, e.path...)
		return err
	}
	return &pathError{Path{step}, err}
}

// mismatch is the error for a value of another type.
func mismatch(want string, v any) error {
	return fmt.Errorf("expected %s, got %s", want, valueName(v))
}

var (
	decoderType = reflect.TypeFor[Decoder]()
	encoderType = reflect.TypeFor[Encoder]()
)

func newCodec(t reflect.Type) *codec {
	p := kindCodec(t)
	if reflect.PointerTo(t).Implements(decoderType) {
		p.decode = func(dst reflect.Value, v any) error { return dst.Addr().Interface().(Decoder).DecodeValue(v) }
	}
	if t.Implements(encoderType) {
		p.encode = func(v reflect.Value) any {
			if v.Kind() == reflect.Pointer && v.IsNil() {
				return nil
			}
			return Encode(v.Interface().(Encoder).EncodeValue())
		}
	}
	return p
}

func kindCodec(t reflect.Type) *codec {
	switch {
	case t == timeType:
		return timeCodec(TimestampType)
	case t == durationType:
		return timeCodec(DurationType)
	}
	switch t.Kind() {
	case reflect.String:
		return scalarCodec("string", reflect.Value.SetString, reflect.Value.String)
	case reflect.Bool:
		return scalarCodec("boolean", reflect.Value.SetBool, reflect.Value.Bool)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &codec{
			decode: func(dst reflect.Value, v any) error {
				i, err := asInt(v)
				if err != nil {
					return err
				}
				if dst.OverflowInt(i) {
					return fmt.Errorf("%d is too large here", i)
				}
				dst.SetInt(i)
				return nil
			},
			encode: func(v reflect.Value) any { return v.Int() },
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return &codec{
			decode: func(dst reflect.Value, v any) error {
				i, err := asInt(v)
				if err != nil {
					return err
				}
				if i < 0 || dst.OverflowUint(uint64(i)) {
					return fmt.Errorf("%d is out of range here", i)
				}
				dst.SetUint(uint64(i))
				return nil
			},
			encode: func(v reflect.Value) any {
				if u := v.Uint(); u > math.MaxInt64 {
					return float64(u)
				}
				return int64(v.Uint())
			},
		}
	case reflect.Float32, reflect.Float64:
		return &codec{
			decode: func(dst reflect.Value, v any) error {
				f, ok := asFloat(v)
				if !ok {
					return mismatch("number", v)
				}
				dst.SetFloat(f)
				return nil
			},
			encode: func(v reflect.Value) any { return v.Float() },
		}
	case reflect.Interface:
		return interfaceCodec(t)
	case reflect.Pointer:
		return pointerCodec(t)
	case reflect.Slice, reflect.Array:
		return listCodec(t)
	case reflect.Map:
		return mapCodec(t)
	case reflect.Struct:
		return structCodec(t)
	}
	return &codec{decode: func(reflect.Value, any) error { return fmt.Errorf("a Go %s cannot be decoded", t) }}
}

func scalarCodec[T any](name string, set func(reflect.Value, T), get func(reflect.Value) T) *codec {
	return &codec{
		decode: func(dst reflect.Value, v any) error {
			x, ok := v.(T)
			if !ok {
				return mismatch(name, v)
			}
			set(dst, x)
			return nil
		},
		encode: func(v reflect.Value) any { return get(v) },
	}
}

func asInt(v any) (int64, error) {
	if i, ok := v.(int64); ok {
		return i, nil
	}
	out, found := IntType.Coerce(v)
	i, ok := out.(int64)
	if !ok {
		return 0, cmp.Or(found.Err(), mismatch("integer", v))
	}
	return i, nil
}

// timeCodec is the codec of time.Time and time.Duration.
func timeCodec(t *Type) *codec {
	return &codec{
		decode: func(dst reflect.Value, v any) error {
			out, found := t.Coerce(v)
			if err := found.Err(); err != nil {
				return err
			}
			at := reflect.ValueOf(out)
			if !at.Type().AssignableTo(dst.Type()) {
				return mismatch(t.Name(), v)
			}
			dst.Set(at)
			return nil
		},
		encode: func(v reflect.Value) any { return v.Interface() },
	}
}
