package local

import (
	"context"
	"fmt"

	"facteur/flow/journal"
	"facteur/flow/machine/stored"
	"facteur/flow/plan"
)

// A lock bounds the runs of a flow that go on at the same time, for one value of its
// key. The host's lock guards it.
type lock struct {
	key     string
	limit   int
	holders int
	coming  int     // queued, and not stored yet
	line    []*ward // queued, in order
}

// lockKey returns what the flow's concurrency locks, "" when it bounds nothing.
func (h *Host) lockKey(p *plan.Plan, inputs map[string]any) (string, error) {
	if p.Concurrency == nil {
		return "", nil
	}
	key, err := p.ConcurrencyKey(inputs, h.now())
	if err != nil {
		return "", err
	}
	return h.hash(p.Name + "\n" + key), nil
}

// lockFor returns the lock of that key. The host's lock is held.
func (h *Host) lockFor(key string, limit int) *lock {
	l := h.locks[key]
	if l == nil {
		l = &lock{key: key}
		h.locks[key] = l
	}
	if limit > 0 {
		l.limit = limit
	}
	return l
}

// full tells whether another run has to wait.
func (l *lock) full() bool { return l.holders >= l.limit || len(l.line)+l.coming > 0 }

// join puts a queued run, which is stored by now, at the end of the line. The host's lock
// is held.
func (h *Host) join(w *ward) {
	w.lock.coming--
	w.lock.line = append(w.lock.line, w)
	h.admitNext(w.lock)
}

// unlock lets go of what a ward holds, or waits for, and lets the next ones begin. The
// host's lock is held.
func (h *Host) unlock(w *ward) {
	l := w.lock
	if l == nil {
		return
	}
	w.lock = nil
	if w.state == queued || w.queues {
		for i, other := range l.line {
			if other == w {
				l.line = append(l.line[:i], l.line[i+1:]...)
				break
			}
		}
	} else {
		l.holders--
	}
	h.admitNext(l)
}

// admitNext begins queued runs as far as the lock has room. One whose journal somebody is
// busy with begins, and those behind it, when it is released. The host's lock is held.
func (h *Host) admitNext(l *lock) {
	for len(l.line) > 0 && !l.line[0].busy && l.holders < l.limit && h.failed() == nil {
		w := l.line[0]
		l.line[0] = nil
		l.line = l.line[1:]
		l.holders++
		w.state = parked
		if err := h.begin(w); err != nil {
			h.fail(err)
			return
		}
	}
	if len(l.line)+l.coming == 0 && l.holders == 0 {
		delete(h.locks, l.key)
	}
	h.dispatch()
}

// begin lets a queued run begin: its time starts now. The host's lock is held.
func (h *Host) begin(w *ward) error {
	record, err := h.pack(w.id, func(room []byte) (stored.Record, error) {
		return stored.Record{At: h.now(), Kind: began, Body: append(room, "{}"...)}, nil
	})
	if err != nil {
		return err
	}
	c := journal.Change{Records: []journal.Record{record}, Status: running, Waits: &journal.Waits{}}
	if err := h.opts.Journal.Write(context.Background(), w.id, false, c); err != nil {
		return fmt.Errorf("store that a queued run begins: %w", err)
	}
	if w.handed > 0 { // it comes behind receipts
		w.handed++
	}
	h.enqueue(w)
	return nil
}
