package temporal

import (
	"maps"
	"slices"

	"facteur/flow/machine"

	"go.temporal.io/sdk/workflow"
)

// A subscription is a wait of the run for events.
type subscription struct {
	machine.Await
	mailbox string
	seen    map[string]bool // ids of events that came
}

// An eventRef is an event that waits for a runReply.
type eventRef struct{ workflow, id string }

// subscribe subscribes at the mailbox of a wait's events.
func (r *runner) subscribe(a machine.Await) {
	if !r.m.Wants(a) {
		return
	}
	s := &subscription{Await: a, mailbox: r.h.workflowIDOn(r.queueName(), "mailbox", a.Event+"\n"+a.Subject), seen: map[string]bool{}}
	r.subscriptions[a.ID] = s
	r.notifyMailbox(s, subscribeSignal)
}

// queueName returns the task queue of the run. A workflow must not use that of Options, which
// may differ where it is replayed.
func (r *runner) queueName() string { return workflow.GetInfo(r.ctx).TaskQueueName }

func (r *runner) notifyMailbox(s *subscription, signal string) {
	r.pendingOps++
	form := subscriptionForm{Run: r.id(), Await: s.ID, Connection: s.Connection, Since: s.Since}
	future := workflow.ExecuteLocalActivity(workflow.WithLocalActivityOptions(r.ctx, localActivityOptions), subscribeActivity, s.mailbox, signal, form)
	r.selector.AddFuture(future, func(f workflow.Future) {
		r.pendingOps--
		if f.Get(r.ctx, nil) == nil || signal != subscribeSignal {
			return
		}
		r.selector.AddFuture(workflow.NewTimer(r.ctx, receiptsRetry), func(workflow.Future) {
			if r.m.Wants(s.Await) && !r.draining {
				r.notifyMailbox(s, signal)
			}
		})
	})
}

// unsubscribe drops subscriptions that the run does not want any more. A mailbox that does not
// know of that does no harm, as its events are dropped. So it is told only if it would send
// more for long: while the run goes on.
func (r *runner) unsubscribe() {
	for _, id := range slices.Sorted(maps.Keys(r.subscriptions)) {
		if s := r.subscriptions[id]; !r.m.Wants(s.Await) {
			delete(r.subscriptions, id)
			if r.m.Result() == nil {
				r.signal(s.mailbox, unsubscribeSignal, subscriptionForm{Run: r.id(), Await: id})
			}
		}
	}
}

// signal signals another workflow, and ignores that it may have ended.
func (r *runner) signal(to, name string, arg any) {
	r.pendingOps++
	r.selector.AddFuture(workflow.SignalExternalWorkflow(r.ctx, to, "", name, arg), func(workflow.Future) { r.pendingOps-- })
}

// onEvents handles events for a wait.
func (r *runner) onEvents(a arrivedEvents) {
	s := r.subscriptions[a.Await]
	for _, d := range a.Deliveries {
		r.unanswered = append(r.unanswered, eventRef{d.Workflow, d.Event.ID})
		if s == nil || s.seen[d.Event.ID] || !r.m.Wants(s.Await) {
			continue // it was sent before the mailbox knew that the run has stopped waiting
		}
		s.seen[d.Event.ID] = true
		e, err := d.Event.event()
		if err != nil {
			panic(err.Error())
		}
		r.apply(machine.Arrived{At: r.now(), Await: a.Await, ID: e.ID, Data: e.Data})
	}
}

// answerEvents replies to the events that came whether the run consumed them.
func (r *runner) answerEvents() {
	for _, e := range r.unanswered {
		r.signal(e.workflow, runReplySignal, runReply{Run: r.id(), Claimed: r.m.Consumed(e.id)})
	}
	r.unanswered = nil
}
