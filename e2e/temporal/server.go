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

// A Server is a Temporal server with its storage in memory.
type Server struct {
	Address string // host:port

	client client.Client
}

// Start starts a server that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	return start(t, dynamicconfig.StaticClient{
		dynamicconfig.HistoryCountSuggestContinueAsNew.Key(): 300, // so that long runs meet it
	})
}

// StartWithDefaultLimits starts a server with its default limits on histories.
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
	s := &Server{address, dial(t, address, "")}
	t.Cleanup(s.client.Close)
	return s
}

// Namespace creates a namespace.
func (s *Server) Namespace(t testing.TB, name string) {
	t.Helper()
	_, err := s.client.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: name, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := s.client.WorkflowService().ListOpenWorkflowExecutions(context.Background(), &workflowservice.ListOpenWorkflowExecutionsRequest{Namespace: name, MaximumPageSize: 1})
		if err != nil {
			return false
		}
		// The history service refreshes its namespaces on its own; only then does it answer that
		// there is no such workflow.
		_, err = s.client.WorkflowService().DescribeWorkflowExecution(context.Background(), &workflowservice.DescribeWorkflowExecutionRequest{
			Namespace: name, Execution: &common.WorkflowExecution{WorkflowId: "none"},
		})
		_, known := errors.AsType[*serviceerror.NotFound](err)
		return known
	}, time.Minute, 20*time.Millisecond)
}

// events returns all events of the latest execution of a workflow.
func (s *Server) events(t testing.TB, namespace, workflow string) []*history.HistoryEvent {
	t.Helper()
	var out []*history.HistoryEvent
	var page []byte
	for {
		answer, err := s.client.WorkflowService().GetWorkflowExecutionHistory(t.Context(), &workflowservice.GetWorkflowExecutionHistoryRequest{
			Namespace: namespace, Execution: &common.WorkflowExecution{WorkflowId: workflow}, NextPageToken: page,
		})
		require.NoError(t, err)
		out = append(out, answer.GetHistory().GetEvents()...)
		if page = answer.GetNextPageToken(); len(page) == 0 {
			return out
		}
	}
}

// History returns the event types of a workflow's latest execution.
func (s *Server) History(t testing.TB, namespace, workflow string) (kinds []string) {
	t.Helper()
	for _, e := range s.events(t, namespace, workflow) {
		kinds = append(kinds, e.GetEventType().String())
	}
	return kinds
}

// Dump returns the whole history of a workflow, in the JSON form that the replayer reads.
func (s *Server) Dump(t testing.TB, namespace, workflow string) string {
	t.Helper()
	text, err := protojson.Marshal(&history.History{Events: s.events(t, namespace, workflow)})
	require.NoError(t, err)
	return string(text)
}

// Open returns the ids of the open workflows of a type.
func (s *Server) Open(t testing.TB, namespace, kind string) (ids []string) {
	t.Helper()
	answer, err := s.client.WorkflowService().ListWorkflowExecutions(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: namespace, Query: "ExecutionStatus = 'Running' AND WorkflowType = '" + kind + "'",
	})
	require.NoError(t, err)
	for _, e := range answer.GetExecutions() {
		ids = append(ids, e.GetExecution().GetWorkflowId())
	}
	return ids
}

// Executions returns how many executions of a workflow the server knows.
func (s *Server) Executions(t testing.TB, namespace, workflow string) int {
	t.Helper()
	answer, err := s.client.WorkflowService().CountWorkflowExecutions(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: namespace, Query: "WorkflowId = '" + workflow + "'",
	})
	require.NoError(t, err)
	return int(answer.GetCount())
}

// Reset resets a workflow to its first task, as an operator does.
func (s *Server) Reset(t testing.TB, namespace, workflow string) {
	t.Helper()
	for _, e := range s.events(t, namespace, workflow) {
		if e.GetEventType() != enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			continue
		}
		_, err := s.client.WorkflowService().ResetWorkflowExecution(t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
			Namespace: namespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: workflow},
			RequestId: workflow, WorkflowTaskFinishEventId: e.GetEventId(), Reason: "a test",
		})
		require.NoError(t, err)
		return
	}
	t.Fatal("the workflow has done nothing yet")
}

// Terminate terminates a workflow, as an operator does.
func (s *Server) Terminate(t testing.TB, namespace, workflow string) {
	t.Helper()
	_, err := s.client.WorkflowService().TerminateWorkflowExecution(t.Context(), &workflowservice.TerminateWorkflowExecutionRequest{
		Namespace: namespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: workflow}, Reason: "a test",
	})
	require.NoError(t, err)
}

// Begin starts a workflow with an unencrypted input.
func (s *Server) Begin(t testing.TB, namespace, id, queue, kind string, input any) {
	t.Helper()
	c := dial(t, s.Address, namespace)
	defer c.Close()
	_, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: queue}, kind, input)
	require.NoError(t, err)
}

// dial returns a client once the server answers.
func dial(t testing.TB, address, namespace string) (c client.Client) {
	t.Helper()
	require.Eventually(t, func() (up bool) {
		var err error
		c, err = client.Dial(client.Options{HostPort: address, Namespace: namespace, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
		return err == nil
	}, time.Minute, 20*time.Millisecond)
	return c
}
