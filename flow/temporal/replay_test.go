package temporal_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/flow/host/hosttest"
	"facteur/flow/plan"
	"facteur/flow/temporal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func options(w *hosttest.World) temporal.Options {
	return temporal.Options{Catalog: w, Do: w.Do, Restore: func(name string, sources map[string]string) (*plan.Plan, error) {
		p, diags := plan.Restore(name, sources, plan.Library{Catalog: w})
		return p, diags.Err()
	}}
}

// Histories of earlier versions replay the same. They are from a real server: at least one for
// each kind of step, and for each thing that may happen to a run.
func TestHistories(t *testing.T) {
	files, err := filepath.Glob("testdata/histories/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			history, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.NoError(t, temporal.Replay(options(hosttest.NewWorld()), history))
		})
	}
}

// A replay that decides otherwise is an error.
func TestHistoryOfAnotherFlow(t *testing.T) {
	history, err := os.ReadFile("testdata/histories/action.json")
	require.NoError(t, err)
	w := hosttest.NewWorld()
	o := options(w)
	o.Restore = func(string, map[string]string) (*plan.Plan, error) {
		return w.Compile(t, "flow: tale_action\nsteps:\n  - {id: send, action: test.send, with: {to: b}}\n"), nil
	}
	assert.ErrorContains(t, temporal.Replay(o, history), "its flow has changed")
	assert.ErrorContains(t, temporal.Replay(options(w), []byte("{}")), "empty")
	assert.ErrorContains(t, temporal.Replay(options(w), []byte("no")), "read the history")
}
