package local

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
)

// maxKept bounds the events, and the receipts for runs that are not here, that a host
// keeps in memory: past it, the oldest are forgotten.
const maxKept = 10_000

// Deliver brings an event to the runs that wait for it, now or later.
func (h *Host) Deliver(e host.Event) {
	if e.At.IsZero() {
		e.At = h.opts.Clock.Now()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = kept(h.events, e)
	for _, r := range h.runs {
		r.offer(e)
	}
}

// Receive brings a receipt to the run that made the call, now or when it is resumed.
func (h *Host) Receive(receipt call.Receipt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.runs[runOf(receipt.Key)]; r != nil {
		r.receive(receipt)
		return
	}
	h.receipts = kept(h.receipts, receipt)
}

// runOf returns the run that a call's key belongs to, "" when it is none of ours.
func runOf(key string) string {
	rest, ok := strings.CutPrefix(key, "f1.")
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot < 0 {
		return ""
	}
	return rest[:dot]
}

// kept adds to a list that is bounded.
func kept[T any](list []T, one T) []T {
	if len(list) >= maxKept {
		list = slices.Delete(list, 0, maxKept/10) // not one by one, which costs each time
	}
	return append(list, one)
}

// enter makes the run known, so that nobody else carries it, and gives it the receipts
// that came before.
func (h *Host) enter(r *runner) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runs[r.id] != nil {
		return fmt.Errorf("run %s: %w", r.id, ErrUnderWay)
	}
	h.runs[r.id] = r
	h.receipts = slices.DeleteFunc(h.receipts, func(receipt call.Receipt) bool {
		mine := runOf(receipt.Key) == r.id
		if mine {
			r.receive(receipt)
		}
		return mine
	})
	return nil
}

func (h *Host) leave(r *runner) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.runs, r.id)
}

func (r *runner) receive(receipt call.Receipt) {
	r.post(machine.Received{At: r.now(), Receipt: receipt})
}

func (r *runner) subscribe(c machine.Await) {
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	if r.subs == nil {
		r.subs = map[int]machine.Await{}
	}
	r.subs[c.ID] = c
	for _, e := range r.h.events {
		r.offerTo(c, e)
	}
}

// unsubscribe drops what the run no longer waits for.
func (r *runner) unsubscribe() {
	if len(r.subs) == 0 {
		return
	}
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	maps.DeleteFunc(r.subs, func(_ int, s machine.Await) bool { return !r.m.Wants(s) })
}

// offer posts an event to the subscriptions that it fits. The host's lock is held.
func (r *runner) offer(e host.Event) {
	if len(r.subs) == 0 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(r.subs)) {
		r.offerTo(r.subs[id], e)
	}
}

func (r *runner) offerTo(s machine.Await, e host.Event) {
	if s.Event == e.Name && slices.Contains(e.Subjects, s.Subject) && !e.At.Before(s.Since) &&
		(s.Connection == "" || e.Connection == "" || s.Connection == e.Connection) {
		r.post(machine.Arrived{At: r.now(), Await: s.ID, ID: e.ID, Data: e.Data})
	}
}

// waits tells what the run waits for, for people.
func (r *runner) waits() []string {
	var out []string
	for _, s := range r.subs {
		if r.m.Wants(s) {
			out = append(out, fmt.Sprintf("%s from %s", s.Event, s.Subject))
		}
	}
	slices.Sort(out)
	return out
}
