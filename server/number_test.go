package server_test

import (
	"encoding/json"
	"testing"

	"facteur/flow/host"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Numbers of people are hidden in what a run was given, however they are written; dates,
// orders and the ids of Meta are not.
func TestNumbersInInputs(t *testing.T) {
	for name, tt := range map[string]struct{ field, value, want string }{
		"a number":               {"customer", "+33612345678", "+*********78"},
		"with spaces":            {"customer", "+33 6 12 34 56 78", "+*********78"},
		"in a text":              {"note", "call +1 (425) 555-0123 or 0123", "call +*********23 or 0123"},
		"without a plus":         {"phone", "33612345678", "*********78"},
		"of a country":           {"phone", "06 12 34 56 78", "********78"},
		"a date":                 {"from", "2026-01-31", "2026-01-31"},
		"a time":                 {"to", "2026-01-31T08:00:00+01:00", "2026-01-31T08:00:00+01:00"},
		"an order":               {"order", "20260131001", "20260131001"},
		"a number at Meta":       {"sender_phone_id", "106540352242922", "106540352242922"},
		"digits in another word": {"id", "order+33", "order+33"},
	} {
		t.Run(name, func(t *testing.T) {
			d := server.View{}.Detail(&host.Report{Result: host.Result{Sensitive: []any{}}, Inputs: map[string]any{tt.field: tt.value}})
			text, err := json.Marshal(d.Inputs[tt.field])
			require.NoError(t, err)
			assert.Equal(t, `"`+tt.want+`"`, string(text))
			shown := server.View{Numbers: true}.Detail(&host.Report{Result: host.Result{Sensitive: []any{}}, Inputs: map[string]any{tt.field: tt.value}})
			assert.Equal(t, tt.value, shown.Inputs[tt.field])
		})
	}
}
