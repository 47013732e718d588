package actions_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"facteur/actions"
	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAppendJSON(t *testing.T) {
	b, err := schema.AppendJSON([]byte("x"), map[string]any{
		"b": []any{nil, true, int64(9007199254740993), 1.5, 1e21, 1e-7, "é\n\t\"\\\u2028<&>\xff"},
		"a": map[string]any{}, "at": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "for": 36 * time.Hour, "z": []string{"other"},
	})
	require.NoError(t, err)
	assert.Equal(t, "x"+`{"a":{},"at":"2026-01-02T03:04:05Z","b":[null,true,9007199254740993,1.5,1e+21,1e-07,"é\n\t\"\\`+"\u2028<&>\uFFFD"+`"],"for":"1d12h","z":["other"]}`, string(b))
	for _, f := range []float64{math.NaN(), math.Inf(1)} {
		_, err := schema.AppendJSON(nil, []any{f})
		assert.Error(t, err)
	}
}

func TestDecodeJSON(t *testing.T) {
	v, err := actions.DecodeJSON([]byte(`{"n": 9007199254740993, "f": 1.5, "list": [1, null]}`))
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"n": int64(9007199254740993), "f": 1.5, "list": []any{int64(1), nil}}, v)
	for text, want := range map[string]any{
		`{"a": 1, "a": 2}`: map[string]any{"a": int64(2)}, "[\"\xff\"]": []any{"\ufffd"}, `["\ud83d"]`: []any{"\ufffd"}, ` 1e3 `: int64(1000),
		strings.Repeat("[", 100) + strings.Repeat("]", 100): nil,
	} {
		got, err := actions.DecodeJSON([]byte(text))
		require.NoError(t, err, "servers are believed what encoding/json believes: %s", text)
		if want != nil {
			assert.Equal(t, want, got, text)
		}
	}
	for _, text := range []string{"", "{", "{} x", "<html>", "[1e999]"} {
		_, err := actions.DecodeJSON([]byte(text))
		assert.Error(t, err, text)
	}
}

// FuzzJSON: what is written is what encoding/json reads, and is written the same again.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{`{"a":[1,2.5,"x\u0000\ud800",null,true]}`, `"\u2028"`, `1e300`, `-0`, `{"":{"":""}}`, `[9223372036854775807]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := actions.DecodeJSON(text)
		if err != nil {
			return
		}
		_, changed := schema.Stored(v)
		require.False(t, changed, "outputs take it as it is")
		out, err := schema.AppendJSON(nil, v)
		require.NoError(t, err)
		require.True(t, json.Valid(out), "%s", out)
		again, err := actions.DecodeJSON(out)
		require.NoError(t, err)
		same, err := schema.AppendJSON(nil, again)
		require.NoError(t, err)
		assert.Equal(t, string(out), string(same))
	})
}
