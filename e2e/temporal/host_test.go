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
		name := fmt.Sprintf("site-%d", sites.Add(1))
		server.Namespace(t, name)
		return &testHost{t: t, server: server, namespace: name}
	})
}

// A testHost is a namespace of a server behind a proxy, which is cut to simulate a crash.
type testHost struct {
	t         *testing.T
	server    *temporal.Server
	namespace string

	mu    sync.Mutex
	proxy *e2e.Proxy
	host  *facteur.Host
	hard  context.CancelFunc
}

func (s *testHost) Open(ctx context.Context, w *hosttest.World) (host.Host, error) {
	proxy := e2e.NewProxy(s.t, s.server.Address)
	hard, cut := context.WithCancel(context.Background())
	o := options(proxy.Address, s.namespace, w)
	o.Hard = hard
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

func options(address, namespace string, w *hosttest.World) facteur.Options {
	return facteur.Options{
		Address: address, Namespace: namespace,
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
	server := temporal.Start(t)
	server.Namespace(t, "one")
	w := hosttest.NewWorld()
	h, err := facteur.Open(t.Context(), options(server.Address, "one", w))
	require.NoError(t, err)
	p := w.Compile(t, "flow: send\ninputs: {to: {type: string}}\nsteps:\n  - {id: send, action: test.send, with: {to: \"${inputs.to}\"}}\n")
	run, _, err := h.Start(t.Context(), p, host.Start{Inputs: map[string]any{"to": "somebody"}, By: "test"})
	require.NoError(t, err)
	_, err = h.Wait(t.Context(), run.ID)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"WorkflowExecutionStarted", "WorkflowTaskScheduled", "WorkflowTaskStarted", "WorkflowTaskCompleted",
		"ActivityTaskScheduled", "ActivityTaskStarted", "ActivityTaskCompleted",
		"WorkflowTaskScheduled", "WorkflowTaskStarted", "WorkflowTaskCompleted", "WorkflowExecutionCompleted",
	}, server.History(t, "one", run.ID))
	dump := server.Dump(t, "one", run.ID)
	for _, text := range []string{"somebody", "accepted", "test.send"} {
		assert.NotContains(t, dump, text, "all is sealed")
	}
	require.NoError(t, h.Stop(t.Context()))
}

// A worker that is suspended while it prepares a call, until the activity times out, does not
// make the call when it wakes up: by then another attempt has made it.
func TestPreparedTooLong(t *testing.T) {
	server := temporal.Start(t)
	server.Namespace(t, "sleeper")
	w := hosttest.NewWorld()
	wake := make(chan struct{})
	var asleep atomic.Bool
	w.SetOnDo(func(point string, _ call.Call) {
		if point == "prepared" && asleep.CompareAndSwap(false, true) {
			<-wake
		}
	})
	h, err := facteur.Open(t.Context(), options(server.Address, "sleeper", w))
	require.NoError(t, err)
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
