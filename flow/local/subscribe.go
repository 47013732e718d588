package local

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
)

// A subscription is an Await that is being served. Guarded by the host's mu.
type subscription struct {
	journal.Subscription
	await     machine.Await
	seen      map[string]bool // ids of the events that were offered
	replaying bool            // stored events are being read; those that come meanwhile …
	buffered  []host.Event    // … wait here
}

// listen subscribes to what the machine newly waits for, and offers it the stored events.
func (r *runner) listen() error {
	for len(r.newAwaits) > 0 {
		a := r.newAwaits[0]
		r.newAwaits = r.newAwaits[1:]
		if r.m.Wants(a) {
			if err := r.subscribe(a); err != nil {
				return err
			}
		}
	}
	r.dropOldSubs()
	return nil
}

func (r *runner) subscribe(a machine.Await) error {
	h := r.h
	sub := &subscription{
		Subscription: journal.Subscription{Name: a.Event, Subject: h.hash(a.Subject), Connection: a.Connection, Since: a.Since},
		await:        a, replaying: true,
	}
	h.mu.Lock()
	if r.subs == nil {
		r.subs = map[int]*subscription{}
	}
	r.subs[a.ID] = sub
	h.topics.add(r.run, sub.Name, sub.Subject)
	h.mu.Unlock()

	past, err := h.opts.Journal.Events(context.Background(), sub.Name, sub.Subject, sub.Connection, sub.Since)
	if err != nil {
		return &storeError{fmt.Errorf("look for events that came: %w", err)}
	}
	events := make([]host.Event, 0, len(past))
	for _, stored := range past {
		e, err := h.openEvent(stored)
		if err != nil {
			return err
		}
		events = append(events, e)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	events, sub.buffered, sub.replaying = append(events, sub.buffered...), nil, false
	for i := range events {
		r.offerTo(sub, &events[i])
	}
	return nil
}

// dropOldSubs drops the subscriptions from before the run was rebuilt: it has new ones by now.
func (r *runner) dropOldSubs() {
	if len(r.oldSubs) == 0 {
		return
	}
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	for _, s := range r.oldSubs {
		r.h.topics.remove(r.run, s.Name, s.Subject)
	}
	r.oldSubs = nil
}

// unsubscribe drops what the run no longer waits for.
func (r *runner) unsubscribe() {
	if len(r.subs) == 0 {
		return
	}
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	for id, sub := range r.subs {
		if !r.m.Wants(sub.await) {
			delete(r.subs, id)
			r.h.topics.remove(r.run, sub.Name, sub.Subject)
		}
	}
}

// offer offers an event to the matching subscriptions. The caller holds h.mu.
func (r *runner) offer(e *host.Event, subjects []string) {
	for _, id := range slices.Sorted(maps.Keys(r.subs)) {
		if sub := r.subs[id]; matches(&sub.Subscription, e, subjects) {
			r.offerTo(sub, e)
		}
	}
}

func (r *runner) offerTo(sub *subscription, e *host.Event) {
	if sub.replaying {
		sub.buffered = append(sub.buffered, *e)
		return
	}
	if sub.seen[e.ID] {
		return
	}
	if sub.seen == nil {
		sub.seen = map[string]bool{}
	}
	sub.seen[e.ID] = true
	r.post(message{event: machine.Arrived{At: r.now(), Await: sub.await.ID, ID: e.ID, Data: e.Data}})
}

// awaitedEvents describes for people what the run waits for.
func (r *runner) awaitedEvents() []string {
	var out []string
	for _, sub := range r.subs {
		if r.m.Wants(sub.await) {
			out = append(out, fmt.Sprintf("%s from %s", sub.await.Event, sub.await.Subject))
		}
	}
	slices.Sort(out)
	return out
}
