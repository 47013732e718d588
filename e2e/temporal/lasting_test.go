package temporal_test

import (
	"testing"
	"time"

	"facteur/e2e/temporal"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// TestLasting restarts the server under a workflow that waits: it goes on, and is found by
// its search attribute.
func TestLasting(t *testing.T) {
	shop := sdk.NewSearchAttributeKeyKeyword("Shop")
	s := temporal.StartLasting(t, map[string]enums.IndexedValueType{"Shop": enums.INDEXED_VALUE_TYPE_KEYWORD})
	waits := func(ctx workflow.Context) (text string, err error) {
		workflow.GetSignalChannel(ctx, "go").Receive(ctx, &text)
		return text, nil
	}
	dial := func() client.Client {
		c, err := client.Dial(client.Options{HostPort: s.Address, Namespace: s.Namespace, Logger: quiet{}})
		require.NoError(t, err)
		t.Cleanup(c.Close)
		return c
	}
	c := dial()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: "one", TaskQueue: "q", TypedSearchAttributes: sdk.NewSearchAttributes(shop.ValueSet("chez nous")),
	}, waits)
	require.NoError(t, err)

	s.Restart(t)
	c = dial()
	w := worker.New(c, "q", worker.Options{})
	w.RegisterWorkflow(waits)
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	require.Eventually(t, func() bool {
		return c.SignalWorkflow(t.Context(), "one", run.GetRunID(), "go", "oui") == nil
	}, time.Minute, 50*time.Millisecond)
	var text string
	require.NoError(t, c.GetWorkflow(t.Context(), "one", run.GetRunID()).Get(t.Context(), &text))
	require.Equal(t, "oui", text)
	require.Eventually(t, func() bool {
		found, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: `Shop = "chez nous"`})
		return err == nil && len(found.Executions) == 1
	}, time.Minute, 50*time.Millisecond)
}

// quiet logs nothing.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
