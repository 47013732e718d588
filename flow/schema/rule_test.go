package schema_test

import (
	"testing"

	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
)

// Violations of a limit with a rule have the id of the rule.
func TestLimitsOfRules(t *testing.T) {
	most := 3.0
	for _, tt := range []struct {
		typ  *schema.Type
		in   any
		want string // rule and hint
	}{
		{&schema.Type{Kind: schema.String, MaxLength: 3, Rule: "title"}, "abcd", "title "},
		{&schema.Type{Kind: schema.String, MinLength: 1, Rule: "title", Hint: "write one"}, "", "title write one"},
		{&schema.Type{Kind: schema.String, Pattern: "^a", Rule: "title", Hint: "begin with a"}, "b", "title begin with a"},
		{&schema.Type{Kind: schema.String, Enum: []any{"list", "button"}, Rule: "kind", Hint: "no"}, "lits", `kind did you mean "list"? allowed: button, list`},
		{&schema.Type{Kind: schema.Int, Maximum: &most, Rule: "count"}, 4, "count "},
		{&schema.Type{Kind: schema.List, MaxItems: 1, Rule: "count"}, []any{1, 2}, "count "},
		{&schema.Type{Kind: schema.String, MaxLength: 3, Rule: "title"}, "🙂🙂", "utf16-length some emoji count twice there; shorten the text to be sure"},
		{&schema.Type{Kind: schema.String, MaxLength: 3, Rule: "title"}, 7, `type put it in quotes: "7"`},
		{&schema.Type{Kind: schema.String, MaxLength: 3, Rule: "title"}, schema.Unknown{FixedParts: []string{"ab", "cd"}}, "title "},
		{&schema.Type{Kind: schema.String, MaxLength: 3, Rule: "title"}, schema.Unknown{Alternatives: []string{"abc", "abcd"}}, "title "},
		{&schema.Type{Kind: schema.List, MaxItems: 1, Rule: "count"}, []any{1, schema.Unknown{}}, "count "},
	} {
		_, found := tt.typ.Coerce(tt.in)
		if assert.Len(t, found, 1, tt.want) {
			assert.Equal(t, tt.want, found[0].Rule+" "+found[0].Hint)
		}
	}
}

// A value with unknown parts is only checked as far as its known parts allow.
func TestLimitsOfUnknownValues(t *testing.T) {
	short := &schema.Type{Kind: schema.String, MinLength: 2, MaxLength: 3}
	one := &schema.Type{Kind: schema.List, MaxItems: 1}
	for _, tt := range []struct {
		typ *schema.Type
		in  any
	}{
		{short, schema.Unknown{}},
		{short, schema.Unknown{FixedParts: []string{"a", ""}}},
		{short, schema.Unknown{FixedParts: []string{"ab", "c"}}},
		{short, schema.Unknown{Alternatives: []string{"ab", "abc"}}},
		{one, schema.Unknown{Alternatives: []string{"abcd"}}},
		{one, []any{1, schema.Unknown{Optional: true}}},
	} {
		_, found := tt.typ.Coerce(tt.in)
		assert.Empty(t, found, "%v", tt.in)
	}
	_, found := short.Coerce(schema.Unknown{FixedParts: []string{"ab", "cd"}})
	assert.EqualError(t, found, "has 4 characters even without its expressions, at most 3 are allowed")
	_, found = short.Coerce(schema.Unknown{Alternatives: []string{"ab", "abcd"}})
	assert.EqualError(t, found, `"abcd" has 4 characters, at most 3 are allowed`)
	_, found = (&schema.Type{Kind: schema.String, Enum: []any{"a"}}).Coerce(schema.Unknown{Alternatives: []string{"a", "b"}})
	assert.EqualError(t, found, `"b" is not one of the allowed values`)
}

// A recognised mistake replaces the type's own violations.
func TestMistakes(t *testing.T) {
	typ := &schema.Type{Kind: schema.Object, Fields: []*schema.Field{{Name: "body", Type: schema.StringType, Required: true}},
		DetectMistake: func(v any) schema.Violations {
			object, _ := v.(map[string]any)
			if _, ok := object["to"]; ok {
				return schema.Violations{{Rule: "whole", Message: "this is the whole"}}
			}
			if _, ok := object["old"]; ok {
				return schema.Violations{{Path: schema.Path{"old"}, Rule: "gone", OnKey: true, Message: "this is gone"}}
			}
			return nil
		}}
	for _, tt := range []struct {
		in   any
		want []string
	}{
		{map[string]any{"body": "x"}, nil},
		{map[string]any{"to": "x", "unknown": 1}, []string{" whole"}},
		{map[string]any{"body": "x", "old": 1}, []string{"old gone"}},
		{map[string]any{"old": 1}, []string{" required", "old gone"}},
	} {
		_, found := typ.Coerce(tt.in)
		var got []string
		for _, v := range found {
			got = append(got, v.Path.String()+" "+v.Rule)
		}
		assert.Equal(t, tt.want, got)
	}
}

func TestAnyCase(t *testing.T) {
	for _, tt := range []struct {
		typ  *schema.Type
		want any
	}{
		{&schema.Type{Kind: schema.String, Enum: []any{"list"}, AnyCase: true}, "LIST"},
		{&schema.Type{Kind: schema.String, Enum: []any{"list"}, FoldCase: true}, "list"},
	} {
		got, found := tt.typ.Coerce("LIST")
		assert.Empty(t, found)
		assert.Equal(t, tt.want, got)
	}
}
