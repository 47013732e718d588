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

// eventRow is the stored form of what is personal of an event.
type eventRow struct {
	Subjects []string `json:"subjects"`
	Data     object   `json:"data"`
}

func (h *Host) storeEvent(e host.Event, subjects []string) (journal.Event, error) {
	var f fields
	names := make([]any, len(e.Subjects))
	for i, s := range e.Subjects {
		names[i] = s
	}
	f.add("subjects", names)
	f.add("data", e.Data)
	body, err := append(f.text, '}'), f.err
	if err == nil {
		body, err = h.seal(body, "event", e.ID)
	}
	if err != nil {
		return journal.Event{}, fmt.Errorf("store an event: %w", err)
	}
	return journal.Event{ID: e.ID, Name: e.Name, Subjects: subjects, Connection: e.Connection, At: e.At, Body: body}, nil
}

func (h *Host) openEvent(stored journal.Event) (host.Event, error) {
	var row eventRow
	if err := h.open(stored.Body, "event "+stored.ID, "the event "+stored.ID, &row); err != nil {
		return host.Event{}, err
	}
	return host.Event{
		ID: stored.ID, Name: stored.Name, Subjects: row.Subjects, Connection: stored.Connection, At: stored.At, Data: row.Data.values(),
	}, nil
}

func (h *Host) hash(s string) string {
	if h.opts.Hash == nil {
		return s
	}
	return h.opts.Hash(s)
}
