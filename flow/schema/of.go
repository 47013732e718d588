package schema

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Typed Go type provides its own schema instead of one derived from its declaration. The
// method must work on the zero value.
type Typed interface{ SchemaType() *Type }

// Of returns the type of a Go type, see FromGo. It panics if FromGo returns an error, which is
// a mistake in the Go code.
func Of[T any]() *Type {
	t, err := FromGo(reflect.TypeFor[T]())
	if err != nil {
		panic("schema: " + err.Error())
	}
	return t
}

// FromGo returns the type of a Go type. Structs are closed objects of their exported
// fields, embedded ones flattened; time.Time, time.Duration and any are Timestamp,
// Duration and Any; maps have text keys; pointers are what they point to; a Typed
// type is what it says. Interfaces, functions, channels and recursive types are errors.
//
// Fields are described by tags: json:"name" as for encoding/json, doc:"…", and
// schema:"…" with, separated by commas,
//
//	required, sensitive, open, foldcase, type=any
//	always          an output that is there whatever happened
//	plain           of outputs of type any, see Field.Plain
//	format=e164     also email, uri, uuid
//	enum=a|b|c
//	default=…       as on a command line, see FromText
//	minLength=1, maxLength=10, minimum=0, maximum=9.5, minItems=1, maxItems=3
//	pattern=…       last, because it may hold commas
//
// On lists and maps, what concerns texts and numbers is about their elements.
func FromGo(t reflect.Type) (*Type, error) {
	if t == nil {
		return AnyType, nil
	}
	return (&goTypes{done: map[reflect.Type]*Type{}}).of(t)
}

// goTypes caches types, so that equal Go types share one.
type goTypes struct {
	done map[reflect.Type]*Type // nil while a type is being built
}

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	typedType    = reflect.TypeFor[Typed]()
)

func (g *goTypes) of(t reflect.Type) (*Type, error) {
	switch {
	case t == timeType:
		return TimestampType, nil
	case t == durationType:
		return DurationType, nil
	case t.Kind() == reflect.Pointer:
		return g.of(t.Elem())
	case t.Implements(typedType) && t.Kind() != reflect.Interface:
		if typ := reflect.Zero(t).Interface().(Typed).SchemaType(); typ != nil {
			return typ, nil
		}
		return nil, fmt.Errorf("%s: SchemaType returns nil", t)
	}
	switch t.Kind() {
	case reflect.String:
		return StringType, nil
	case reflect.Bool:
		return BoolType, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return IntType, nil
	case reflect.Float32, reflect.Float64:
		return NumberType, nil
	case reflect.Interface:
		if t.NumMethod() == 0 {
			return AnyType, nil
		}
	case reflect.Slice, reflect.Map, reflect.Struct:
		return g.container(t)
	}
	return nil, fmt.Errorf("%s has no schema", t)
}

func (g *goTypes) container(t reflect.Type) (*Type, error) {
	if typ, seen := g.done[t]; typ != nil {
		return typ, nil
	} else if seen {
		return nil, fmt.Errorf("%s contains itself, which schemas cannot describe", t)
	}
	g.done[t] = nil
	var typ *Type
	switch t.Kind() {
	case reflect.Struct:
		typ = &Type{Kind: Object}
		if err := g.fields(t, typ); err != nil {
			return nil, err
		}
	default:
		if t.Kind() == reflect.Map && t.Key().Kind() != reflect.String {
			return nil, fmt.Errorf("%s has no schema: its keys are no strings", t)
		}
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
			return nil, fmt.Errorf("%s has no schema: give bytes as text", t)
		}
		elem, err := g.of(t.Elem())
		if err != nil {
			return nil, err
		}
		typ = &Type{Kind: List, Elem: elem}
		if t.Kind() == reflect.Map {
			typ.Kind = Map
		}
	}
	g.done[t] = typ
	return typ, nil
}

func (g *goTypes) fields(t reflect.Type, object *Type) error {
	return eachField(t, nil, func(f reflect.StructField, name string, _ bool) error {
		fail := func(err error) error { return fmt.Errorf("%s.%s: %w", t, f.Name, err) }
		if object.Field(name) != nil {
			return fail(fmt.Errorf("a second field named %q", name))
		}
		tags := splitTag(f.Tag.Get("schema"))
		typ := AnyType
		if !slices.Contains(tags, "type=any") {
			var err error
			if typ, err = g.of(f.Type); err != nil {
				return fail(err)
			}
		}
		field := &Field{Name: name, Doc: f.Tag.Get("doc"), Type: typ}
		if err := field.describe(tags); err != nil {
			return fail(err)
		}
		object.Fields = append(object.Fields, field)
		return nil
	})
}

// eachField calls do for each field of a struct that is part of the object.
func eachField(t reflect.Type, index []int, do func(f reflect.StructField, name string, omitEmpty bool) error) error {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		f.Index = append(slices.Clone(index), i)
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct && !f.Type.Implements(typedType) && f.Type != timeType {
			if err := eachField(f.Type, f.Index, do); err != nil {
				return err
			}
			continue
		}
		if name == "-" || !f.IsExported() {
			continue
		}
		if f.Anonymous && name == "" {
			return fmt.Errorf("%s.%s: embed structs by value, or give them a name", t, f.Name)
		}
		if name == "" {
			name = f.Name
		}
		omitEmpty := slices.ContainsFunc(strings.Split(options, ","), func(o string) bool { return o == "omitempty" || o == "omitzero" })
		if err := do(f, name, omitEmpty); err != nil {
			return err
		}
	}
	return nil
}

// splitTag splits at commas, but not within a pattern.
func splitTag(tag string) []string {
	var parts []string
	for tag != "" && !strings.HasPrefix(tag, "pattern=") {
		part, rest, _ := strings.Cut(tag, ",")
		parts, tag = append(parts, strings.TrimSpace(part)), strings.TrimSpace(rest)
	}
	if tag != "" {
		parts = append(parts, tag)
	}
	return parts
}

// describe applies the parts of a schema tag to the field.
func (f *Field) describe(tags []string) error {
	var initial *string
	for _, tag := range tags {
		key, value, _ := strings.Cut(tag, "=")
		switch key {
		case "required":
			f.Required = true
		case "always":
			f.Always = true
		case "plain":
			if f.Type.Kind != Any {
				return errors.New("schema tag plain: the field is not of type any")
			}
			f.Plain = true
		case "type":
			if value != "any" {
				return fmt.Errorf("schema tag %q: only type=any is known", tag)
			}
		case "default":
			initial = &value
		default:
			if err := f.constrain(key, value); err != nil {
				return fmt.Errorf("schema tag %q: %w", tag, err)
			}
		}
	}
	if initial == nil {
		return nil
	}
	var err error
	if f.Default, err = f.Type.FromText(*initial); err != nil {
		return fmt.Errorf("default: %w", err)
	}
	return nil
}

// constrain gives the field its own copy of its type, with one more constraint.
func (f *Field) constrain(key, value string) (err error) {
	typ := *f.Type
	f.Type = &typ
	switch key {
	case "sensitive":
		typ.Sensitive = true
		return nil
	case "open":
		typ.Open = true
		return typ.requireKind(Object, Map)
	case "minItems":
		typ.MinItems, err = strconv.Atoi(value)
		return cmp.Or(err, typ.requireKind(List, Map))
	case "maxItems":
		typ.MaxItems, err = strconv.Atoi(value)
		return cmp.Or(err, typ.requireKind(List, Map))
	}
	of := &typ
	for of.Kind == List || of.Kind == Map {
		elem := *of.elem()
		of.Elem = &elem
		of = &elem
	}
	switch key {
	case "foldcase":
		of.FoldCase = true
		return of.requireKind(String)
	case "format":
		of.Format = value
		if !slices.Contains(formats[:], value) {
			return fmt.Errorf("the formats are %s", strings.Join(formats[:], ", "))
		}
		return of.requireKind(String)
	case "pattern":
		of.Pattern = value
		_, err = compilePattern(value)
		return cmp.Or(err, of.requireKind(String))
	case "minLength":
		of.MinLength, err = strconv.Atoi(value)
		return cmp.Or(err, of.requireKind(String))
	case "maxLength":
		of.MaxLength, err = strconv.Atoi(value)
		return cmp.Or(err, of.requireKind(String))
	case "minimum":
		of.Minimum, err = parseBound(value)
		return cmp.Or(err, of.requireKind(Int, Number))
	case "maximum":
		of.Maximum, err = parseBound(value)
		return cmp.Or(err, of.requireKind(Int, Number))
	case "enum":
		for text := range strings.SplitSeq(value, "|") {
			allowed, err := parseScalar(of, text)
			if err != nil {
				return err
			}
			of.Enum = append(of.Enum, allowed)
		}
		return of.requireKind(String, Int, Number, Bool)
	}
	return fmt.Errorf("no such key")
}

func (t *Type) requireKind(kinds ...Kind) error {
	if !slices.Contains(kinds, t.Kind) {
		return fmt.Errorf("not on a value of type %s", t.Name())
	}
	return nil
}

func parseBound(s string) (*float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	return &f, err
}
