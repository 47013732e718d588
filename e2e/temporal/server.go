// Package temporal runs a real Temporal server, in the process of a test: see Start.
package temporal

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/temporal"
	"go.temporal.io/server/temporaltest"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Version is that of the server.
const Version = "1.32.1"

// A Server is a running Temporal server.
type Server struct {
	Address string // host:port

	client client.Client
}

// Start starts a server that ends with the test, with its storage in memory.
func Start(t testing.TB) *Server {
	t.Helper()
	return start(t, dynamicconfig.StaticClient{
		dynamicconfig.HistoryCountSuggestContinueAsNew.Key(): 300, // so that long runs meet it
	})
}

// StartWithDefaultLimits is Start with the server's default limits on histories.
func StartWithDefaultLimits(t testing.TB) *Server {
	t.Helper()
	return start(t, dynamicconfig.StaticClient{})
}

func start(t testing.TB, settings dynamicconfig.StaticClient) *Server {
	t.Helper()
	maps.Copy(settings, dynamicconfig.StaticClient{
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key():      true,
		dynamicconfig.NamespaceCacheRefreshInterval.Key():                100 * time.Millisecond,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 10_000,
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key():           100_000,
	})
	server := temporaltest.NewServer(temporaltest.WithBaseServerOptions(temporal.WithDynamicConfigClient(settings)))
	t.Cleanup(server.Stop)
	return newServer(t, server.GetFrontendHostPort())
}

// newServer returns the server at an address, once it answers.
func newServer(t testing.TB, address string) *Server {
	t.Helper()
	return &Server{address, dial(t, address, "")}
}

// A Namespace is a namespace of a server, as its operator sees it.
type Namespace struct {
	Address string // of the server
	Name    string

	client client.Client
}

// Namespace creates a namespace.
func (s *Server) Namespace(t testing.TB, name string) *Namespace {
	t.Helper()
	_, err := s.client.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: name, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	require.NoError(t, err)
	n := &Namespace{s.Address, name, dial(t, s.Address, name)}
	require.Eventually(t, func() bool {
		if _, err := n.client.ListOpenWorkflow(context.Background(), &workflowservice.ListOpenWorkflowExecutionsRequest{MaximumPageSize: 1}); err != nil {
			return false
		}
		// The history service refreshes its namespaces on its own; only then does it answer that
		// there is no such workflow.
		_, err = n.client.DescribeWorkflow(context.Background(), "none", "")
		_, known := errors.AsType[*serviceerror.NotFound](err)
		return known
	}, time.Minute, 20*time.Millisecond)
	return n
}

// events returns all events of the latest execution of a workflow.
func (n *Namespace) events(t testing.TB, workflow string) (out []*history.HistoryEvent) {
	t.Helper()
	for all := n.client.GetWorkflowHistory(t.Context(), workflow, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); all.HasNext(); {
		e, err := all.Next()
		require.NoError(t, err)
		out = append(out, e)
	}
	return out
}

// History returns the event types of a workflow's latest execution.
func (n *Namespace) History(t testing.TB, workflow string) (kinds []string) {
	t.Helper()
	for _, e := range n.events(t, workflow) {
		kinds = append(kinds, e.GetEventType().String())
	}
	return kinds
}

// Dump returns the whole history of a workflow, in the JSON form that the replayer reads.
func (n *Namespace) Dump(t testing.TB, workflow string) string {
	t.Helper()
	text, err := protojson.Marshal(&history.History{Events: n.events(t, workflow)})
	require.NoError(t, err)
	return string(text)
}

// Open returns the ids of the open workflows of a type.
func (n *Namespace) Open(t testing.TB, kind string) (ids []string) {
	t.Helper()
	answer, err := n.client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
		Query: "ExecutionStatus = 'Running' AND WorkflowType = '" + kind + "'",
	})
	require.NoError(t, err)
	for _, e := range answer.GetExecutions() {
		ids = append(ids, e.GetExecution().GetWorkflowId())
	}
	return ids
}

// Executions returns how many executions of a workflow the server knows.
func (n *Namespace) Executions(t testing.TB, workflow string) int {
	t.Helper()
	answer, err := n.client.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: "WorkflowId = '" + workflow + "'"})
	require.NoError(t, err)
	return int(answer.GetCount())
}

// Reset resets a workflow to its first task.
func (n *Namespace) Reset(t testing.TB, workflow string) {
	t.Helper()
	for _, e := range n.events(t, workflow) {
		if e.GetEventType() != enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			continue
		}
		_, err := n.client.ResetWorkflowExecution(t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
			Namespace: n.Name, WorkflowExecution: &common.WorkflowExecution{WorkflowId: workflow},
			WorkflowTaskFinishEventId: e.GetEventId(), Reason: "a test",
		})
		require.NoError(t, err)
		return
	}
	t.Fatal("the workflow has done nothing yet")
}

// Terminate terminates a workflow.
func (n *Namespace) Terminate(t testing.TB, workflow string) {
	t.Helper()
	require.NoError(t, n.client.TerminateWorkflow(t.Context(), workflow, "", "a test"))
}

// Begin starts a workflow with an unencrypted input.
func (n *Namespace) Begin(t testing.TB, id, queue, kind string, input any) {
	t.Helper()
	_, err := n.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: queue}, kind, input)
	require.NoError(t, err)
}

// dial returns a client once the server answers, which ends with the test.
func dial(t testing.TB, address, namespace string) (c client.Client) {
	t.Helper()
	require.Eventually(t, func() (up bool) {
		var err error
		c, err = client.Dial(client.Options{HostPort: address, Namespace: namespace, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
		return err == nil
	}, time.Minute, 20*time.Millisecond)
	t.Cleanup(c.Close)
	return c
}
