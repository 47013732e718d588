package schema_test

import (
	"testing"

	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
)

func TestValue(t *testing.T) {
	root := schema.NewValue(map[string]any{
		"type": "template", "n": int64(3), "on": true,
		"components": []any{map[string]any{"parameters": []any{map[string]any{"text": "été"}}}},
	}, nil)
	text := root.Get("components").Index(0).Get("parameters").Items()[0].Get("text")
	s, ok := text.Text()
	assert.True(t, ok)
	assert.Equal(t, "été", s)
	assert.Equal(t, "components[0].parameters[0].text", text.Path().String())
	n, ok := text.Len()
	assert.True(t, ok)
	assert.Equal(t, 3, n)
	assert.Equal(t, []string{"components", "n", "on", "type"}, root.Keys())
	f, ok := root.Get("n").Number()
	assert.True(t, ok)
	assert.Equal(t, 3.0, f)
	on, ok := root.Get("on").Bool()
	assert.True(t, on && ok)

	for _, gone := range []schema.Value{root.Get("x"), root.Get("x", "y"), root.Get("components").Index(1), root.Get("type").Index(0), root.Get("components").Index(-1)} {
		assert.False(t, gone.Present(), gone.Path())
		assert.Nil(t, gone.Any())
		_, ok := gone.Text()
		assert.False(t, ok)
		_, ok = gone.Len()
		assert.False(t, ok)
		assert.Empty(t, gone.Items())
		assert.Empty(t, gone.Keys())
	}
	assert.Equal(t, "x.y", root.Get("x", "y").Path().String())
}

func TestTrackerIsMarkedByReadingOnly(t *testing.T) {
	value := map[string]any{"known": "x", "later": schema.Unknown{Type: schema.StringType}, "list": []any{schema.Unknown{}, "y"}}
	for name, tt := range map[string]struct {
		rule   func(schema.Value)
		marked bool
	}{
		"a known part":           {func(v schema.Value) { v.Get("known").Text() }, false},
		"an absent part":         {func(v schema.Value) { v.Get("absent").Text() }, false},
		"presence":               {func(v schema.Value) { v.Get("later").Present() }, false},
		"whether it is unknown":  {func(v schema.Value) { v.Get("later").IsUnknown() }, false},
		"the names around it":    {func(v schema.Value) { v.Keys() }, false},
		"the number of elements": {func(v schema.Value) { v.Get("list").Len() }, false},
		"its siblings":           {func(v schema.Value) { v.Get("list").Index(1).Text() }, false},
		"the text":               {func(v schema.Value) { v.Get("later").Text() }, true},
		"the length":             {func(v schema.Value) { v.Get("later").Len() }, true},
		"the value":              {func(v schema.Value) { v.Get("later").Any() }, true},
		"a field within":         {func(v schema.Value) { v.Get("later", "deeper").Present() }, true},
		"an element within":      {func(v schema.Value) { v.Get("later").Index(0) }, true},
		"an element of the list": {func(v schema.Value) { v.Get("list").Items()[0].Bool() }, true},
	} {
		var watch schema.Tracker
		tt.rule(schema.NewValue(value, &watch))
		assert.Equal(t, tt.marked, watch.ReadUnknown, name)
	}
}

func TestFixedParts(t *testing.T) {
	value := map[string]any{
		"text":  schema.Unknown{Type: schema.StringType, FixedParts: []string{"été ", "!"}},
		"maybe": schema.Unknown{Type: schema.StringType, Optional: true},
		"list":  []any{"a", schema.Unknown{}, schema.Unknown{Optional: true}},
		"known": "été",
	}
	for name, tt := range map[string]struct {
		least int
		fixed []string
		open  bool
	}{
		"text":   {5, []string{"été ", "!"}, true},
		"maybe":  {0, nil, true},
		"list":   {2, nil, true},
		"known":  {3, []string{"été"}, false},
		"absent": {0, nil, false},
	} {
		var watch schema.Tracker
		at := schema.NewValue(value, &watch).Get(name)
		assert.Equal(t, tt.least, at.MinLen(), name)
		assert.Equal(t, tt.fixed, at.FixedParts(), name)
		assert.Equal(t, schema.Tracker{ReadPartly: tt.open}, watch, name)
	}
	var watch schema.Tracker
	assert.True(t, schema.NewValue(value, &watch).Get("maybe").Present())
	assert.True(t, watch.ReadUnknown, "what may be none is not there for sure")
}
