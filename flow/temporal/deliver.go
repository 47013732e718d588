package temporal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine/stored"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"
)

// An event from outside is a workflow of its own: so it is durable, an event of the same id is
// dropped, and its end is that triggers have handled it. Runs get it through mailboxes, one
// for each kind and subject.

const (
	mailboxReplySignal = "passed" // a mailboxReply, to an event
	runReplySignal     = "heard"  // a runReply, to an event

	// replyTime is how long an event waits for the replies of mailboxes and runs.
	replyTime = time.Minute
	// redeliverTime is after how long the event's workflow delivers it itself, because the
	// process that took it has died before it did.
	redeliverTime = 5 * time.Second
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

// A delivery is an event as mailboxes and runs get it. It is stored, like the types below.
type delivery struct {
	Event    eventForm `json:"event"`
	Workflow string    `json:"from"` // of the event, for replies
}

// An eventInput is the input of an event's workflow.
type eventInput struct {
	Delivery   delivery `json:"letter"`
	Mailboxes  []string `json:"mailboxes"`
	Fire       bool     `json:"fire,omitempty"` // Options.Fire is called in the end …
	Guaranteed bool     `json:"sure,omitempty"` // … but not before all mailboxes have it
}

type (
	// A mailboxReply says which runs a mailbox sent an event to.
	mailboxReply struct {
		Mailbox string   `json:"mailbox"`
		Runs    []string `json:"runs"`
	}
	// A runReply says whether a run consumed an event.
	runReply struct {
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
	for _, group := range groupBySubject(events) {
		all.Go(func() error {
			for _, e := range group {
				if err := h.deliver(ctx, e); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all.Wait()
}

// groupBySubject groups events so that those which share a subject are in one group, in their
// order. An event may have several subjects.
func groupBySubject(events []host.Event) (groups [][]host.Event) {
	groupOf := map[string]int{} // by subject
	for _, e := range events {
		at := len(groups)
		for _, subject := range e.Subjects {
			if group, ok := groupOf[subject]; ok {
				at = group
				break
			}
		}
		if at == len(groups) {
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], e)
		for _, subject := range e.Subjects {
			groupOf[subject] = at
		}
	}
	return groups
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
	in := eventInput{Delivery: delivery{Event: form, Workflow: h.workflowID("event", e.ID)}, Fire: h.opts.Fire != nil, Guaranteed: true}
	for _, subject := range e.Subjects {
		if box := h.workflowID("mailbox", e.Name+"\n"+subject); !slices.Contains(in.Mailboxes, box) {
			in.Mailboxes = append(in.Mailboxes, box)
		}
	}
	options := h.newWorkflow(in.Delivery.Workflow)
	options.EnableEagerStart, options.WorkflowIDReusePolicy = true, enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
	_, err = h.client.ExecuteWorkflow(ctx, options, eventType, in)
	if isStarted(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("store an event: %w", err)
	}
	// From here on it is durable. Delivering it at once keeps events in the order in which
	// they came; if that fails, the event's workflow does it.
	if err := h.deliverToMailboxes(ctx, in); err != nil {
		h.opts.Log.Warn("an event goes into its mailboxes a little later", "error", err)
	}
	return nil
}

// workflowID returns the id of a workflow that is not a run: a hash of its kind and name, on
// this host's task queue.
func (h *Host) workflowID(kind, name string) string { return h.workflowIDOn(h.opts.Queue, kind, name) }

// workflowIDOn is workflowID on another task queue.
func (h *Host) workflowIDOn(queue, kind, name string) string {
	sum := sha256.Sum256([]byte(h.hash(kind + "\n" + name)))
	return queue + "/" + kind + "/" + hex.EncodeToString(sum[:16])
}

// deliverToMailboxes is the activity that sends an event to its mailboxes, which drop one that
// they have already.
func (h *Host) deliverToMailboxes(ctx context.Context, in eventInput) error {
	for _, box := range in.Mailboxes {
		if err := h.signalMailbox(ctx, box, deliverySignal, in.Delivery); err != nil {
			return err
		}
	}
	return nil
}

// signalMailbox signals a mailbox, and starts it if there is none.
func (h *Host) signalMailbox(ctx context.Context, box, signal string, arg any) error {
	_, err := h.client.SignalWithStartWorkflow(ctx, box, signal, arg, client.StartWorkflowOptions{
		ID: box, TaskQueue: h.opts.Queue, WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	}, mailboxType, mailboxInput{ChecksRuns: true})
	if err != nil {
		return fmt.Errorf("reach a mailbox: %w", err)
	}
	return nil
}

// event is the workflow of an event.
func (h *Host) event(ctx workflow.Context, in eventInput) error {
	open := map[string]bool{} // mailboxes that have not replied
	for _, box := range in.Mailboxes {
		open[box] = true
	}
	replied := map[string]bool{} // by run that got the event: whether it has replied
	claimed, late := false, false
	left := func() bool { return len(open) > 0 || slices.Contains(slices.Collect(maps.Values(replied)), false) }
	sel := workflow.NewSelector(ctx)
	onSignal(ctx, sel, mailboxReplySignal, func(reply mailboxReply) {
		delete(open, reply.Mailbox)
		for _, run := range reply.Runs {
			replied[run] = replied[run] || false
		}
	})
	onSignal(ctx, sel, runReplySignal, func(reply runReply) {
		replied[reply.Run] = true
		claimed = claimed || reply.Claimed
	})
	if left() {
		sel.AddFuture(workflow.NewTimer(ctx, replyTime), func(workflow.Future) { late = true })
		sel.AddFuture(workflow.NewTimer(ctx, redeliverTime), func(workflow.Future) {
			if len(open) > 0 {
				again := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: replyTime / 2})
				sel.AddFuture(workflow.ExecuteActivity(again, offerActivity, in), func(workflow.Future) {})
			}
		})
	}
	awaitReplies := func() {
		for left() && !late {
			sel.Select(ctx)
		}
	}
	patient := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute, RetryPolicy: &patience})
	if awaitReplies(); in.Guaranteed && len(open) > 0 { // no daemon ran meanwhile, or it could not reach them
		if err := workflow.ExecuteActivity(patient, offerActivity, in).Get(ctx, nil); err != nil {
			return err
		}
		late = false
		sel.AddFuture(workflow.NewTimer(ctx, replyTime), func(workflow.Future) { late = true })
		awaitReplies()
	}
	if !in.Fire {
		return nil
	}
	return workflow.ExecuteActivity(patient, fireActivity, in.Delivery.Event, claimed).Get(ctx, nil)
}

// fire is the activity that calls Options.Fire.
func (h *Host) fire(ctx context.Context, form eventForm, claimed bool) error {
	e, err := form.event()
	if err != nil || h.opts.Fire == nil {
		return err
	}
	return h.opts.Fire(ctx, e, claimed)
}
