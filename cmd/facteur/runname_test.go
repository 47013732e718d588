package main

import (
	"context"
	"testing"
	"time"

	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pages are runs that are listed one at a time.
type pages []string

func (p pages) Runs(_ context.Context, q server.Query) (*server.RunList, error) {
	at := 0
	if q.Cursor != "" {
		at = int(q.Cursor[0])
	}
	list := &server.RunList{}
	if at < len(p) {
		list.Runs = []server.Run{{RunID: p[at], Flow: "welcome"}}
	}
	if at+1 < len(p) {
		list.Next = string(rune(at + 1))
	}
	return list, nil
}

func (p pages) Run(context.Context, string, time.Duration) (*server.Detail, error) { return nil, nil }

func TestFindRun(t *testing.T) {
	runs := pages{"0ptrsq2eucaaaaaaaaaaabc123", "0ptrsq2eubbbbbbbbbbbbdef456", "short-id"}
	for _, tt := range []struct{ name, want, err string }{
		{"last", runs[0], ""},
		{"0ptrsq2euc", runs[0], ""},
		{"def456", runs[1], ""},
		{runs[1], runs[1], ""},
		{"short-id", "short-id", ""},
		{"f456", "f456", ""},       // too short
		{"nothing", "nothing", ""}, // the daemon says so
		{"0ptrsq", "", "0ptrsq can be any of 0ptrsq2eucaaaaaaaaaaabc123 (welcome), 0ptrsq2eubbbbbbbbbbbbdef456 (welcome)"},
	} {
		got, err := findRun(t.Context(), runs, tt.name)
		assert.Equal(t, tt.want, got, tt.name)
		if tt.err != "" {
			assert.ErrorContains(t, err, tt.err)
			continue
		}
		require.NoError(t, err)
	}
	_, err := findRun(t.Context(), pages{}, "last")
	assert.ErrorContains(t, err, "there are no runs yet")
	_, err = changing(t.Context(), nil, "last")
	assert.ErrorContains(t, err, `"last" names a run to look at, not one to change`)
}
