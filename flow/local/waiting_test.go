package local_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"
	"facteur/flow/plan"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// waitingWanted sets how many runs wait in TestManyWait, and a tenth of it how many
	// wake at the same time in TestManyWake.
	waitingWanted = "FACTEUR_TEST_WAITING"
	// waitingFile is set for the process that TestManyWait starts.
	waitingFile = "FACTEUR_TEST_WAITING_JOURNAL"
)

func waitingOf(most int) int {
	if n, err := strconv.Atoi(os.Getenv(waitingWanted)); err == nil {
		return n
	}
	return most
}

const poll = `
flow: poll
inputs: {to: {type: string}}
steps:
  - {id: ask, action: test.send, with: {to: "${inputs.to}", text: "Shall we come on Monday?"}}
  - id: reply
    wait_for: {event: test.reply, from: "${inputs.to}", timeout: 30d}
  - {id: thanks, action: test.send, with: {to: "${inputs.to}", text: "You said ${steps.reply.outputs.text}"}}
`

// Many runs wait for a reply, in a process that was just started: how soon it is ready,
// how much room it takes, and how long it takes from a reply to what follows.
func TestManyWait(t *testing.T) {
	n := waitingOf(2000)
	file := filepath.Join(t.TempDir(), "journal.db")
	j, err := journal.OpenSQLite(file)
	require.NoError(t, err)
	p := testCatalog{}.compile(t, poll)
	h, err := local.Open(t.Context(), local.Options{
		Journal: j, MinParkTime: time.Nanosecond, Receipts: true,
		Do:      func(_ context.Context, c call.Call) call.Outcome { return accepted(c) },
		Restore: func(string, map[string]string) (*plan.Plan, error) { return p, nil },
	})
	require.NoError(t, err)
	startMany(t, h, p, n, func(i int) map[string]any { return map[string]any{"to": phoneNumber(i)} })
	require.Eventually(t, func() bool {
		runs, _, err := h.List(t.Context(), host.Filter{Status: machine.Running, Limit: 1})
		return err == nil && len(runs) == 0
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, h.Stop(t.Context()))
	require.NoError(t, j.Close())

	cmd := exec.Command(os.Args[0], "-test.run=^TestWaitingProcess$", "-test.v")
	cmd.Env = append(os.Environ(), waitingFile+"="+file)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for line := range strings.Lines(string(out)) {
		if told, ok := strings.CutPrefix(line, "told: "); ok {
			t.Log(fmt.Sprintf("%d runs wait: ", n) + strings.TrimSpace(told))
		}
	}
}

func startMany(t *testing.T, h *local.Host, p *plan.Plan, n int, inputs func(i int) map[string]any) {
	t.Helper()
	var all sync.WaitGroup
	var next atomic.Int64
	for range 256 {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if _, _, err := h.Start(context.Background(), p, host.Start{Inputs: inputs(i)}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestWaitingProcess is not a test but the process that TestManyWait starts.
func TestWaitingProcess(t *testing.T) {
	file := os.Getenv(waitingFile)
	if file == "" {
		t.Skip("this is the process that another test starts")
	}
	p := testCatalog{}.compile(t, poll)
	sent := make(chan string, 100)
	began := time.Now()
	j, err := journal.OpenSQLite(file)
	require.NoError(t, err)
	h, err := local.Open(t.Context(), local.Options{
		Journal: j, Receipts: true,
		Do:      func(_ context.Context, c call.Call) call.Outcome { sent <- c.Input["to"].(string); return accepted(c) },
		Restore: func(string, map[string]string) (*plan.Plan, error) { return p, nil },
	})
	require.NoError(t, err)
	ready := time.Since(began)
	var took []time.Duration
	for i := range 200 {
		to := phoneNumber(i * 7)
		began := time.Now()
		require.NoError(t, h.Deliver(t.Context(), host.Event{ID: fmt.Sprint(i), Name: "test.reply", Subjects: []string{"elsewhere", to}, At: began, Data: map[string]any{"text": "yes"}}))
		assert.Equal(t, to, <-sent)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	fmt.Printf("told: ready after %s; %s resident; from a reply to the next call %s (median), %s (slowest)\n",
		ready.Round(time.Millisecond), resident(t), took[100].Round(time.Microsecond), took[199].Round(time.Microsecond))
	require.NoError(t, h.Stop(t.Context()))
	require.NoError(t, j.Close())
}

// resident is how much memory the process has, where the system tells.
func resident(t *testing.T) string {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "an unknown amount"
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			require.NoError(t, err)
			return fmt.Sprintf("%d MB", kb/1024)
		}
	}
	return "an unknown amount"
}

// Many runs wake at the same time.
func TestManyWake(t *testing.T) {
	n := waitingOf(5000) / 10
	j, err := journal.OpenSQLite(filepath.Join(t.TempDir(), "journal.db"))
	require.NoError(t, err)
	p := testCatalog{}.compile(t, `
flow: alarm
inputs: {at: {type: string, format: date-time}, to: {type: string}}
steps:
  - {wait_until: "${inputs.at}"}
  - {id: send, action: test.send, with: {to: "${inputs.to}"}}
`)
	var sent atomic.Int64
	h, err := local.Open(t.Context(), local.Options{
		Journal: j, MinParkTime: time.Nanosecond, Receipts: true, Workers: 64,
		Do:      func(_ context.Context, c call.Call) call.Outcome { sent.Add(1); return accepted(c) },
		Restore: func(string, map[string]string) (*plan.Plan, error) { return p, nil },
	})
	require.NoError(t, err)
	at := time.Now().Add(time.Duration(n)*time.Millisecond + time.Second)
	startMany(t, h, p, n, func(i int) map[string]any { return map[string]any{"at": at, "to": phoneNumber(i)} })
	require.Eventually(t, func() bool {
		runs, _, err := h.List(t.Context(), host.Filter{Status: machine.Succeeded, Limit: 1})
		return err == nil && len(runs) > 0
	}, time.Minute, time.Millisecond)
	first := time.Now()
	require.Eventually(t, func() bool {
		runs, _, err := h.List(t.Context(), host.Filter{Status: machine.Running, Limit: 1})
		waiting, _, failed := h.List(t.Context(), host.Filter{Status: host.Waiting, Limit: 1})
		return err == nil && failed == nil && len(runs)+len(waiting) == 0
	}, time.Minute, time.Millisecond)
	t.Logf("%d runs wake at the same time: all have ended %s after the first", n, time.Since(first).Round(time.Millisecond))
	assert.EqualValues(t, n, sent.Load())
	require.NoError(t, h.Stop(t.Context()))
	require.NoError(t, j.Close())
}
