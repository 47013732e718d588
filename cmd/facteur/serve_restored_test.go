package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/project"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// After a restore triggers start nothing for times and events from before it: they were already
// handled.
func TestRestoredTriggers(t *testing.T) {
	soon := (time.Now().UTC().Minute() + 30) % 60 // not while this runs
	dir, api := simulated(t, "", fmt.Sprintf(`flow: hourly
triggers:
  - schedule: {cron: "%d * * * *", missed: once}
  - webhook: {path: /orders, connection: none}
steps: [{set: {done: true}}]
`, soon))
	var j *journal.SQLite
	var notes map[string]json.RawMessage
	for len(notes) == 0 { // a daemon that stops at once may not have looked at its schedules
		if j != nil {
			require.NoError(t, j.Close())
		}
		startTestDaemon(t, dir, api).stop()
		var err error
		j, err = journal.OpenSQLite(filepath.Join(dir, "data", project.JournalName))
		require.NoError(t, err)
		notes, err = j.Notes(t.Context(), "schedule")
		require.NoError(t, err)
	}
	for name := range notes {
		last, err := json.Marshal(map[string]any{"last": time.Now().UTC().Add(-100 * time.Minute)})
		require.NoError(t, err)
		require.NoError(t, j.Note(t.Context(), "schedule", name, last))
	}
	_, err := j.Deliver(t.Context(), []journal.Event{journal.Event{ID: "order 7", Name: "webhook", Subjects: []string{"/orders"}, At: time.Now(), Body: []byte("{}")}}, nil)
	require.NoError(t, err)
	require.NoError(t, j.Close())

	r := startTestDaemon(t, dir, api, "--restored")
	r.log.Wait(t, `an event starts no flow`)
	r.log.Wait(t, `a schedule was missed.* times=[12] `)
	list, err := r.client.Runs(t.Context(), host.Filter{})
	require.NoError(t, err)
	assert.Empty(t, list.Runs)
}
