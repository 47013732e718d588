package temporal_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/e2e"
	"facteur/e2e/postgres"
	"facteur/e2e/temporal"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	"facteur/flow/machine"
	facteur "facteur/flow/temporal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHost is the conformance suite of hosts, on Temporal.
func TestHost(t *testing.T) {
	server := temporal.Start(t)
	var sites atomic.Int32
	hosttest.Exercise(t, func(t *testing.T) hosttest.Backend {
		return &testHost{t: t, namespace: server.Namespace(t, fmt.Sprintf("site-%d", sites.Add(1)))}
	})
}

// A testHost is a namespace of a server behind a proxy, which is cut to simulate a crash.
type testHost struct {
	t         *testing.T
	namespace *temporal.Namespace

	mu    sync.Mutex
	proxy *e2e.Proxy
	host  *facteur.Host
	hard  context.CancelFunc
}

func (s *testHost) Open(ctx context.Context, w *hosttest.World) (host.Host, error) {
	proxy := e2e.NewProxy(s.t, s.namespace.Address)
	hard, cut := context.WithCancel(context.Background())
	o := options(s.namespace, w)
	o.Address, o.Hard = proxy.Address, hard
	h, err := facteur.Open(ctx, o)
	if err != nil {
		cut()
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proxy, s.host, s.hard = proxy, h, cut
	return settledList{h}, nil
}

// start starts a server with a namespace, and opens a host there.
func start(t *testing.T) (*temporal.Namespace, *hosttest.World, *facteur.Host) {
	t.Helper()
	n, w := temporal.Start(t).Namespace(t, "test"), hosttest.NewWorld()
	return n, w, openHost(t, options(n, w))
}

func openHost(t *testing.T, o facteur.Options) *facteur.Host {
	t.Helper()
	h, err := facteur.Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, h.Stop(context.Background())) })
	return h
}

func options(n *temporal.Namespace, w *hosttest.World) facteur.Options {
	return facteur.Options{
		Address: n.Address, Namespace: n.Name,
		Do: w.Do, Catalog: w, Restore: w.Restore, Receipts: true, Past: w.Past, Ready: w.Ready, Fire: w.Fire,
		Hash: func(text string) string {
			sum := sha256.Sum256([]byte("key" + text))
			return hex.EncodeToString(sum[:])
		},
		Seal: seal, Open: open, Lost: 2 * time.Second, // a busy machine keeps a worker from its heartbeat for a while
	}
}

var mark = []byte("sealed for ")

func seal(plain, place []byte) ([]byte, error) {
	out := append(append(bytes.Clone(mark), place...), 0)
	for _, b := range plain {
		out = append(out, b^0x5a)
	}
	return out, nil
}

func open(sealed, place []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(sealed, append(append(bytes.Clone(mark), place...), 0))
	if !ok {
		return nil, errors.New("it was sealed for something else")
	}
	out := make([]byte, len(rest))
	for i, b := range rest {
		out[i] = b ^ 0x5a
	}
	return out, nil
}

// Crash cuts the host off from the server. It runs on for a while, without effect.
func (s *testHost) Crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.host == nil {
		return
	}
	s.proxy.Cut()
	s.hard()
	h := s.host
	s.host = nil
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = h.Stop(ctx)
	}()
}

func (s *testHost) Stop(ctx context.Context) error {
	s.mu.Lock()
	h := s.host
	s.host = nil
	s.mu.Unlock()
	if h == nil {
		return nil
	}
	return h.Stop(ctx)
}

// settledList lists runs once the lists no longer change: Temporal's visibility store lags
// behind.
type settledList struct{ host.Host }

func (p settledList) List(ctx context.Context, f host.Filter) ([]host.Run, string, error) {
	time.Sleep(700 * time.Millisecond)
	return p.Host.List(ctx, f)
}

// A run of one call has as many history events as a workflow with one activity.
func TestHistoryOfOneCall(t *testing.T) {
	n, w, h := start(t)
	p := w.Compile(t, "flow: send\ninputs: {to: {type: string}}\nsteps:\n  - {id: send, action: test.send, with: {to: \"${inputs.to}\"}}\n")
	run, _, err := h.Start(t.Context(), p, host.Start{Inputs: map[string]any{"to": "somebody"}, By: "test"})
	require.NoError(t, err)
	_, err = h.Wait(t.Context(), run.ID)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"WorkflowExecutionStarted", "WorkflowTaskScheduled", "WorkflowTaskStarted", "WorkflowTaskCompleted",
		"ActivityTaskScheduled", "ActivityTaskStarted", "ActivityTaskCompleted",
		"WorkflowTaskScheduled", "WorkflowTaskStarted", "WorkflowTaskCompleted", "WorkflowExecutionCompleted",
	}, n.History(t, run.ID))
	dump := n.Dump(t, run.ID)
	for _, text := range []string{"somebody", "accepted", "test.send"} {
		assert.NotContains(t, dump, text, "all is sealed")
	}
}

// A worker that is suspended while it prepares a call, until the activity times out, does not
// make the call when it wakes up: by then another attempt has made it.
func TestPreparedTooLong(t *testing.T) {
	_, w, h := start(t)
	wake := make(chan struct{})
	var asleep atomic.Bool
	w.SetOnDo(func(point string, _ call.Call) {
		if point == "prepared" && asleep.CompareAndSwap(false, true) {
			<-wake
		}
	})
	p := w.Compile(t, "flow: f\nsteps:\n  - {id: send, action: test.prepared, with: {to: a}}\n")
	run, _, err := h.Start(t.Context(), p, host.Start{By: "test"})
	require.NoError(t, err)
	r, err := h.Wait(t.Context(), run.ID)
	require.NoError(t, err)
	close(wake)
	require.NoError(t, h.Stop(t.Context())) // it waits for who was asleep
	assert.Equal(t, machine.Succeeded, r.Status)
	assert.Equal(t, 1, r.Steps[0].Attempts)
	assert.Len(t, w.Messages("a"), 1)
	assert.Len(t, w.CallCounts(), 2)
}

// A receipt of a call that no step awaits adds no events to the run's history, and is shown.
func TestReceiptThatNoStepAwaits(t *testing.T) {
	n, w, h := start(t)
	p := w.Compile(t, "flow: send\nsteps:\n  - {id: send, action: test.send, with: {to: a}}\n  - {wait: 24h}\n")
	run, _, err := h.Start(t.Context(), p, host.Start{Inputs: map[string]any{}})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		r, err := h.Get(t.Context(), run.ID)
		return err == nil && r.Run.Status == host.Waiting
	}, 30*time.Second, 10*time.Millisecond)
	before := n.History(t, run.ID)
	for _, state := range []string{"sent", "delivered"} {
		require.NoError(t, h.Receive(t.Context(), w.Receipt("f1."+run.ID+".1", state)))
	}
	assert.Equal(t, before, n.History(t, run.ID))
	r, err := h.Get(t.Context(), run.ID)
	require.NoError(t, err)
	require.Len(t, r.Calls, 1)
	assert.Len(t, r.Calls[0].Receipts, 2)
}

// A queue of runs that makes the workflow of its lock continue as new several times is worked
// off to the end.
func TestLongLockQueue(t *testing.T) {
	_, w, h := start(t)
	p := w.Compile(t, "flow: one\nconcurrency: {limit: 1}\nsteps:\n  - set: {n: 1}\n")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			var runs []string
			for range 15 {
				run, _, err := h.Start(t.Context(), p, host.Start{Inputs: map[string]any{}})
				if !assert.NoError(t, err) {
					return
				}
				runs = append(runs, run.ID)
			}
			for _, run := range runs {
				r, err := h.Wait(t.Context(), run)
				if assert.NoError(t, err) {
					assert.Equal(t, machine.Succeeded, r.Status)
				}
			}
		})
	}
	all.Wait()
}

// Projects may share a namespace: each has a task queue of its own, and sees only its own runs
// and holds.
func TestSharedNamespace(t *testing.T) {
	n, w, shop := start(t)
	o := options(n, hosttest.NewWorld())
	o.Queue = "bank"
	bank := openHost(t, o)
	p := w.Compile(t, "flow: send\nsteps:\n  - {id: send, action: test.send, with: {to: a}}\n")
	run, _, err := shop.Start(t.Context(), p, host.Start{Inputs: map[string]any{}})
	require.NoError(t, err)
	_, err = shop.Wait(t.Context(), run.ID)
	require.NoError(t, err)
	require.NoError(t, shop.Pause(t.Context(), host.All, "", "a test"))
	require.Eventually(t, func() bool {
		runs, _, err := shop.List(t.Context(), host.Filter{})
		return err == nil && len(runs) == 1
	}, 30*time.Second, 10*time.Millisecond)
	runs, _, err := bank.List(t.Context(), host.Filter{})
	require.NoError(t, err)
	assert.Empty(t, runs)
	holds, err := bank.Holds(t.Context())
	require.NoError(t, err)
	assert.Empty(t, holds)
}

// Runs also work on a server over PostgreSQL with several history shards.
func TestPostgresPersistence(t *testing.T) {
	w := hosttest.NewWorld()
	h := openHost(t, options(temporal.StartOnPostgres(t, postgres.Start(t), 4).Namespace(t, "over"), w))
	p := w.Compile(t, "flow: send\ninputs: {to: {type: string}}\nsteps:\n  - {id: send, action: test.send, with: {to: \"${inputs.to}\"}}\n")
	for range 20 {
		run, _, err := h.Start(t.Context(), p, host.Start{Inputs: map[string]any{"to": "somebody"}, By: "test"})
		require.NoError(t, err)
		_, err = h.Wait(t.Context(), run.ID)
		require.NoError(t, err)
	}
}
