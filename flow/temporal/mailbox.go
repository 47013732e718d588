package temporal

import (
	"context"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"
)

const (
	deliverySignal    = "letter"
	subscribeSignal   = "subscribe"
	unsubscribeSignal = "unsubscribe"

	// A mailbox retains events for runs that will wait for them: for retention, at most
	// maxRetained of them, with at most maxRetainedBytes of data.
	retention        = 7 * 24 * time.Hour
	maxRetained      = 100
	maxRetainedBytes = 1 << 20
	// maxMailboxHistory is how many events the history of a mailbox has before it continues
	// as new.
	maxMailboxHistory = 2000
)

// A mailboxInput is the input of a mailbox's workflow. It is stored.
type mailboxInput struct {
	Deliveries []delivery         `json:"letters,omitempty"` // retained, in the order in which they came
	Waiting    []subscriptionForm `json:"waiting,omitempty"`
	ChecksRuns bool               `json:"looks,omitempty"` // when nothing comes for long it checks whether those waiting still exist
}

// A subscriptionForm says that a run waits for events.
type subscriptionForm struct {
	Run        string    `json:"run"`
	Await      int       `json:"await"`
	Connection string    `json:"connection,omitempty"`
	Since      time.Time `json:"since"`
}

func (s *subscriptionForm) matches(d *delivery) bool {
	return !d.Event.At.Before(s.Since) && (s.Connection == "" || d.Event.Connection == "" || s.Connection == d.Event.Connection)
}

func (s *subscriptionForm) same(other subscriptionForm) bool {
	return s.Run == other.Run && s.Await == other.Await
}

// arrivedEvents are events for one of a run's waits, oldest first: the argument of
// arrivedSignal.
type arrivedEvents struct {
	Await      int        `json:"await"`
	Deliveries []delivery `json:"letters"`
}

// A mailboxState is the state of a mailbox's workflow. A mailbox sends the events of one kind
// and subject to the runs that wait for them, or will soon.
type mailboxState struct {
	mailboxInput
	ctx    workflow.Context
	events workflow.ReceiveChannel
	subs   workflow.ReceiveChannel
	unsubs workflow.ReceiveChannel
}

// mailbox is the workflow of a mailbox. It ends when no run waits, and no event is retained
// any more. Runs that end do not unsubscribe.
func (h *Host) mailbox(ctx workflow.Context, in mailboxInput) error {
	b := &mailboxState{
		mailboxInput: in, ctx: ctx, events: workflow.GetSignalChannel(ctx, deliverySignal),
		subs: workflow.GetSignalChannel(ctx, subscribeSignal), unsubs: workflow.GetSignalChannel(ctx, unsubscribeSignal),
	}
	for {
		for b.handleSignal() {
		}
		info := workflow.GetInfo(ctx)
		if info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > maxMailboxHistory {
			return workflow.NewContinueAsNewError(ctx, mailboxType, b.mailboxInput)
		}
		b.expire()
		if len(b.Deliveries) == 0 && len(b.Waiting) == 0 {
			return nil
		}
		if quiet := b.wait(); quiet && len(b.Waiting) > 0 {
			b.dropEnded()
		}
	}
}

// handleSignal handles one signal, and reports whether there was any: first those of runs
// that unsubscribe, then those of runs that subscribe, then events.
func (b *mailboxState) handleSignal() bool {
	var s subscriptionForm
	if b.unsubs.ReceiveAsync(&s) {
		b.unsubscribe(s)
		return true
	}
	s = subscriptionForm{}
	if b.subs.ReceiveAsync(&s) {
		b.subscribe(s)
		return true
	}
	var d delivery
	if b.events.ReceiveAsync(&d) {
		b.deliver(d)
		return true
	}
	return false
}

// wait waits for a signal. It reports true if none came for the retention time.
func (b *mailboxState) wait() (quiet bool) {
	ctx, cancel := workflow.WithCancel(b.ctx)
	defer cancel()
	sel := workflow.NewSelector(ctx)
	for _, c := range []workflow.ReceiveChannel{b.events, b.subs, b.unsubs} {
		sel.AddReceive(c, func(workflow.ReceiveChannel, bool) {})
	}
	if len(b.Waiting) == 0 || b.ChecksRuns {
		sel.AddFuture(workflow.NewTimer(ctx, retention), func(workflow.Future) { quiet = true })
	}
	sel.Select(ctx)
	return quiet
}

// dropEnded drops the subscriptions of runs that have ended.
func (b *mailboxState) dropEnded() {
	var runs []string
	for _, s := range b.Waiting {
		runs = append(runs, s.Run)
	}
	gone := findGone(b.ctx, runs)
	b.Waiting = slices.DeleteFunc(b.Waiting, func(s subscriptionForm) bool {
		return slices.Contains(gone.Ended, s.Run) || slices.Contains(gone.Missing, s.Run)
	})
}

// expire drops events that are too old, or too many.
func (b *mailboxState) expire() {
	now := workflow.Now(b.ctx)
	b.Deliveries = slices.DeleteFunc(b.Deliveries, func(d delivery) bool { return d.Event.At.Before(now.Add(-retention)) })
	first, bytes := len(b.Deliveries), 0
	for first > 0 && len(b.Deliveries)-first < maxRetained {
		if bytes += len(b.Deliveries[first-1].Event.Data); bytes > maxRetainedBytes && first < len(b.Deliveries) {
			break
		}
		first--
	}
	b.Deliveries = slices.Delete(b.Deliveries, 0, first)
}

// subscribe adds a subscription, and sends the run the retained events that match.
func (b *mailboxState) subscribe(s subscriptionForm) {
	if !slices.ContainsFunc(b.Waiting, s.same) {
		b.Waiting = append(b.Waiting, s)
	}
	var past []delivery
	for _, d := range b.Deliveries {
		if s.matches(&d) {
			past = append(past, d)
		}
	}
	if len(past) > 0 {
		b.send(s, past...)
	}
}

func (b *mailboxState) unsubscribe(s subscriptionForm) {
	b.Waiting = slices.DeleteFunc(b.Waiting, s.same)
}

// deliver retains an event, sends it to the runs that wait for it, and tells the event's
// workflow which runs those are.
func (b *mailboxState) deliver(d delivery) {
	reply := mailboxReply{Mailbox: workflow.GetInfo(b.ctx).WorkflowExecution.ID}
	if !slices.ContainsFunc(b.Deliveries, func(other delivery) bool { return other.Event.ID == d.Event.ID }) {
		b.Deliveries = append(b.Deliveries, d)
		for _, s := range slices.Clone(b.Waiting) {
			if s.matches(&d) && b.send(s, d) {
				reply.Runs = append(reply.Runs, s.Run)
			}
		}
	}
	_ = workflow.SignalExternalWorkflow(b.ctx, d.Workflow, "", mailboxReplySignal, reply).Get(b.ctx, nil) // it may have ended
}

// send sends events to a run, and reports whether that was open; else it unsubscribes it. It
// waits for the signal, so that a run gets events in their order.
func (b *mailboxState) send(s subscriptionForm, deliveries ...delivery) bool {
	if workflow.SignalExternalWorkflow(b.ctx, s.Run, "", arrivedSignal, arrivedEvents{s.Await, deliveries}).Get(b.ctx, nil) == nil {
		return true
	}
	b.unsubscribe(s)
	return false
}

// signalSubscription is the activity by which a run subscribes at a mailbox.
func (h *Host) signalSubscription(ctx context.Context, box, signal string, s subscriptionForm) error {
	return h.signalMailbox(ctx, box, signal, s)
}
