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
	box  string
	seen map[string]bool // the ids of events that were offered
}

// heard is an event that waits to hear whether the run consumed it.
type heard struct{ from, event string }

// subscribe begins to listen.
func (r *runner) subscribe(a machine.Await) {
	if !r.m.Wants(a) {
		return
	}
	s := &subscription{Await: a, box: r.h.nameOn(r.queueName(), "mailbox", a.Event+"\n"+a.Subject), seen: map[string]bool{}}
	r.subs[a.ID] = s
	r.tellBox(s, subscribeSignal)
}

// queueName is the task queue of the run: what a workflow does must not depend on the
// options of whoever replays it.
func (r *runner) queueName() string { return workflow.GetInfo(r.ctx).TaskQueueName }

func (r *runner) tellBox(s *subscription, signal string) {
	r.beside++
	form := subscriptionForm{Run: r.id(), Await: s.ID, Connection: s.Connection, Since: s.Since}
	future := workflow.ExecuteLocalActivity(workflow.WithLocalActivityOptions(r.ctx, nearby), subscribeActivity, s.box, signal, form)
	r.sel.AddFuture(future, func(f workflow.Future) {
		r.beside--
		if f.Get(r.ctx, nil) == nil || signal != subscribeSignal {
			return
		}
		r.sel.AddFuture(workflow.NewTimer(r.ctx, pastPause), func(workflow.Future) {
			if r.m.Wants(s.Await) && !r.draining {
				r.tellBox(s, signal)
			}
		})
	})
}

// unsubscribe drops what the run no longer waits for. That the mailbox does not know of it
// does no harm: what it brings is dropped. So it is told only where it would go on for
// long, while the run goes on.
func (r *runner) unsubscribe() {
	for _, id := range slices.Sorted(maps.Keys(r.subs)) {
		if s := r.subs[id]; !r.m.Wants(s.Await) {
			delete(r.subs, id)
			if r.m.Result() == nil {
				r.signal(s.box, unsubscribeSignal, subscriptionForm{Run: r.id(), Await: id})
			}
		}
	}
}

// signal tells another workflow something. If that is not there any more, it need not know.
func (r *runner) signal(to, name string, arg any) {
	r.beside++
	r.sel.AddFuture(workflow.SignalExternalWorkflow(r.ctx, to, "", name, arg), func(workflow.Future) { r.beside-- })
}

// arrived takes events for a wait.
func (r *runner) arrived(a arrived) {
	s := r.subs[a.Await]
	for _, l := range a.Letters {
		r.heard = append(r.heard, heard{l.From, l.Event.ID})
		if s == nil || s.seen[l.Event.ID] || !r.m.Wants(s.Await) {
			continue // it was on its way when the run stopped waiting
		}
		s.seen[l.Event.ID] = true
		e, err := l.Event.event()
		if err != nil {
			panic(err.Error())
		}
		r.apply(machine.Arrived{At: r.now(), Await: a.Await, ID: e.ID, Data: e.Data})
	}
}

// answerHeard tells the events that the run heard of whether it consumed them.
func (r *runner) answerHeard() {
	for _, one := range r.heard {
		r.signal(one.from, heardSignal, said{Run: r.id(), Claimed: r.m.Consumed(one.event)})
	}
	r.heard = nil
}
