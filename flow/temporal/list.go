package temporal

import (
	"context"
	"encoding/base64"
	"fmt"
	"iter"
	"strings"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
)

// List implements host.Host. It reads the server's visibility store, which lags by a moment.
// Open runs come first, the last started first, then those that have ended, the last ended
// first.
func (h *Host) List(ctx context.Context, f host.Filter) (runs []host.Run, next string, err error) {
	limit := f.PageSize()
	page, err := base64.RawURLEncoding.DecodeString(f.Cursor)
	if err != nil || f.Cursor != "" && len(page) == 0 {
		return nil, "", &host.CursorError{Cursor: f.Cursor}
	}
	query := h.visibilityQuery(f)
	seen := map[string]bool{}
	for len(runs) < limit {
		answer, err := h.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: h.opts.Namespace, Query: query, PageSize: int32(limit - len(runs)), NextPageToken: page,
		})
		if err != nil {
			return nil, "", fmt.Errorf("list the runs: %w", err)
		}
		for _, e := range answer.GetExecutions() {
			run := headOf(e)
			if seen[run.ID] || f.Unknown && !h.hasUnknown(ctx, e, &run) {
				continue
			}
			seen[run.ID] = true
			runs = append(runs, run)
		}
		if page = answer.GetNextPageToken(); len(page) == 0 {
			break
		}
	}
	return runs, base64.RawURLEncoding.EncodeToString(page), nil
}

// executions returns the workflow executions that a query finds.
func (h *Host) executions(ctx context.Context, query string) iter.Seq2[*workflowpb.WorkflowExecutionInfo, error] {
	return func(yield func(*workflowpb.WorkflowExecutionInfo, error) bool) {
		var page []byte
		for {
			answer, err := h.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
				Namespace: h.opts.Namespace, Query: query, PageSize: 100, NextPageToken: page,
			})
			if err != nil {
				yield(nil, err)
				return
			}
			for _, e := range answer.GetExecutions() {
				if !yield(e, nil) {
					return
				}
			}
			if page = answer.GetNextPageToken(); len(page) == 0 {
				return
			}
		}
	}
}

// hasUnknown reports whether a run has calls with an unknown outcome, and counts those of one that
// was terminated on the server, and so could not write its search attribute.
func (h *Host) hasUnknown(ctx context.Context, e *workflowpb.WorkflowExecutionInfo, run *host.Run) bool {
	if !run.Ended.IsZero() {
		d, err := h.client.DescribeWorkflow(ctx, run.ID, "")
		if err == nil && d.WorkflowExecution.RunID != e.GetExecution().GetRunId() {
			return false // an earlier execution, of a run that was retried or settled: it is about to be deleted
		}
	}
	if run.Unknown > 0 {
		return true
	}
	s, err := h.load(ctx, run.ID)
	if err != nil {
		return false
	}
	m, _, err := s.machine(h, nil)
	run.Unknown = s.unknown(m, err != nil)
	return run.Unknown > 0
}

// visibilityQuery returns the filter as a query of the server's visibility store.
func (h *Host) visibilityQuery(f host.Filter) string {
	parts := []string{h.allOf(runType), "ExecutionStatus != 'ContinuedAsNew'"}
	add := func(part string) { parts = append(parts, part) }
	if f.Flow != "" {
		add(equals(flowKey.GetName(), f.Flow))
	}
	switch f.Status {
	case "":
	case machine.Running:
		add("ExecutionStatus = 'Running' AND " + statusKey.GetName() + " IS NULL")
	case machine.Succeeded:
		add("ExecutionStatus = 'Completed' AND " + statusKey.GetName() + " IS NULL")
	case machine.Failed:
		add("ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut')")
	case machine.Cancelled:
		add("ExecutionStatus = 'Canceled'")
	default:
		add(equals(statusKey.GetName(), string(f.Status)))
	}
	if f.Unknown {
		add("(" + unknownKey.GetName() + " > 0 OR ExecutionStatus = 'Terminated')") // it could not write its attributes
	}
	if f.Recipient != "" {
		contact := f.Recipient
		if h.opts.Contact != nil {
			contact = h.opts.Contact(contact)
		}
		add(equals(recipientKey.GetName(), h.contactHash(contact)))
	}
	if !f.Since.IsZero() {
		add(fmt.Sprintf("%s >= %d", startedKey.GetName(), f.Since.UnixMicro()))
	}
	if !f.Until.IsZero() {
		add(fmt.Sprintf("%s < %d", startedKey.GetName(), f.Until.UnixMicro()))
	}
	return strings.Join(parts, " AND ")
}

// allOf returns the query for the workflows of a type. Those of another task queue belong to
// another project, which may share the namespace.
func (h *Host) allOf(kind string) string {
	return equals("WorkflowType", kind) + " AND " + equals("TaskQueue", h.opts.Queue)
}

// openOf returns the query for the open workflows of a type.
func (h *Host) openOf(kind string) string { return h.allOf(kind) + " AND ExecutionStatus = 'Running'" }

func equals(name, value string) string {
	return name + " = '" + strings.ReplaceAll(strings.ReplaceAll(value, `\`, `\\`), "'", `\'`) + "'"
}

func statusOf(of enumspb.WorkflowExecutionStatus, shown machine.Status) machine.Status {
	switch of {
	case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:
		if shown == "" {
			return machine.Running
		}
		return shown
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		if shown == host.Rejected {
			return shown
		}
		return machine.Succeeded
	case enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:
		return machine.Cancelled
	}
	return machine.Failed
}

// headOf returns the head of a run from what the server lists.
func headOf(e *workflowpb.WorkflowExecutionInfo) host.Run {
	run := host.Run{ID: e.GetExecution().GetWorkflowId(), Started: e.GetStartTime().AsTime()}
	if e.GetCloseTime() != nil {
		run.Ended = e.GetCloseTime().AsTime()
	}
	fields := e.GetSearchAttributes().GetIndexedFields()
	read := func(key temporal.SearchAttributeKey, into any) bool {
		p := fields[key.GetName()]
		return p != nil && converter.GetDefaultDataConverter().FromPayload(p, into) == nil
	}
	read(flowKey, &run.Flow)
	read(digestKey, &run.Digest)
	read(byKey, &run.By)
	read(unknownKey, &run.Unknown)
	if started := int64(0); read(startedKey, &started) {
		run.Started = time.UnixMicro(started).UTC()
	}
	read(statusKey, &run.Status)
	run.Status = statusOf(e.GetStatus(), run.Status)
	return run
}
