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

// A listening is a wait for events that goes on. The host's lock guards it.
type listening struct {
	journal.Subscription
	await machine.Await
	seen  map[string]bool // the ids of events that were offered
	asks  bool            // past events are being read; those that come meanwhile …
	later []host.Event    // … are kept here
}

// listen asks for the events that the machine waits for: those that came, and those to
// come.
func (r *runner) listen() error {
	for len(r.asked) > 0 {
		a := r.asked[0]
		r.asked = r.asked[1:]
		if r.m.Wants(a) {
			if err := r.subscribe(a); err != nil {
				return err
			}
		}
	}
	r.forgetOld()
	return nil
}

func (r *runner) subscribe(a machine.Await) error {
	h := r.h
	l := &listening{
		Subscription: journal.Subscription{Name: a.Event, Subject: h.hash(a.Subject), Connection: a.Connection, Since: a.Since},
		await:        a, asks: true,
	}
	h.mu.Lock()
	if r.subs == nil {
		r.subs = map[int]*listening{}
	}
	r.subs[a.ID] = l
	h.topics.add(r.w, l.Name, l.Subject)
	h.mu.Unlock()

	past, err := h.opts.Journal.Events(context.Background(), l.Name, l.Subject, l.Connection, l.Since)
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
	events, l.later, l.asks = append(events, l.later...), nil, false
	for i := range events {
		r.offerTo(l, &events[i])
	}
	return nil
}

// forgetOld ends what the run listened to before it was rebuilt: by now it listens anew.
func (r *runner) forgetOld() {
	if len(r.old) == 0 {
		return
	}
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	for _, s := range r.old {
		r.h.topics.remove(r.w, s.Name, s.Subject)
	}
	r.old = nil
}

// unsubscribe drops what the run no longer waits for.
func (r *runner) unsubscribe() {
	if len(r.subs) == 0 {
		return
	}
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	for id, l := range r.subs {
		if !r.m.Wants(l.await) {
			delete(r.subs, id)
			r.h.topics.remove(r.w, l.Name, l.Subject)
		}
	}
}

// offer posts an event to the waits that it fits, and tells whether there is one. The
// host's lock is held.
func (r *runner) offer(e *host.Event, subjects []string) (any bool) {
	for _, id := range slices.Sorted(maps.Keys(r.subs)) {
		if l := r.subs[id]; hears(&l.Subscription, e, subjects) {
			r.offerTo(l, e)
			any = true
		}
	}
	return any
}

func (r *runner) offerTo(l *listening, e *host.Event) {
	if l.asks {
		l.later = append(l.later, *e)
		return
	}
	if l.seen[e.ID] {
		return
	}
	if l.seen == nil {
		l.seen = map[string]bool{}
	}
	l.seen[e.ID] = true
	r.post(item{event: machine.Arrived{At: r.now(), Await: l.await.ID, ID: e.ID, Data: e.Data}})
}

// waits tells what the run waits for, for people.
func (r *runner) waits() []string {
	var out []string
	for _, l := range r.subs {
		if r.m.Wants(l.await) {
			out = append(out, fmt.Sprintf("%s from %s", l.await.Event, l.await.Subject))
		}
	}
	slices.Sort(out)
	return out
}
