package schema_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAppendJSON(t *testing.T) {
	text := func(v any) string {
		b, err := schema.AppendJSON(nil, v)
		require.NoError(t, err)
		return string(b)
	}
	for _, v := range []any{
		nil, true, "", "plain", "n° 7 \"quoted\" \\ \n\t\x00 é 👍 \u2028 <b>", int64(math.MinInt64), 0.1, 1e300, -1e-300, 3.0, math.Copysign(0, -1),
		[]any{}, []any{int64(1), "a", nil}, map[string]any{}, map[string]any{"b": int64(2), "a": []any{map[string]any{"é": false}}},
	} {
		got := text(v)
		want, err := json.Marshal(v)
		require.NoError(t, err)
		assert.JSONEq(t, string(want), got, "%#v", v)
		unsorted, err := schema.AppendUnsorted(nil, v)
		require.NoError(t, err)
		assert.JSONEq(t, string(want), string(unsorted), "%#v", v)
	}
	assert.Equal(t, `["2026-01-01T00:00:00Z","1m30s"]`, text([]any{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), 90 * time.Second}))
	assert.Equal(t, `{"a":1,"b":2,"c":3}`, text(map[string]any{"c": int64(3), "a": int64(1), "b": int64(2)}))
	_, err := schema.AppendJSON(nil, math.NaN())
	require.Error(t, err, "JSON has no such number")
	assert.True(t, json.Valid([]byte(text("not \xff UTF-8"))))
}

func FuzzAppendText(f *testing.F) {
	for c := range 256 {
		for _, before := range []string{"", "seven..", "eight...", "eight...seven.."} {
			f.Add(before + string([]byte{byte(c)}) + "after")
		}
	}
	f.Add("é 👍 \xe2\x82")
	f.Fuzz(func(t *testing.T, text string) {
		var got string
		require.NoError(t, json.Unmarshal(schema.AppendText(nil, text), &got))
		assert.Equal(t, string([]rune(text)), got, "what is not UTF-8 becomes U+FFFD, byte by byte")
	})
}

func BenchmarkAppendJSON(b *testing.B) {
	v := map[string]any{"status_code": int64(200), "success": true, "message_id": "wamid.1", "body": map[string]any{"messages": []any{map[string]any{"id": "wamid.1"}}}}
	b.ReportAllocs()
	var room []byte
	for b.Loop() {
		room, _ = schema.AppendJSON(room[:0], v)
	}
}
