package schema_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadJSON(t *testing.T) {
	for text, want := range map[string]any{
		`null`: nil, ` true `: true, `false`: false, `0`: int64(0), `-0`: int64(0), `12`: int64(12), `-1.5e3`: int64(-1500), `1e0`: int64(1), `2.5`: 2.5,
		`9223372036854775807`: int64(9223372036854775807), `9223372036854775808`: 9223372036854775808.0,
		`"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é"`: "a\"\\/\b\f\n\r\té😀é",
		`[]`: []any{}, `{}`: map[string]any{}, "[1,\t[2]\r\n, {\"a\": {}}]": []any{int64(1), []any{int64(2)}, map[string]any{"a": map[string]any{}}},
	} {
		got, err := schema.ReadJSON([]byte(text))
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for text, want := range map[string]string{
		"":                       "line 1, column 1: the text ends where a value is expected",
		"{\"a\": 1,\n \"a\": 2}": `line 2, column 2: the name "a" appears twice in this object`,
		"[1":                     "line 1, column 3: the text ends where , or ] is expected",
		"[1 2]":                  `line 1, column 4: expected , or ], got "2"`,
		"[1,]":                   `line 1, column 4: expected a value, got "]"`,
		"{1: 2}":                 "line 1, column 2: expected a name in double quotes",
		`{"a" 1}`:                `line 1, column 6: expected : after the name "a"`,
		`{"a": 1`:                "line 1, column 8: the text ends where , or } is expected",
		"01":                     "line 1, column 2: unexpected text after the value",
		"-":                      "line 1, column 2: this is not a number",
		"1.":                     "line 1, column 3: this is not a number",
		"1e999":                  "line 1, column 6: the number is too large",
		"tru":                    `line 1, column 1: expected a value, got "t"`,
		"é":                      `line 1, column 1: expected a value, got "é"`,
		`["é", x]`:               `line 1, column 7: expected a value, got "x"`,
		`"a`:                     "line 1, column 3: the string is never closed",
		`"a\`:                    "line 1, column 3: the string is never closed",
		`"\x"`:                   `line 1, column 3: there is no escape \x`,
		`"\ud800"`:               `line 1, column 2: \ud800 is only half of a character`,
		`"\ude00\ud83d"`:         `line 1, column 2: \ude00 is only half of a character`,
		`"\u12`:                  `line 1, column 2: \u needs four hexadecimal digits`,
		"\"a\nb\"":               `line 1, column 3: a line break, tab or control character in a string must be written as \n, \t or \u000a`,
		"\"\\n\x01\"":            `line 1, column 4: a line break, tab or control character in a string must be written as \n, \t or \u0001`,
		"\"\xff\"":               "line 1, column 3: the text before this is not UTF-8",
		"\"\\n\xff\"":            "line 1, column 5: the text before this is not UTF-8",
	} {
		_, err := schema.ReadJSON([]byte(text))
		assert.EqualError(t, err, want, text)
	}
}

// FuzzReadJSON compares with encoding/json: accepted texts give the same value there, and
// refused ones are refused there too, or are ambiguous.
func FuzzReadJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,2.5,-3e2,null,true,false,"x\u00e9\n"],"b":{"c":{}}}`, `"\ud83d\ude00"`, `[[[[1]]]]`, `{"a":1,"a":2}`, `1e400`, "\"\xff\"",
		` [ ] `, `{"":""}`, `"\ud800x"`, `-`, `01`, `9223372036854775808`, strings.Repeat("[", 70) + strings.Repeat("]", 70),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := schema.ReadJSON(text)
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var theirs any
		theirErr := d.Decode(&theirs)
		if theirErr == nil && d.More() || theirErr == nil && !json.Valid(text) {
			theirErr = assert.AnError
		}
		if err == nil {
			require.NoError(t, theirErr)
			want, found := schema.AnyType.CoerceStored(theirs)
			require.NoError(t, found.Err())
			require.Equal(t, want, got)
			return
		}
		require.Regexp(t, `^line \d+, column \d+: `, err.Error())
		if theirErr == nil {
			require.Regexp(t, `appears twice|is only half of a character|not UTF-8|nested more than|too large`, err.Error())
		}
	})
}
