package temporal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"
)

// Notes are small facts that all daemons share, such as when a schedule was last met: a
// workflow for each kind keeps them. With them, and because each time of a schedule starts
// a run with a key of its own, every daemon may run the schedules, and each time is met
// once.

const (
	notesType  = "facteur.notes"
	noteSignal = "note"
	notesQuery = "notes"
	// longNotes is from how many events on their history begins anew.
	longNotes = 2000
)

type noteForm struct {
	Name string          `json:"name"`
	Body json.RawMessage `json:"body,omitempty"` // none: it is deleted
}

// Note keeps a fact durably. A nil body deletes it.
func (h *Host) Note(ctx context.Context, kind, name string, body json.RawMessage) error {
	id := h.name("notes", kind)
	_, err := h.client.SignalWithStartWorkflow(ctx, id, noteSignal, noteForm{name, body}, client.StartWorkflowOptions{
		ID: id, TaskQueue: h.opts.Queue, WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	}, notesType, map[string]json.RawMessage{})
	if err != nil {
		return fmt.Errorf("store a note: %w", err)
	}
	return nil
}

// Notes returns the facts of a kind, by name.
func (h *Host) Notes(ctx context.Context, kind string) (map[string]json.RawMessage, error) {
	notes := map[string]json.RawMessage{}
	value, err := h.client.QueryWorkflow(ctx, h.name("notes", kind), "", notesQuery)
	if missing := (*serviceerror.NotFound)(nil); errors.As(err, &missing) {
		return notes, nil
	}
	if err == nil {
		err = value.Get(&notes)
	}
	if err != nil {
		return nil, fmt.Errorf("read the notes: %w", err)
	}
	return notes, nil
}

// notes is the workflow that keeps those of a kind.
func (h *Host) notes(ctx workflow.Context, notes map[string]json.RawMessage) error {
	if notes == nil {
		notes = map[string]json.RawMessage{}
	}
	err := workflow.SetQueryHandler(ctx, notesQuery, func() (map[string]json.RawMessage, error) { return notes, nil })
	if err != nil {
		return err
	}
	signals := workflow.GetSignalChannel(ctx, noteSignal)
	take := func(n noteForm) {
		if len(n.Body) == 0 || string(n.Body) == "null" {
			delete(notes, n.Name)
			return
		}
		notes[n.Name] = n.Body
	}
	for {
		var n noteForm
		signals.Receive(ctx, &n)
		take(n)
		for n = (noteForm{}); signals.ReceiveAsync(&n); n = (noteForm{}) {
			take(n)
		}
		info := workflow.GetInfo(ctx)
		if info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > longNotes {
			return workflow.NewContinueAsNewError(ctx, notesType, notes)
		}
	}
}
