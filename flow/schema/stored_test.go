package schema_test

import (
	"math"
	"testing"
	"time"

	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStored(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.FixedZone("here", 3600))
	for _, c := range []struct{ in, want any }{
		{3.0, int64(3)},
		{2.5, 2.5},
		{1e300, 1e300},
		{at, "2026-01-02T03:04:05.000000678+01:00"},
		{90 * time.Minute, "1h30m"},
		{"é\xff\xfe", "é\uFFFD\uFFFD"},
		{schema.Unknown{}, nil},
		{[]string{"a", "\xff"}, []any{"a", "\uFFFD"}},
		{map[string]any{"\xff": 1.0, "list": []any{at, 2.0}}, map[string]any{"\uFFFD": int64(1), "list": []any{"2026-01-02T03:04:05.000000678+01:00", int64(2)}}},
	} {
		got, _ := schema.Stored(c.in)
		assert.Equal(t, c.want, got, "%#v", c.in)
	}
	plain := map[string]any{"a": "é", "b": []any{int64(1), 2.5, nil, true}}
	got, changed := schema.Stored(plain)
	assert.False(t, changed)
	assert.Equal(t, plain, got)
	_, changed = schema.Stored(math.NaN())
	assert.False(t, changed, "JSON has no such number: who stores it is told")
}

func TestCoerceStored(t *testing.T) {
	of := &schema.Type{Kind: schema.Object, Open: true, Fields: []*schema.Field{
		{Name: "at", Type: schema.TimestampType}, {Name: "long", Type: schema.DurationType},
		{Name: "share", Type: schema.NumberType}, {Name: "any", Type: schema.AnyType},
	}}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	in := map[string]any{"at": at, "long": time.Hour, "share": 3.0, "any": 3.0, "\xff": at}
	got, found := of.CoerceStored(in)
	require.NoError(t, found.Err())
	assert.Equal(t, map[string]any{"at": at, "long": time.Hour, "share": 3.0, "any": int64(3), "\uFFFD": "2026-01-02T03:04:05.000000678Z"}, got)
	assert.Contains(t, in, "\xff", "what is given is not changed")
	of.Fields[3].Plain = true
	got, _ = of.CoerceStored(map[string]any{"any": 3.0})
	assert.Equal(t, map[string]any{"any": 3.0}, got, "who gives it sees to it")
	_, found = of.CoerceStored(map[string]any{"at": "soon"})
	assert.Error(t, found.Err())
}
