package temporal

import (
	"context"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"
)

const (
	letterSignal      = "letter"
	subscribeSignal   = "subscribe"
	unsubscribeSignal = "unsubscribe"

	// kept is how long, keptMost how many, and keptBytes how large together, events stay
	// in a mailbox for runs that will wait for them.
	kept      = 7 * 24 * time.Hour
	keptMost  = 100
	keptBytes = 1 << 20
	// longBox is from how many events on the history of a mailbox begins anew.
	longBox = 2000
)

// A mailboxInput is what a mailbox begins with.
type mailboxInput struct {
	Letters []letter           `json:"letters,omitempty"` // in the order in which they came
	Waiting []subscriptionForm `json:"waiting,omitempty"`
	Looks   bool               `json:"looks,omitempty"` // it looks, when nothing comes for long, who still waits
}

// A subscriptionForm says that a run waits for events.
type subscriptionForm struct {
	Run        string    `json:"run"`
	Await      int       `json:"await"`
	Connection string    `json:"connection,omitempty"`
	Since      time.Time `json:"since"`
}

func (s *subscriptionForm) wants(l *letter) bool {
	return !l.Event.At.Before(s.Since) && (s.Connection == "" || l.Event.Connection == "" || s.Connection == l.Event.Connection)
}

func (s *subscriptionForm) is(other *subscriptionForm) bool {
	return s.Run == other.Run && s.Await == other.Await
}

// arrived is what a run is told: events for one of its waits, oldest first.
type arrived struct {
	Await   int      `json:"await"`
	Letters []letter `json:"letters"`
}

// A box brings the events of one kind and subject to the runs that wait for them,
// now or soon.
type box struct {
	mailboxInput
	ctx    workflow.Context
	letter workflow.ReceiveChannel
	subs   workflow.ReceiveChannel
	unsubs workflow.ReceiveChannel
}

// mailbox is the workflow of a mailbox. It ends when nobody waits and it has been empty
// for a while. Runs that end do not tell it that they wait no more.
func (h *Host) mailbox(ctx workflow.Context, in mailboxInput) error {
	b := &box{
		mailboxInput: in, ctx: ctx, letter: workflow.GetSignalChannel(ctx, letterSignal),
		subs: workflow.GetSignalChannel(ctx, subscribeSignal), unsubs: workflow.GetSignalChannel(ctx, unsubscribeSignal),
	}
	for {
		for b.one() {
		}
		info := workflow.GetInfo(ctx)
		if info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > longBox {
			return workflow.NewContinueAsNewError(ctx, mailboxType, b.mailboxInput)
		}
		b.forget()
		if len(b.Letters) == 0 && len(b.Waiting) == 0 {
			return nil
		}
		if quiet := b.wait(); quiet && len(b.Waiting) > 0 {
			b.look()
		}
	}
}

// one deals with one signal, and tells whether there was any. Who waits no more is heard
// first, then who waits.
func (b *box) one() bool {
	var s subscriptionForm
	if b.unsubs.ReceiveAsync(&s) {
		b.Waiting = slices.DeleteFunc(b.Waiting, func(other subscriptionForm) bool { return s.is(&other) })
		return true
	}
	s = subscriptionForm{}
	if b.subs.ReceiveAsync(&s) {
		b.subscribe(s)
		return true
	}
	var l letter
	if b.letter.ReceiveAsync(&l) {
		b.pass(l)
		return true
	}
	return false
}

// wait waits for a signal, or until the newest letter is too old: then it tells so.
func (b *box) wait() (quiet bool) {
	ctx, cancel := workflow.WithCancel(b.ctx)
	defer cancel()
	sel := workflow.NewSelector(ctx)
	for _, c := range []workflow.ReceiveChannel{b.letter, b.subs, b.unsubs} {
		sel.AddReceive(c, func(workflow.ReceiveChannel, bool) {})
	}
	if len(b.Waiting) == 0 || b.Looks {
		sel.AddFuture(workflow.NewTimer(ctx, kept), func(workflow.Future) { quiet = true })
	}
	sel.Select(ctx)
	return quiet
}

// look forgets those who have ended.
func (b *box) look() {
	var runs []string
	for _, s := range b.Waiting {
		runs = append(runs, s.Run)
	}
	gone := findAbsent(b.ctx, runs)
	b.Waiting = slices.DeleteFunc(b.Waiting, func(s subscriptionForm) bool {
		return slices.Contains(gone.Ended, s.Run) || slices.Contains(gone.Missing, s.Run)
	})
}

// forget drops letters that are too old, or too many.
func (b *box) forget() {
	now := workflow.Now(b.ctx)
	b.Letters = slices.DeleteFunc(b.Letters, func(l letter) bool { return l.Event.At.Before(now.Add(-kept)) })
	first, bytes := len(b.Letters), 0
	for first > 0 && len(b.Letters)-first < keptMost {
		if bytes += len(b.Letters[first-1].Event.Data); bytes > keptBytes && first < len(b.Letters) {
			break
		}
		first--
	}
	b.Letters = slices.Delete(b.Letters, 0, first)
}

// subscribe notes that a run waits, and brings it what came since.
func (b *box) subscribe(s subscriptionForm) {
	if !slices.ContainsFunc(b.Waiting, func(other subscriptionForm) bool { return s.is(&other) }) {
		b.Waiting = append(b.Waiting, s)
	}
	var past []letter
	for _, l := range b.Letters {
		if s.wants(&l) {
			past = append(past, l)
		}
	}
	if len(past) > 0 {
		b.tell(s, past...)
	}
}

// pass brings an event to those who wait for it, and tells it who they are.
func (b *box) pass(l letter) {
	p := passed{Mailbox: workflow.GetInfo(b.ctx).WorkflowExecution.ID}
	if !slices.ContainsFunc(b.Letters, func(other letter) bool { return other.Event.ID == l.Event.ID }) {
		b.Letters = append(b.Letters, l)
		for _, s := range slices.Clone(b.Waiting) {
			if s.wants(&l) && b.tell(s, l) {
				p.Runs = append(p.Runs, s.Run)
			}
		}
	}
	_ = workflow.SignalExternalWorkflow(b.ctx, l.From, "", passedSignal, p).Get(b.ctx, nil) // or it waits no more
}

// tell brings events to a run, and tells whether it was there. It waits until that is
// done, so that a run hears of events in their order.
func (b *box) tell(s subscriptionForm, letters ...letter) bool {
	if workflow.SignalExternalWorkflow(b.ctx, s.Run, "", arrivedSignal, arrived{s.Await, letters}).Get(b.ctx, nil) == nil {
		return true
	}
	b.Waiting = slices.DeleteFunc(b.Waiting, func(other subscriptionForm) bool { return s.is(&other) })
	return false
}

// tellMailbox is the activity by which a run begins to wait, or no longer waits.
func (h *Host) tellMailbox(ctx context.Context, box, signal string, s subscriptionForm) error {
	return h.post(ctx, box, signal, s)
}
