package main

import (
	"context"
	"encoding/base32"
	"encoding/binary"
	"strconv"
	"strings"
	"testing"
	"time"

	"facteur/flow/host"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pagedRuns are runs listed in pages of one.
type pagedRuns []string

func (p pagedRuns) Runs(_ context.Context, q host.Filter) (*server.RunList, error) {
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

func (p pagedRuns) Run(context.Context, string, time.Duration) (*server.Detail, error) {
	return nil, nil
}

func TestFindRun(t *testing.T) {
	runs := pagedRuns{"0ptrsq2eucaaaaaaaaaaabc123", "0ptrsq2eubbbbbbbbbbbbdef456", "short-id"}
	for _, tt := range []struct{ name, want, err string }{
		{"last", runs[0], ""},
		{"0ptrsq2euc", runs[0], ""},
		{"def456", runs[1], ""},
		{runs[1], runs[1], ""},
		{"short-id", "short-id", ""},
		{"f456", "f456", ""},       // too short
		{"nothing", "nothing", ""}, // the daemon says so
		{"0ptrsq", "", "0ptrsq matches several runs: 0ptrsq2eucaaaaaaaaaaabc123 (welcome), 0ptrsq2eubbbbbbbbbbbbdef456 (welcome)"},
	} {
		got, err := findRun(t.Context(), runs, tt.name)
		assert.Equal(t, tt.want, got, tt.name)
		if tt.err != "" {
			assert.ErrorContains(t, err, tt.err)
			continue
		}
		require.NoError(t, err)
	}
	_, err := findRun(t.Context(), pagedRuns{}, "last")
	assert.ErrorContains(t, err, "there are no runs yet")
	_, _, err = (&app{}).runsToChange(t.Context(), remoteFlags{server: "http://127.0.0.1:1"}, "", "last")
	assert.ErrorContains(t, err, `"last" can be used only to look at a run, not to change one`)
}

// manyRuns are runs listed by time, in pages of a thousand; without a cursor only the first
// page.
type manyRuns struct {
	runs     []server.Run // the latest first
	noCursor bool
	asked    int
}

func (m *manyRuns) Runs(_ context.Context, q host.Filter) (*server.RunList, error) {
	m.asked++
	list := &server.RunList{}
	at, _ := strconv.Atoi(q.Cursor)
	for ; at < len(m.runs) && len(list.Runs) < q.Limit; at++ {
		if run := m.runs[at]; !run.StartedAt.Before(q.Since) && (q.Until.IsZero() || run.StartedAt.Before(q.Until)) {
			list.Runs = append(list.Runs, run)
		}
	}
	if at < len(m.runs) && !m.noCursor {
		list.Next = strconv.Itoa(at)
	}
	return list, nil
}

func (*manyRuns) Run(context.Context, string, time.Duration) (*server.Detail, error) { return nil, nil }

// An old run is found by the beginning of its id, but not by the end, and the error says so.
func TestFindOldRun(t *testing.T) {
	latest := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	id := func(n int, at time.Time) string {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], uint64(at.UnixMilli())<<16)
		b[15] = byte(n)
		b[14] = byte(n >> 8)
		return base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])
	}
	var runs []server.Run
	for n := range 12_000 {
		at := latest.Add(-time.Duration(n) * time.Minute)
		runs = append(runs, server.Run{RunID: strings.ToLower(id(n, at)), StartedAt: at, Flow: "welcome"})
	}
	old := runs[11_500].RunID
	for _, noCursor := range []bool{false, true} {
		for _, name := range []string{old[:9], old[:12], old[:25]} {
			got, err := findRun(t.Context(), &manyRuns{runs: runs, noCursor: noCursor}, name)
			require.NoError(t, err)
			assert.Equal(t, old, got)
		}
		_, err := findRun(t.Context(), &manyRuns{runs: runs, noCursor: noCursor}, old[:6])
		assert.ErrorContains(t, err, old+" (welcome)")
		_, err = findRun(t.Context(), &manyRuns{runs: runs, noCursor: noCursor}, old[18:])
		assert.ErrorContains(t, err, "none of the latest runs has an id that starts or ends with "+old[18:]+", and older runs were not searched")
	}
	got, err := findRun(t.Context(), &manyRuns{runs: runs[:900]}, "zzzzzz")
	require.NoError(t, err)
	assert.Equal(t, "zzzzzz", got, "the reader says that there is none")
}
