package trigger_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"
	"facteur/flow/plan"
	"facteur/flow/trigger"

	"github.com/stretchr/testify/require"
)

// conversation asks for a payment. The webhook that starts it is also what its runs wait for.
const conversation = `flow: conversation
inputs: {id: {type: string}}
triggers:
  - webhook: {path: /orders, connection: hook, inputs: {id: "${event.body.id}"}}
  - webhook: {path: /paid, connection: hook, inputs: {id: "late"}}
steps:
  - if: inputs.id != "late"
    wait_for: {event: webhook, path: /paid, connection: hook, when: event.body.id == inputs.id, timeout: 1h}
`

// A daemon is a host with a starter, over a journal that outlives it.
type daemon struct {
	*local.Host
	starter *trigger.Starter
	journal *journal.SQLite
}

func openDaemon(t *testing.T, dir string, dead *atomic.Bool) *daemon {
	j, err := journal.OpenSQLite(filepath.Join(dir, "journal.db"))
	require.NoError(t, err)
	d := &daemon{journal: j, starter: trigger.New(nil, trigger.Options{Notes: j})}
	plans := compile(t, conversation)
	d.starter.Set(plans)
	d.Host, err = local.Open(t.Context(), local.Options{
		Journal: j,
		Do:      func(context.Context, call.Call) call.Outcome { return call.Outcome{Status: call.Failed} },
		Restore: func(string, map[string]string) (*plan.Plan, error) { return plans[0], nil },
		Hash:    func(text string) string { return "hash of " + text },
		Fire: func(ctx context.Context, e host.Event, claimed bool) error {
			if dead.Load() {
				return errors.New("it dies first")
			}
			return d.starter.Fire(ctx, e, claimed)
		},
	})
	require.NoError(t, err)
	d.starter.Serve(d.Host)
	return d
}

func (d *daemon) close(t *testing.T) {
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	require.NoError(t, d.Stop(ctx))
	require.NoError(t, d.journal.Close())
}

// runs waits until there are n runs with a status.
func (d *daemon) runs(t *testing.T, status machine.Status, n int) []host.Run {
	t.Helper()
	var found []host.Run
	require.Eventually(t, func() bool {
		var err error
		found, _, err = d.List(t.Context(), host.Filter{Status: status})
		require.NoError(t, err)
		return len(found) == n
	}, 10*time.Second, time.Millisecond, "%d runs that are %s", n, status)
	return found
}

// TestOnHost: a real host starts runs, wakes them, and crashes before a flow was started.
func TestOnHost(t *testing.T) {
	dir := t.TempDir()
	var dead atomic.Bool
	d := openDaemon(t, dir, &dead)
	deliver := func(event, path, connection, id string) {
		e := request(event, path, connection, map[string]any{"id": id})
		e.At = time.Now()
		require.NoError(t, d.Deliver(t.Context(), e))
	}
	for range 3 {
		deliver("e1", "/orders", "hook", "7")
	}
	waiting := d.runs(t, host.Waiting, 1)
	require.Equal(t, "webhook /orders", waiting[0].By)

	deliver("e2", "/paid", "none", "7") // of nobody who could say so
	deliver("e3", "/paid", "hook", "8") // for another
	d.runs(t, machine.Succeeded, 1)     // that which e3 has started
	d.runs(t, host.Waiting, 1)

	dead.Store(true)
	deliver("e4", "/orders", "hook", "9")
	d.close(t)
	dead.Store(false)
	d = openDaemon(t, dir, &dead)
	d.runs(t, host.Waiting, 2) // e4 was open

	deliver("e5", "/paid", "hook", "7")
	d.runs(t, machine.Succeeded, 2)
	d.runs(t, host.Waiting, 1)
	d.close(t)
}
