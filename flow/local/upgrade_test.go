package local_test

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"
	"facteur/flow/plan"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write a journal with waiting runs to testdata, if there is none of the newest schema")

// waiting are flows by name, each of which waits for something else.
var waiting = map[string]string{
	"sleeps":   "flow: sleeps\nsteps:\n  - {id: pause, wait: 24h}\n  - {id: send, action: test.send, with: {to: a}}\n",
	"replies":  "flow: replies\ninputs: {name: {type: string}, n: {type: integer}}\nsteps:\n  - {id: reply, wait_for: {event: test.reply, from: b, timeout: 24h}}\n  - {id: send, action: test.send, with: {to: b, text: \"${inputs.name} ${inputs.n + 1} ${steps.reply.outputs.text}\"}}\noutputs: {text: \"${steps.reply.outputs.text}\"}\n",
	"calls":    "flow: calls\nsteps:\n  - id: each\n    foreach: \"${['c', 'd']}\"\n    as: to\n    concurrency: 2\n    steps:\n      - {call: called, with: {to: \"${to}\"}}\n",
	"called":   "flow: called\ninputs: {to: {type: string}}\nsteps:\n  - {wait_for: {event: test.reply, from: \"${inputs.to}\", timeout: 24h}}\n  - {id: send, action: test.send, with: {to: \"${inputs.to}\"}}\n",
	"delivers": "flow: delivers\nsteps:\n  - {id: send, action: test.send, with: {to: e}, await: {state: delivered, timeout: 24h}}\n",
	"doubts":   "flow: doubts\nsteps:\n  - {id: send, action: test.send, with: {to: f, text: lost}, unknown_timeout: 24h}\n  - {id: more, action: test.send, with: {to: f}}\n",
	"doubted":  "flow: doubted\nsteps:\n  - {id: send, action: test.send, with: {to: g, text: lost}, unknown_timeout: 1m}\n  - {id: more, action: test.send, with: {to: g}}\n",
	"hangs":    "flow: hangs\nsteps:\n  - {id: get, action: test.get, with: {to: h, text: hang}}\n",
	"one":      "flow: one\ninputs: {n: {type: integer}}\nconcurrency: {limit: 1, on_conflict: queue}\nsteps:\n  - {id: reply, wait_for: {event: test.reply, from: i, timeout: 24h}}\n  - {id: send, action: test.send, with: {to: i, text: \"${string(inputs.n)}\"}}\n",
	"done":     "flow: done\nsteps:\n  - {id: send, action: test.send, with: {to: j}}\n",
}

// waitingPlan compiles one of them.
func waitingPlan(t *testing.T, name string) *plan.Plan {
	t.Helper()
	flows := map[string]*flow.Flow{}
	for name, text := range waiting {
		f, diags := flow.Parse(name+".flow.yaml", []byte(text))
		require.False(t, diags.HasErrors(), diags)
		flows[name] = f
	}
	p, diags := plan.Compile(flows[name], plan.Library{Catalog: testCatalog{}, Flow: func(name string) *flow.Flow { return flows[name] }})
	require.False(t, diags.HasErrors(), diags)
	return p
}

// writeWaiting executes a run of each flow until it waits, and copies the journal.
func writeWaiting(t *testing.T, to string) {
	j, err := journal.OpenSQLite(filepath.Join(t.TempDir(), "journal.db"))
	require.NoError(t, err)
	defer j.Close()
	clock := newManualClock(writtenAt)
	hard, cut := context.WithCancel(context.Background())
	h := openHost(t, local.Options{Journal: j, Clock: clock, Hard: hard, Do: func(ctx context.Context, c call.Call) call.Outcome {
		switch c.Input["text"] {
		case "lost":
			return lost()
		case "hang":
			<-ctx.Done()
		}
		if c.Await != "" {
			return call.Outcome{Status: call.Pending, Output: accepted(c).Output}
		}
		return accepted(c)
	}})
	ended := map[string]string{"doubted": "", "done": ""}
	for name := range waiting {
		if name == "hangs" {
			continue
		}
		inputs := map[string]map[string]any{"replies": {"name": "Zoé", "n": int64(1)}, "one": {"n": int64(1)}, "called": {"to": "k"}}[name]
		run := startRun(t, h, waitingPlan(t, name), inputs)
		if _, ends := ended[name]; ends {
			ended[name] = run
		} else {
			eventually(t, name+" waits", func() bool { return statusOf(t, h, run) == host.Waiting })
		}
	}
	assert.Equal(t, host.Queued, statusOf(t, h, startRun(t, h, waitingPlan(t, "one"), map[string]any{"n": int64(2)})))
	eventually(t, "its answer is lost", func() bool { return statusOf(t, h, ended["doubted"]) == host.Waiting })
	clock.advance(2 * time.Minute)
	for _, run := range ended {
		waitResult(t, h, run)
	}
	startRun(t, h, waitingPlan(t, "hangs"), nil)
	require.NoError(t, j.Backup(t.Context(), to))
	cut()
}

var writtenAt = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// TestOldWaitingRuns opens journals that earlier versions wrote, one per schema, and lets their
// waiting runs end. With -update it writes the journal of the newest schema, if there is none,
// for later versions.
func TestOldWaitingRuns(t *testing.T) {
	if *update {
		fresh := filepath.Join(t.TempDir(), "fresh.db")
		writeWaiting(t, fresh)
		content, err := os.ReadFile(fresh)
		require.NoError(t, err)
		schema := binary.BigEndian.Uint32(content[60:]) // SQLite's user_version
		file := filepath.Join("testdata", fmt.Sprintf("waiting%d.db", schema))
		if _, err := os.Stat(file); err != nil {
			require.NoError(t, os.WriteFile(file, content, 0o600))
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata", "waiting*.db"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { resumeAll(t, file) })
	}
}

// resumeAll lets the runs of a journal go on to their ends.
func resumeAll(t *testing.T, file string) {
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "journal.db")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	j, err := journal.OpenSQLite(path)
	require.NoError(t, err)
	defer j.Close()
	var mu sync.Mutex
	made := map[string][]string{} // to whom, and what
	clock := newManualClock(writtenAt.Add(time.Hour))
	h := openHost(t, local.Options{Journal: j, Clock: clock, Do: func(_ context.Context, c call.Call) call.Outcome {
		mu.Lock()
		defer mu.Unlock()
		to, _ := c.Input["to"].(string)
		text, _ := c.Input["text"].(string)
		made[to] = append(made[to], text)
		return accepted(c)
	}})
	ctx := t.Context()
	list, _, err := h.List(ctx, host.Filter{})
	require.NoError(t, err)
	require.Len(t, list, len(waiting)+1)
	runs := map[string]string{} // by flow
	for _, run := range list {
		if run.Status == host.Queued {
			runs["queued"] = run.ID
		} else {
			runs[run.Flow] = run.ID
		}
	}
	key := func(flow string) string { return fmt.Sprintf("f1.%s.1", runs[flow]) }
	succeeds := func(flow string) *host.Result {
		t.Helper()
		r := waitResult(t, h, runs[flow])
		assert.Equal(t, machine.Succeeded, r.Status, flow)
		return r
	}

	succeeds("hangs") // what may be repeated was under way when the journal was copied
	for _, from := range []string{"b", "c", "d", "k"} {
		require.NoError(t, h.Deliver(ctx, host.Event{ID: from, Name: "test.reply", Subjects: []string{from}, At: clock.Now(), Data: map[string]any{"text": "oui"}}))
	}
	assert.Equal(t, map[string]any{"text": "oui"}, succeeds("replies").Outputs)
	succeeds("calls")
	succeeds("called")
	require.NoError(t, h.Receive(ctx, call.Receipt{Key: key("delivers"), ID: "1", State: "delivered"}))
	succeeds("delivers")
	require.NoError(t, h.Settle(ctx, runs["doubts"], "send", host.Settlement{Happened: true, ID: "id"}))
	succeeds("doubts")
	require.NoError(t, h.Settle(ctx, runs["doubted"], "send", host.Settlement{Happened: true, ID: "id"}))
	require.NoError(t, h.Retry(ctx, runs["doubted"], false))
	succeeds("doubted")
	for _, which := range []string{"one", "queued"} {
		eventually(t, "its turn comes", func() bool { return statusOf(t, h, runs[which]) == host.Waiting })
		at := clock.Now()
		clock.advance(time.Minute) // so that it is no answer to what the next one waits for
		require.NoError(t, h.Deliver(ctx, host.Event{ID: which, Name: "test.reply", Subjects: []string{"i"}, At: at, Data: map[string]any{"text": "oui"}}))
		succeeds(which)
	}
	assert.Equal(t, host.Waiting, statusOf(t, h, runs["sleeps"]))
	clock.advance(24 * time.Hour)
	succeeds("sleeps")
	assert.Equal(t, map[string][]string{
		"a": {""}, "b": {"Zoé 2 oui"}, "c": {""}, "d": {""}, "f": {""}, "g": {""}, "h": {"hang"}, "i": {"1", "2"}, "k": {""},
	}, made, "what was done before is not done again")
	unfinished, _, err := h.List(ctx, host.Filter{Unknown: true})
	require.NoError(t, err)
	assert.Empty(t, unfinished)
}

// A manualClock only advances when told to.
type manualClock struct {
	mu    sync.Mutex
	now   time.Time
	moved chan struct{} // is closed when it is
}

func newManualClock(now time.Time) *manualClock {
	return &manualClock{now: now, moved: make(chan struct{})}
}

func (c *manualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *manualClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	close(c.moved)
	c.moved = make(chan struct{})
}

func (c *manualClock) Wait(ctx context.Context, until time.Time, wake <-chan struct{}) error {
	for {
		c.mu.Lock()
		due, moved := !until.IsZero() && !until.After(c.now), c.moved
		c.mu.Unlock()
		if due {
			return nil
		}
		select {
		case <-wake:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}
