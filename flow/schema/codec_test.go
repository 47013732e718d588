package schema_test

import (
	"encoding/json"
	"testing"
	"time"

	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type base struct {
	To string `json:"to" schema:"required"`
}

type everything struct {
	base
	Text   string         `json:"text"`
	Named  label          `json:"named,omitempty"`
	N      int            `json:"n"`
	Small  int8           `json:"small,omitempty"`
	U      uint16         `json:"u,omitempty"`
	F      float32        `json:"f,omitempty"`
	On     bool           `json:"on"`
	Opt    *string        `json:"opt"`
	At     time.Time      `json:"at,omitempty"`
	Wait   time.Duration  `json:"wait"`
	List   []string       `json:"list"`
	Deep   [][]int        `json:"deep,omitempty"`
	Map    map[label]int  `json:"map,omitempty"`
	Free   map[string]any `json:"free,omitempty"`
	Any    any            `json:"any"`
	Inner  nested         `json:"inner"`
	Ptr    *nested        `json:"ptr"`
	Many   []nested       `json:"many,omitempty"`
	Custom content        `json:"custom"`
	Skip   string         `json:"-"`
	Plain  string
}

type label string

func fullValue() (everything, map[string]any) {
	at := time.Date(2030, 1, 31, 9, 0, 0, 0, time.UTC)
	opt := ""
	return everything{
			base: base{"you"}, Text: "salut", Named: "l", N: 7, Small: -3, U: 9, F: 0.5, On: true, Opt: &opt, At: at,
			Wait: time.Minute, List: []string{"a", "b"}, Deep: [][]int{{1}, {2, 3}}, Map: map[label]int{"k": 1},
			Free: map[string]any{"x": []any{nil}}, Any: []any{int64(1), "x"}, Inner: nested{"in"}, Ptr: &nested{"ptr"},
			Many: []nested{{"one"}}, Custom: content{map[string]any{"body": "x"}}, Plain: "p",
		}, map[string]any{
			"to": "you", "text": "salut", "named": "l", "n": int64(7), "small": int64(-3), "u": int64(9), "f": 0.5, "on": true,
			"opt": "", "at": at, "wait": time.Minute, "list": []any{"a", "b"}, "deep": []any{[]any{int64(1)}, []any{int64(2), int64(3)}},
			"map": map[string]any{"k": int64(1)}, "free": map[string]any{"x": []any{nil}}, "any": []any{int64(1), "x"},
			"inner": map[string]any{"name": "in"}, "ptr": map[string]any{"name": "ptr"}, "many": []any{map[string]any{"name": "one"}},
			"custom": map[string]any{"body": "x"}, "Plain": "p",
		}
}

func TestDecodeAndEncode(t *testing.T) {
	typed, plain := fullValue()
	assert.Equal(t, plain, schema.Encode(typed))
	assert.Equal(t, plain, schema.Encode(&typed))
	got := everything{Skip: "kept", Text: "overwritten"}
	require.NoError(t, schema.Decode(plain, &got))
	typed.Skip = "kept"
	assert.Equal(t, typed, got)

	coerced, found := schema.Of[everything]().Coerce(plain)
	require.NoError(t, found.Err())
	assert.Equal(t, plain, coerced)

	require.NoError(t, schema.Decode(map[string]any{"unknown": 1}, &got))
	assert.Equal(t, everything{Skip: "kept"}, got)
}

func TestEncodeLeavesOutWhatIsEmpty(t *testing.T) {
	assert.Equal(t, map[string]any{
		"to": "", "text": "", "n": int64(0), "on": false, "wait": time.Duration(0), "list": []any{}, "any": nil,
		"inner": map[string]any{"name": ""}, "custom": map[string]any(nil), "Plain": "",
	}, schema.Encode(everything{}))
	assert.Nil(t, schema.Encode(nil))
	assert.Nil(t, schema.Encode((*everything)(nil)))
	assert.Nil(t, schema.Encode(func() {}))
	assert.Equal(t, []any{int64(1), 1.5, map[string]any{}}, schema.Encode([]any{1, json.Number("1.5"), map[string]int{}}))
	assert.Equal(t, 1e19, schema.Encode(uint64(1e19)))
}

func TestDecodeErrors(t *testing.T) {
	for _, tt := range []struct {
		in   any
		want string
	}{
		{"x", "expected object, got string"},
		{map[string]any{"n": "x"}, "n: expected integer, got string"},
		{map[string]any{"small": int64(300)}, "small: 300 is too large here"},
		{map[string]any{"u": int64(-1)}, "u: -1 is out of range here"},
		{map[string]any{"deep": []any{[]any{int64(1), "x"}}}, "deep[0][1]: expected integer, got string"},
		{map[string]any{"inner": map[string]any{"name": nil}}, "inner.name: expected string, got null"},
		{map[string]any{"ptr": map[string]any{"name": 1}}, "ptr.name: expected string, got a Go int"},
		{map[string]any{"map": map[string]any{"k": true}}, "map.k: expected integer, got boolean"},
		{map[string]any{"text": schema.Unknown{}}, "text: expected string, got a value not known yet"},
		{map[string]any{"at": "noon"}, `at: "noon" is not a timestamp`},
		{map[string]any{"wait": schema.Unknown{}}, "wait: expected duration, got a value not known yet"},
	} {
		assert.EqualError(t, schema.Decode(tt.in, new(everything)), tt.want)
	}
	assert.EqualError(t, schema.Decode(nil, everything{}), "decode into schema_test.everything: not a pointer")
	assert.EqualError(t, schema.Decode(nil, nil), "decode into <nil>: not a pointer")
	assert.EqualError(t, schema.Decode("x", new(func())), "a Go func() cannot be decoded")
}

func TestJSON(t *testing.T) {
	in := map[string]any{"at": time.Date(2030, 1, 31, 9, 0, 0, 5000, time.UTC), "in": []any{90 * time.Second, "x"}}
	assert.Equal(t, map[string]any{"at": "2030-01-31T09:00:00.000005Z", "in": []any{"1m30s", "x"}}, schema.JSON(in))
	assert.Equal(t, 90*time.Second, in["in"].([]any)[0])
}

// sample is about the size of an action's inputs.
type sample struct {
	Sender    string         `json:"sender,omitempty"`
	Recipient string         `json:"recipient"`
	Kind      string         `json:"kind"`
	Message   map[string]any `json:"message"`
	ReplyTo   string         `json:"reply_to,omitempty"`
	Attempts  int            `json:"attempts,omitempty"`
	Timeout   time.Duration  `json:"timeout,omitempty"`
	Extra     any            `json:"extra,omitempty"`
}

func BenchmarkCodec(b *testing.B) {
	in := sample{"1", "+33612345678", "text", map[string]any{"body": "salut", "preview": true}, "wamid.x", 3, time.Second, []any{int64(1), map[string]any{"a": "b"}}}
	plain := schema.Encode(in)
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var out sample
			if err := schema.Decode(plain, &out); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			schema.Encode(&in)
		}
	})
}
