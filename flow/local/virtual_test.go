package local_test

import (
	"context"
	"testing"
	"time"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"
	"facteur/flow/plan"
	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A catalog has one action, test.work, whose call takes as long as its input says.
type catalog struct{}

var work = &call.Signature{
	Name: "test.work",
	In: &schema.Type{Kind: schema.Object, Fields: []*schema.Field{
		{Name: "takes", Type: schema.DurationType, Required: true},
	}},
	Out: &schema.Type{Kind: schema.Object},
}

func (catalog) Action(name string) *call.Signature {
	if name == work.Name {
		return work
	}
	return nil
}
func (catalog) Event(string) *call.Event          { return nil }
func (catalog) Names() (actions, events []string) { return []string{work.Name}, nil }

func compile(t *testing.T, text string) *plan.Plan {
	t.Helper()
	f, diags := flow.Parse("test.flow.yaml", []byte(text))
	require.False(t, diags.HasErrors(), diags)
	p, diags := plan.Compile(f, plan.Library{Catalog: catalog{}})
	require.False(t, diags.HasErrors(), diags)
	return p
}

// Waits that overlap pass together, on a virtual clock too.
func TestVirtualTimeOverlaps(t *testing.T) {
	for _, tt := range []struct {
		name, flow string
		elapsed    time.Duration
		status     machine.Status
	}{
		{"one after the other", `
flow: f
steps:
  - {action: test.work, with: {takes: 2s}}
  - {action: test.work, with: {takes: 3s}}
`, 5 * time.Second, machine.Succeeded},
		{"branches", `
flow: f
steps:
  - parallel:
      a: [{action: test.work, with: {takes: 2s}}, {action: test.work, with: {takes: 2s}}]
      b: [{action: test.work, with: {takes: 3s}}]
      c: [{wait: 1s}]
`, 4 * time.Second, machine.Succeeded},
		{"ten at once", `
flow: f
steps:
  - foreach: "${lists.range(100)}"
    as: n
    concurrency: 10
    steps: [{action: test.work, with: {takes: 1s}}]
`, 10 * time.Second, machine.Succeeded},
		{"a time-out ends a call in its middle", `
flow: f
steps:
  - {action: test.work, timeout: 5s, with: {takes: 1h}}
`, 5 * time.Second, machine.Failed},
		{"the run's time-out ends what is under way", `
flow: f
timeout: 7s
steps:
  - {action: test.work, timeout: 1h, with: {takes: 1h}}
`, 7 * time.Second, machine.Failed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			clock := host.NewVirtual(start)
			h := local.New(local.Options{Journal: &journal.Memory{}, Clock: clock, Do: func(ctx context.Context, c call.Call) call.Outcome {
				takes, _ := c.Input["takes"].(time.Duration)
				if err := clock.Sleep(ctx, takes); err != nil {
					return call.Outcome{Status: call.Unknown, Error: &call.Error{Code: "outcome_unknown", Message: err.Error()}}
				}
				return call.Outcome{Status: call.Succeeded}
			}})
			result, err := h.Run(t.Context(), compile(t, tt.flow), local.Start{})
			require.NoError(t, err)
			assert.Equal(t, tt.status, result.Status)
			assert.Equal(t, tt.elapsed, clock.Now().Sub(start))
		})
	}
}

// Ids of later runs sort after those of earlier ones, which keeps a journal's indexes compact.
func TestIdsInOrder(t *testing.T) {
	clock := newVirtualClock()
	h := local.New(local.Options{Journal: &journal.Memory{}, Clock: clock, Do: func(_ context.Context, c call.Call) call.Outcome {
		_ = clock.Sleep(context.Background(), time.Hour)
		return call.Outcome{Status: call.Succeeded}
	}})
	p := compile(t, `
flow: f
steps:
  - {action: test.work, with: {takes: 2s}, timeout: 2h}
`)
	last := ""
	for range 3 {
		r, err := h.Run(t.Context(), p, local.Start{})
		require.NoError(t, err)
		assert.Greater(t, r.Run, last)
		assert.Len(t, r.Run, 26)
		last = r.Run
	}
}
