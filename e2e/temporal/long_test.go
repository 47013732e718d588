package temporal_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"facteur/e2e/temporal"
	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	"facteur/flow/machine"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A run with more calls than fit into one history, or into the input of an execution, completes
// with each call made once, and is shown in full. The number of calls can be set:
//
//	E2E_CALLS=20000 go test -mod=mod ./temporal -run ManyCalls -v
func TestManyCalls(t *testing.T) {
	t.Parallel()
	calls := 400
	if text := os.Getenv("E2E_CALLS"); text != "" {
		var err error
		calls, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	n := temporal.StartWithDefaultLimits(t).Namespace(t, "many")
	w := hosttest.NewWorld()
	o := options(n, w)
	o.Lost = 20 * time.Second
	h := openHost(t, o)
	filler := strings.Repeat("x", 40) // an id, such as a message has
	if calls < 1000 {
		filler = strings.Repeat("y", 20_000) // pages are filled by few calls
	}
	p := w.Compile(t, fmt.Sprintf(`flow: many
inputs: {n: {type: integer}, filler: {type: string}}
steps:
  - id: each
    foreach: '${lists.range(inputs.n)}'
    as: i
    concurrency: 100
    steps: [{id: send, action: test.send, with: {to: 'to ${string(i)}', text: 'echo:%s ${string(i)} ${inputs.filler}'}}]
    collect: ${steps.send.outputs.id}
  - {id: reply, wait_for: {event: test.reply, from: a, timeout: 24h}}
  - {id: last, action: test.send, with: {to: last, text: refuse}}
outputs: {count: '${size(steps.each.outputs.items)}'}
`, "id"))
	began := time.Now()
	run, _, err := h.Start(t.Context(), p, host.Start{Inputs: map[string]any{"n": int64(calls), "filler": filler}})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		list, _, err := h.List(t.Context(), host.Filter{Status: host.Waiting})
		return err == nil && len(list) == 1 && len(w.CallCounts()) == calls
	}, 20*time.Minute, time.Second)
	t.Logf("%d calls in %v, in %d executions and %d pages", calls, time.Since(began).Round(time.Second), n.Executions(t, run.ID), len(n.Open(t, "facteur.page")))

	report, err := h.Get(t.Context(), run.ID)
	require.NoError(t, err)
	assert.Len(t, report.Calls, calls)
	require.NoError(t, h.Stop(context.Background()))
	h = openHost(t, o) // which has to go through all of it
	require.NoError(t, h.Deliver(t.Context(), host.Event{ID: "1", Name: "test.reply", Subjects: []string{"a"}, At: time.Now(), Data: map[string]any{"text": "yes"}}))
	result, err := h.Wait(t.Context(), run.ID)
	require.NoError(t, err)
	assert.Equal(t, machine.Failed, result.Status)
	assert.NotEmpty(t, n.Open(t, "facteur.page"))

	require.NoError(t, h.Retry(t.Context(), run.ID, false))
	result, err = h.Wait(t.Context(), run.ID)
	require.NoError(t, err)
	assert.Equal(t, machine.Failed, result.Status)
	report, err = h.Get(t.Context(), run.ID)
	require.NoError(t, err)
	assert.Len(t, report.Calls, calls+2)
	for key, n := range w.CallCounts() {
		assert.Equal(t, 1, n, key)
	}
}

// More concurrent calls, or larger inputs together, than the server allows are queued.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	w := hosttest.NewWorld()
	o := options(temporal.StartWithDefaultLimits(t).Namespace(t, "once"), w)
	o.Lost = 20 * time.Second
	h := openHost(t, o)
	for _, tt := range []struct{ calls, bytes int }{{550, 10}, {15, 100_000}} {
		p := w.Compile(t, `flow: once
inputs: {n: {type: integer}, text: {type: string}}
steps:
  - foreach: '${lists.range(4)}'
    as: group
    concurrency: 4
    steps:
      - foreach: '${lists.range(inputs.n)}'
        as: i
        concurrency: 1000
        steps: [{id: get, action: test.get, with: {to: '${string(i)}', text: '${inputs.text}'}}]
`)
		before := len(w.CallCounts())
		run, _, err := h.Start(t.Context(), p, host.Start{Inputs: map[string]any{"n": int64(tt.calls), "text": strings.Repeat("x", tt.bytes)}})
		require.NoError(t, err)
		result, err := h.Wait(t.Context(), run.ID)
		require.NoError(t, err)
		assert.Equal(t, machine.Succeeded, result.Status)
		assert.Len(t, w.CallCounts(), before+4*tt.calls)
	}
}
