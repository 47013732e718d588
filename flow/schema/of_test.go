package schema_test

import (
	"reflect"
	"testing"

	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOf(t *testing.T) {
	typ := schema.Of[*message]()
	assert.Equal(t, schema.Object, typ.Kind)
	assert.Equal(t, []string{"to", "kind", "content", "id", "ratio", "at", "wait", "urgent", "tags", "labels", "code", "extra", "page", "nested"}, typ.Names())
	assert.Equal(t, &schema.Field{Name: "to", Doc: "who gets it", Required: true, Type: &schema.Type{Kind: schema.String, Format: "e164"}}, typ.Field("to"))
	tags := typ.Field("tags").Type
	assert.Equal(t, &schema.Type{Kind: schema.List, MinItems: 1, MaxItems: 3, Elem: &schema.Type{Kind: schema.String, Pattern: "^[a-z]{1,3}$"}}, tags)
	assert.Equal(t, &schema.Type{Kind: schema.String, Enum: []any{"1234", "5678"}, Sensitive: true}, typ.Field("code").Type)
	assert.Equal(t, schema.Union, typ.Field("content").Type.Kind)
	assert.Same(t, schema.BoolType, typ.Field("urgent").Type)
	assert.Nil(t, typ.Field("nothing"))
	assert.Equal(t, &schema.Type{Kind: schema.String}, schema.StringType, "a shared type was changed")

	assert.Equal(t, "to", schema.Of[everything]().Fields[0].Name)
	two := schema.Of[struct {
		A, B nested
		C    any    `schema:"always"`
		D    nested `schema:"open"`
		E    nested `schema:"type=any"`
	}]()
	assert.Same(t, two.Fields[0].Type, two.Fields[1].Type)
	assert.True(t, two.Field("C").Always)
	assert.True(t, two.Field("D").Type.Open)
	assert.False(t, two.Field("A").Type.Open)
	assert.Same(t, schema.AnyType, two.Field("E").Type)
}

type tree struct {
	Children []tree `json:"children"`
}

type Embedded struct{ A string }

type mutual struct{ Other *struct{ Back []mutual } }

func TestFromGoErrors(t *testing.T) {
	for _, tt := range []struct {
		in   any
		want string
	}{
		{tree{}, "contains itself"},
		{mutual{}, "contains itself"},
		{struct{ F func() }{}, "func() has no schema"},
		{struct{ M map[int]string }{}, "its keys are no strings"},
		{struct{ B []byte }{}, "give bytes as text"},
		{struct{ E error }{}, "error has no schema"},
		{struct {
			X string
			Y string `json:"X"`
		}{}, `a second field named "X"`},
		{struct{ *Embedded }{}, "embed structs by value"},
		{struct {
			A string `schema:"requird"`
		}{}, `schema tag "requird": no such key`},
		{struct {
			A string `schema:"minimum=1"`
		}{}, "not on a value of type string"},
		{struct {
			A string `schema:"pattern=("`
		}{}, "missing closing )"},
		{struct {
			A string `schema:"format=e146"`
		}{}, "the formats are e164, email, uri, uuid"},
		{struct {
			A int `schema:"default=x"`
		}{}, `default: expected integer, got "x"`},
		{struct {
			A int `schema:"minimum=2,default=1"`
		}{}, "default: 1 is less than 2"},
		{struct {
			A int `schema:"enum=1|x"`
		}{}, `expected integer, got "x"`},
		{struct {
			A string `schema:"maxLength=x"`
		}{}, "invalid syntax"},
	} {
		_, err := schema.FromGo(reflect.TypeOf(tt.in))
		require.Error(t, err, "%T", tt.in)
		assert.Contains(t, err.Error(), tt.want)
	}
	assert.Panics(t, func() { schema.Of[chan int]() })

	// The codec needs no schema: it takes Go types that contain themselves.
	plain := map[string]any{"children": []any{map[string]any{"children": []any{}}}}
	var got tree
	require.NoError(t, schema.Decode(plain, &got))
	assert.Equal(t, plain, schema.Encode(got))
}
