package temporal_test

import (
	"context"
	"fmt"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/e2e/temporal"
	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	"facteur/flow/plan"
	facteur "facteur/flow/temporal"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// TestThroughput compares a run of one call with a hand-written workflow of one activity, on
// the same server:
//
//	E2E_BENCH=1 go test -mod=mod ./temporal -run Throughput -v
func TestThroughput(t *testing.T) {
	if os.Getenv("E2E_BENCH") == "" {
		t.Skip("set E2E_BENCH=1")
	}
	server := temporal.Start(t)
	server.Namespace(t, "bench")

	w := hosttest.NewWorld()
	o := options(server.Address, "bench", w)
	o.Past, o.Fire, o.Lost = nil, nil, 0
	h, err := facteur.Open(t.Context(), o)
	require.NoError(t, err)
	defer func() { require.NoError(t, h.Stop(context.Background())) }()
	p := w.Compile(t, "flow: send\ninputs: {to: {type: string}}\nsteps:\n  - {id: send, action: test.send, with: {to: \"${inputs.to}\"}}\noutputs: {id: \"${steps.send.outputs.id}\"}\n")
	ours := func() error {
		run, _, err := h.Start(context.Background(), p, host.Start{Inputs: map[string]any{"to": "a"}})
		if err == nil {
			_, err = h.Wait(context.Background(), run.ID)
		}
		return err
	}

	c, err := client.Dial(client.Options{HostPort: server.Address, Namespace: "bench", Logger: discardLogger{}})
	require.NoError(t, err)
	defer c.Close()
	by := worker.New(c, "hand", worker.Options{})
	type message struct{ To, Text string }
	type sent struct{ ID, Delivery string }
	send := func(_ context.Context, m message) (sent, error) { return sent{"id-" + m.To, "accepted"}, nil }
	byHand := func(ctx workflow.Context, m message) (sent, error) {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
		var out sent
		err := workflow.ExecuteActivity(ctx, send, m).Get(ctx, &out)
		return out, err
	}
	by.RegisterWorkflow(byHand)
	by.RegisterActivity(send)
	require.NoError(t, by.Start())
	defer by.Stop()
	hand := func() error {
		run, err := c.ExecuteWorkflow(context.Background(), client.StartWorkflowOptions{TaskQueue: "hand"}, byHand, message{"a", "hello"})
		if err == nil {
			var out sent
			err = run.Get(context.Background(), &out)
		}
		return err
	}

	fmt.Println("in turn, eight at a time:", alternate(t, 8, hand, ours))
	limited, err := facteur.Open(t.Context(), func() facteur.Options { o := o; o.Queue, o.Catalog = "limited", withNumberLimit{w}; return o }())
	require.NoError(t, err)
	defer func() { require.NoError(t, limited.Stop(context.Background())) }()
	f, _ := flow.Parse("test.flow.yaml", []byte("flow: numbered\ninputs: {to: {type: string}}\nsteps:\n  - {id: send, action: test.send, with: {to: \"${inputs.to}\"}}\n"))
	sender, diags := plan.Compile(f, plan.Library{Catalog: withNumberLimit{w}})
	require.False(t, diags.HasErrors(), diags)
	fmt.Println("in turn, with a queue for the sender:", alternate(t, 8, hand, func() error {
		run, _, err := limited.Start(context.Background(), sender, host.Start{Inputs: map[string]any{"to": "a"}})
		if err == nil {
			_, err = limited.Wait(context.Background(), run.ID)
		}
		return err
	}))
	for _, at := range []int{1, 64, 256} {
		for round := range 1 {
			fmt.Printf("concurrency %3d, round %d: by hand %s; facteur %s\n", at, round, measure(t, at, hand), measure(t, at, ours))
		}
	}
}

// alternate runs one and then the other, at that concurrency, in turns, so that other load on
// the machine affects both. It reports the total times and their ratio.
func alternate(t *testing.T, at int, hand, ours func() error) string {
	var spent [2]atomic.Int64
	var all sync.WaitGroup
	for range at {
		all.Go(func() {
			for n := range 60 {
				start := time.Now()
				if err := []func() error{hand, ours}[n%2](); err != nil {
					t.Error(err)
				}
				if n > 4 {
					spent[n%2].Add(int64(time.Since(start)))
				}
			}
		})
	}
	all.Wait()
	return fmt.Sprintf("by hand %v, facteur %v: %.2f of its runs a second", time.Duration(spent[0].Load()).Round(time.Millisecond),
		time.Duration(spent[1].Load()).Round(time.Millisecond), float64(spent[0].Load())/float64(spent[1].Load()))
}

// measure repeats do for a while at that concurrency.
func measure(t *testing.T, at int, do func() error) string {
	const long = 6 * time.Second
	var mu sync.Mutex
	var took []time.Duration
	var all sync.WaitGroup
	var over atomic.Bool
	began := time.Now()
	for range at {
		all.Go(func() {
			for !over.Load() {
				start := time.Now()
				if err := do(); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				took = append(took, time.Since(start))
				mu.Unlock()
				if time.Since(began) > long {
					over.Store(true)
				}
			}
		})
	}
	all.Wait()
	whole := time.Since(began)
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	return fmt.Sprintf("%.1f/s p50 %v p99 %v", float64(len(took))/whole.Seconds(), took[len(took)/2].Round(time.Millisecond), took[len(took)*99/100].Round(time.Millisecond))
}

// withNumberLimit gives a send the limit of a sender number, high enough never to be reached.
type withNumberLimit struct{ *hosttest.World }

func (n withNumberLimit) Action(name string) *call.Signature {
	sig := n.World.Action(name)
	if sig != nil {
		sig.Limits = func(string, map[string]any) []call.Limit {
			return []call.Limit{{Key: "sender", Rate: 100_000, Burst: 1000}}
		}
	}
	return sig
}

type discardLogger struct{}

func (discardLogger) Debug(string, ...any) {}
func (discardLogger) Info(string, ...any)  {}
func (discardLogger) Warn(string, ...any)  {}
func (discardLogger) Error(string, ...any) {}
