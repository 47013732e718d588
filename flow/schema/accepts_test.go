package schema_test

import (
	"testing"
	"time"

	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
)

func TestAccepts(t *testing.T) {
	object := func(open bool, fields ...*schema.Field) *schema.Type {
		return &schema.Type{Kind: schema.Object, Open: open, Fields: fields}
	}
	name := &schema.Field{Name: "name", Type: schema.StringType, Required: true}
	nick := &schema.Field{Name: "nick", Type: schema.StringType}
	age := &schema.Field{Name: "age", Type: schema.IntType, Required: true}
	ageDefault := &schema.Field{Name: "age", Type: schema.IntType, Required: true, Default: int64(3)}
	union := content{}.SchemaType()
	list, mapOf := schema.ListOf, schema.MapOf
	for _, tt := range []struct {
		to, from *schema.Type
		why      string
	}{
		{schema.AnyType, object(false), ""},
		{schema.StringType, schema.AnyType, ""},
		{schema.StringType, nil, ""},
		{schema.StringType, &schema.Type{Kind: schema.String, Pattern: "x", Enum: []any{"y"}}, ""},
		{schema.NumberType, schema.IntType, ""},
		{schema.IntType, schema.NumberType, "expected integer, got number"},
		{schema.StringType, schema.IntType, "expected string, got integer"},
		{schema.StringType, schema.TimestampType, "expected string, got timestamp"},
		{schema.StringType, schema.DurationType, "expected string, got duration"},
		{schema.StringType, list(schema.StringType), "expected string, got list of string"},
		{schema.DurationType, schema.StringType, "expected duration, got string"},
		{schema.BoolType, schema.StringType, "expected boolean, got string"},
		{list(schema.NumberType), list(schema.IntType), ""},
		{list(schema.AnyType), list(schema.IntType), ""},
		{list(schema.IntType), list(schema.AnyType), ""},
		{list(schema.IntType), list(schema.StringType), "items: expected integer, got string"},
		{list(schema.IntType), schema.IntType, "expected list of integer, got integer"},
		{mapOf(schema.StringType), mapOf(schema.IntType), "values: expected string, got integer"},
		{mapOf(schema.StringType), object(false, name, nick), ""},
		{mapOf(schema.StringType), object(false, name, age), "age: expected string, got integer"},
		{mapOf(schema.StringType), schema.StringType, "expected map of string, got string"},
		{object(false, name, nick), object(false, name), ""},
		{object(false, name, ageDefault), object(false, name), ""},
		{object(false, name, age), object(false, name), `the object lacks the field "age"`},
		{object(false, name, age), object(true, name), ""},
		{object(false, name), object(false, name, nick), `no field "nick" is expected here`},
		{object(true, name), object(false, name, age), ""},
		{object(false, name), object(false, &schema.Field{Name: "name", Type: schema.BoolType}), "name: expected string, got boolean"},
		{object(false, name, nick), mapOf(schema.StringType), ""},
		{object(false, name), mapOf(schema.AnyType), ""},
		{object(false, name, age), mapOf(schema.StringType), "expected object with fields name, age, got map of string"},
		{object(false, nick), mapOf(schema.IntType), "expected object with fields nick, got map of integer"},
		{object(true, nick), mapOf(schema.IntType), ""},
		{object(false, name), schema.StringType, "expected object, got string"},
		{union, mapOf(schema.StringType), ""},
		{union, object(false), ""},
		{union, union, ""},
		{union, schema.StringType, "expected object, got string"},
		{object(false, name), union, ""},
		{schema.StringType, union, "expected string, got object"},
		{mapOf(schema.StringType), union, ""},
	} {
		ok, why := tt.to.Accepts(tt.from)
		assert.Equal(t, tt.why, why)
		assert.Equal(t, tt.why == "", ok)
	}
}

func TestInfer(t *testing.T) {
	field := func(name string, t *schema.Type) *schema.Field {
		return &schema.Field{Name: name, Type: t, Required: true}
	}
	mapOf := func(elem *schema.Type, fields ...*schema.Field) *schema.Type {
		return &schema.Type{Kind: schema.Map, Elem: elem, Fields: fields}
	}
	pattern := &schema.Type{Kind: schema.String, Pattern: "x"}
	secret := &schema.Type{Kind: schema.String, Sensitive: true}
	for _, tt := range []struct {
		in   any
		want *schema.Type
	}{
		{nil, schema.AnyType},
		{"x", schema.StringType},
		{7, schema.IntType},
		{time.Second, schema.DurationType},
		{time.Time{}, schema.TimestampType},
		{schema.Unknown{}, schema.AnyType},
		{schema.Unknown{Type: pattern}, pattern},
		{[]any{}, schema.ListOf(schema.AnyType)},
		{[]any{int64(1), 1.5}, schema.ListOf(schema.NumberType)},
		{[]any{int64(1), "x"}, schema.ListOf(schema.AnyType)},
		{[]any{"x", schema.Unknown{Type: pattern}}, schema.ListOf(schema.StringType)},
		{[]any{"x", schema.Unknown{Type: secret}}, schema.ListOf(secret)},
		{map[string]any{}, schema.MapOf(schema.AnyType)},
		{map[string]any{"a": "x", "b": "y"}, mapOf(schema.StringType, field("a", schema.StringType), field("b", schema.StringType))},
		{map[string]any{"a": []any{int64(1)}, "b": []any{1.5}},
			mapOf(schema.ListOf(schema.NumberType), field("a", schema.ListOf(schema.IntType)), field("b", schema.ListOf(schema.NumberType)))},
		{[]any{map[string]any{"a": "x"}, map[string]any{"b": "y"}}, schema.ListOf(schema.MapOf(schema.StringType))},
		{map[string]any{"b": "x", "a": true}, &schema.Type{Kind: schema.Object, Fields: []*schema.Field{field("a", schema.BoolType), field("b", schema.StringType)}}},
		{[]any{map[string]any{"a": int64(1), "b": "x"}, map[string]any{"a": 1.5, "b": "y"}},
			schema.ListOf(&schema.Type{Kind: schema.Object, Fields: []*schema.Field{field("a", schema.NumberType), field("b", schema.StringType)}})},
	} {
		got := schema.Infer(tt.in)
		assert.Equal(t, tt.want, got)
		_, found := got.Coerce(tt.in)
		assert.Empty(t, found)
	}
}

func TestName(t *testing.T) {
	for want, typ := range map[string]*schema.Type{
		"any": schema.AnyType, "list": schema.ListOf(schema.AnyType), "object": schema.Of[nested](),
		"map of list of integer": schema.MapOf(schema.ListOf(schema.IntType)),
	} {
		assert.Equal(t, want, typ.Name())
	}
}
