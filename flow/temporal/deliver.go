package temporal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine/stored"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"
)

// An event from outside is a workflow of its own, so that it is durable, comes once, and
// ends when triggers had their say. Runs hear of it through mailboxes, one for each kind
// and subject.

const (
	passedSignal = "passed" // to an event: which runs will say what became of it
	heardSignal  = "heard"  // to an event: what became of it

	// sayTime is how long runs have to say whether an event was theirs.
	sayTime = time.Minute
	// offerTime is after how long an event goes into the mailboxes by itself: whoever
	// delivered it has died before doing so.
	offerTime = 5 * time.Second
)

// An eventForm is the stored form of a host.Event.
type eventForm struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Subjects   []string        `json:"subjects"`
	Connection string          `json:"connection,omitempty"`
	At         time.Time       `json:"at"`
	Data       json.RawMessage `json:"data"`
}

func formOf(e host.Event) (eventForm, error) {
	data, err := stored.EncodeValues(e.Data)
	if err != nil {
		return eventForm{}, fmt.Errorf("store an event: %w", err)
	}
	return eventForm{e.ID, e.Name, e.Subjects, e.Connection, e.At, data}, nil
}

func (f eventForm) event() (host.Event, error) {
	data, err := stored.DecodeValues(f.Data)
	return host.Event{ID: f.ID, Name: f.Name, Subjects: f.Subjects, Connection: f.Connection, At: f.At, Data: data}, err
}

// A letter is an event on its way to runs.
type letter struct {
	Event eventForm `json:"event"`
	From  string    `json:"from"` // the workflow of the event
}

// An eventInput is what the workflow of an event is given.
type eventInput struct {
	Letter    letter   `json:"letter"`
	Mailboxes []string `json:"mailboxes"`
	Fire      bool     `json:"fire,omitempty"` // somebody is told in the end
	Sure      bool     `json:"sure,omitempty"` // not before the mailboxes have it
}

type (
	// passed says which runs an event was handed to.
	passed struct {
		Mailbox string   `json:"mailbox"`
		Runs    []string `json:"runs"`
	}
	// said is what a run says to an event.
	said struct {
		Run     string `json:"run"`
		Claimed bool   `json:"claimed"`
	}
)

// maxDelivering is how many events are delivered at the same time.
const maxDelivering = 64

// Deliver implements host.Host. Events of different subjects are delivered at the same time,
// those of one in their order.
func (h *Host) Deliver(ctx context.Context, events ...host.Event) error {
	var all errgroup.Group
	all.SetLimit(maxDelivering)
	for _, line := range linesOf(events) {
		all.Go(func() error {
			for _, e := range line {
				if err := h.deliver(ctx, e); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all.Wait()
}

// linesOf parts events by who they are of, where one may have several names.
func linesOf(events []host.Event) (lines [][]host.Event) {
	of := map[string]int{} // the line of a name
	for _, e := range events {
		at := len(lines)
		for _, name := range e.Subjects {
			if line, ok := of[name]; ok {
				at = line
				break
			}
		}
		if at == len(lines) {
			lines = append(lines, nil)
		}
		lines[at] = append(lines[at], e)
		for _, name := range e.Subjects {
			of[name] = at
		}
	}
	return lines
}

func (h *Host) deliver(ctx context.Context, e host.Event) error {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	if e.ID == "" {
		e.ID = newID()
	}
	form, err := formOf(e)
	if err != nil {
		return err
	}
	if err := h.checkSize("the event", form, len(form.Data)); err != nil {
		return err
	}
	in := eventInput{Letter: letter{Event: form, From: h.name("event", e.ID)}, Fire: h.opts.Fire != nil, Sure: true}
	for _, subject := range e.Subjects {
		if box := h.name("mailbox", e.Name+"\n"+subject); !slices.Contains(in.Mailboxes, box) {
			in.Mailboxes = append(in.Mailboxes, box)
		}
	}
	_, err = h.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: in.Letter.From, TaskQueue: h.opts.Queue, EnableEagerStart: true,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
	}, eventType, in)
	if exists := (*serviceerror.WorkflowExecutionAlreadyStarted)(nil); errors.As(err, &exists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("store an event: %w", err)
	}
	// From here on it is durable. Going on at once keeps events in the order in which they
	// came; if it fails, the event goes on by itself.
	if err := h.offer(ctx, in); err != nil {
		h.opts.Log.Warn("an event goes into its mailboxes a little later", "error", err)
	}
	return nil
}

// name is the id of a workflow beside runs. It tells nothing.
func (h *Host) name(kind, of string) string { return h.nameOn(h.opts.Queue, kind, of) }

// nameOn is a name among those that share a task queue.
func (h *Host) nameOn(queue, kind, of string) string {
	sum := sha256.Sum256([]byte(h.hash(kind + "\n" + of)))
	return queue + "/" + kind + "/" + hex.EncodeToString(sum[:16])
}

// offer puts an event into its mailboxes. One that is there already is not put there
// again.
func (h *Host) offer(ctx context.Context, in eventInput) error {
	for _, box := range in.Mailboxes {
		if err := h.post(ctx, box, letterSignal, in.Letter); err != nil {
			return err
		}
	}
	return nil
}

// post brings something to a mailbox, which is made if there is none.
func (h *Host) post(ctx context.Context, box, signal string, arg any) error {
	_, err := h.client.SignalWithStartWorkflow(ctx, box, signal, arg, client.StartWorkflowOptions{
		ID: box, TaskQueue: h.opts.Queue, WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	}, mailboxType, mailboxInput{Looks: true})
	if err != nil {
		return fmt.Errorf("reach a mailbox: %w", err)
	}
	return nil
}

// event is the workflow of an event.
func (h *Host) event(ctx workflow.Context, in eventInput) error {
	open := map[string]bool{} // mailboxes that have not passed it on yet
	for _, box := range in.Mailboxes {
		open[box] = true
	}
	asked := map[string]bool{} // runs, and whether they have had their say
	claimed, late := false, false
	left := func() bool {
		if len(open) > 0 {
			return true
		}
		for _, done := range asked {
			if !done {
				return true
			}
		}
		return false
	}
	sel := workflow.NewSelector(ctx)
	sel.AddReceive(workflow.GetSignalChannel(ctx, passedSignal), func(c workflow.ReceiveChannel, _ bool) {
		var p passed
		c.Receive(ctx, &p)
		delete(open, p.Mailbox)
		for _, run := range p.Runs {
			asked[run] = asked[run] || false
		}
	})
	sel.AddReceive(workflow.GetSignalChannel(ctx, heardSignal), func(c workflow.ReceiveChannel, _ bool) {
		var s said
		c.Receive(ctx, &s)
		asked[s.Run] = true
		claimed = claimed || s.Claimed
	})
	if left() {
		sel.AddFuture(workflow.NewTimer(ctx, sayTime), func(workflow.Future) { late = true })
		sel.AddFuture(workflow.NewTimer(ctx, offerTime), func(workflow.Future) {
			if len(open) > 0 {
				again := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: sayTime / 2})
				sel.AddFuture(workflow.ExecuteActivity(again, offerActivity, in), func(workflow.Future) {})
			}
		})
	}
	listen := func() {
		for left() && !late {
			sel.Select(ctx)
		}
	}
	patient := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	})
	if listen(); in.Sure && len(open) > 0 { // for so long there was no daemon, or no way to reach them
		if err := workflow.ExecuteActivity(patient, offerActivity, in).Get(ctx, nil); err != nil {
			return err
		}
		late = false
		sel.AddFuture(workflow.NewTimer(ctx, sayTime), func(workflow.Future) { late = true })
		listen()
	}
	if !in.Fire {
		return nil
	}
	return workflow.ExecuteActivity(patient, fireActivity, in.Letter.Event, claimed).Get(ctx, nil)
}

// fire tells of an event that all have heard.
func (h *Host) fire(ctx context.Context, form eventForm, claimed bool) error {
	e, err := form.event()
	if err != nil || h.opts.Fire == nil {
		return err
	}
	return h.opts.Fire(ctx, e, claimed)
}
