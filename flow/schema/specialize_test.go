package schema_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Specialize gives the same results as Coerce, whatever the unknown parts become.
func TestSpecialize(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	parts := []any{
		nil, "", "text", "TEXT", "location", "+33612345678", "90s", strings.Repeat("é", 20), "1234", int64(0), int64(7), 7.0, 0.5, true, time.Second,
		[]any{}, []any{"a", "b"}, []any{"A"}, map[string]any{}, map[string]any{"body": "salut"}, map[string]any{"latitude": int64(4)}, map[string]any{"name": "x"},
	}
	var hidden, replaced float64
	// change gives two copies of a value, in which the same parts are unknown and something else.
	var change func(v any) (known, later any)
	change = func(v any) (known, later any) {
		switch {
		case random.Float64() < hidden && random.Float64() < replaced:
			return schema.Unknown{Type: schema.AnyType}, parts[random.IntN(len(parts))]
		case random.Float64() < hidden:
			return schema.Unknown{Type: schema.AnyType}, v
		}
		switch v := v.(type) {
		case map[string]any:
			one, other := map[string]any{}, map[string]any{}
			for _, name := range slices.Sorted(maps.Keys(v)) {
				one[name], other[name] = change(v[name])
			}
			return one, other
		case []any:
			one, other := make([]any, len(v)), make([]any, len(v))
			for i := range v {
				one[i], other[i] = change(v[i])
			}
			return one, other
		}
		return v, v
	}
	right := 0
	for _, whole := range []map[string]any{
		with(), with("kind", "location", "content", map[string]any{"latitude": int64(48)}),
		with("id", 7.0, "ratio", 0.5, "at", "2030-01-31T09:00:00Z", "wait", "2m", "urgent", true, "code", "1234", "page", "https://x.test",
			"tags", []any{"a", "b"}, "labels", map[string]any{"x": "y"}, "extra", map[string]any{"list": []any{1, "a"}},
			"nested", []any{map[string]any{"name": "a"}, map[string]any{"name": "b"}}),
	} {
		v, found := messageType.Coerce(whole)
		require.Empty(t, found)
		for n := range 20000 {
			hidden, replaced = float64(1+n%5)/12, float64(n%3)/2
			known, later := change(v)
			coerced, found := messageType.Coerce(known)
			if found.Err() != nil {
				continue
			}
			want, wrong := messageType.Coerce(later)
			got, said := messageType.Specialize(coerced)(later)
			require.Equal(t, wrong, said, "%v of %v", later, known)
			if wrong.Err() == nil {
				require.Equal(t, want, got, "%v of %v", later, known)
				right++
			}
		}
	}
	assert.Greater(t, right, 20000)

	// It does not matter where somebody is wrong about what is known.
	got, found := messageType.Specialize(map[string]any{"nested": []any{map[string]any{"name": schema.Unknown{}}}})(with("nested", []any{}))
	require.NoError(t, found.Err())
	assert.Equal(t, []any{}, got.(map[string]any)["nested"])
}
