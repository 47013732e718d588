package local

import (
	"slices"
	"time"

	"facteur/flow/host"
	"facteur/flow/journal"
)

// A ward is what a host keeps in memory of a run that has not ended. The host's lock
// guards it.
type ward struct {
	id, flow string
	state    state
	busy     bool          // somebody works on the run's journal
	free     chan struct{} // closed then, for those who wait for that; nil: nobody does
	due      bool          // it is to be carried once nobody is busy with it
	queues   bool          // it had not begun when it was kept
	runner   *runner       // while it is carried
	lock     *lock         // by its flow's `concurrency`; nil: there is none

	// What is there while it waits; the rest is in the journal.
	until   time.Time // of the first timer; zero: none
	at      int       // in the host's timers, from 1; 0: not there
	naps    uint32    // how often it was parked
	mark    uint32    // the search that found it last
	subs    []journal.Subscription
	keys    []string // of calls whose receipts are wanted
	held    map[*hold]int
	tickets map[string]*ticket // by limit
	passed  map[string]int     // by the key of a call: how far it came through its limits
	handed  int                // how many records were stored since it was parked, from the first receipt on

	hearings []*hearing // of events that it may consume
	end      *end       // for those who wait for it; nil: nobody does
	reason   string     // why it is stuck
}

// state is where a ward stands.
type state uint8

const (
	parked  state = iota // its machine is gone; something wakes it
	inLine               // it waits for a worker
	carried              // a runner has it
	queued               // by its flow's `concurrency`
	kept                 // since a backup was restored, until it is released
	stuck                // its journal does not fit
	over                 // it has ended; somebody works on its journal
)

// An end is what those who wait for a run are told.
type end struct {
	told   chan struct{} // closed when the rest is known
	result *host.Result  // it may not survive a crash yet
	err    error
}

// waitForEnd returns what the caller is told in the end. The host's lock is held.
func (w *ward) waitForEnd() *end {
	if w.end == nil {
		w.end = &end{told: make(chan struct{})}
	}
	return w.end
}

// tell tells those who wait for the run. The host's lock is held.
func (w *ward) tell(result *host.Result, err error) {
	if e := w.end; e != nil {
		w.end = nil
		e.result, e.err = result, err
		close(e.told)
	}
}

// leave says that nobody works on the run's journal any more. The host's lock is held.
func (w *ward) leave() {
	w.busy = false
	if w.free != nil {
		close(w.free)
		w.free = nil
	}
}

// wants tells whether a parked run wants the receipts of a call.
func (w *ward) wants(key string) bool {
	return slices.Contains(w.keys, key)
}

// listens tells whether the run waits for an event that comes now, and since when at the
// latest. The subjects are those of the index.
func (w *ward) listens(e *host.Event, subjects []string) (since time.Time, any bool) {
	look := func(s *journal.Subscription) {
		if hears(s, e, subjects) {
			if any = true; s.Since.After(since) {
				since = s.Since
			}
		}
	}
	for i := range w.subs {
		look(&w.subs[i])
	}
	if w.state == carried {
		for i := range w.runner.old {
			look(&w.runner.old[i])
		}
		for _, l := range w.runner.subs {
			look(&l.Subscription)
		}
	}
	return since, any
}

// hears tells whether an event that comes now is one that is waited for.
func hears(s *journal.Subscription, e *host.Event, subjects []string) bool {
	return s.Name == e.Name && slices.Contains(subjects, s.Subject) &&
		(s.Connection == "" || e.Connection == "" || s.Connection == e.Connection)
}

// A topic is what events are found by.
type topic struct{ name, subject string }

// topics tells which runs wait for what. A run is there once for each subscription.
type topics map[topic][]*ward

func (t topics) add(w *ward, name, subject string) {
	k := topic{name, subject}
	t[k] = append(t[k], w)
}

func (t topics) remove(w *ward, name, subject string) {
	k := topic{name, subject}
	list := t[k]
	for i, other := range list {
		if other != w {
			continue
		}
		last := len(list) - 1
		list[i], list[last] = list[last], nil
		if last == 0 {
			delete(t, k)
		} else {
			t[k] = list[:last]
		}
		return
	}
}

// timers are the parked runs that a time wakes, a heap by that time.
type timers []*ward

func (t *timers) set(w *ward, until time.Time) {
	w.until = until
	if until.IsZero() {
		return
	}
	*t = append(*t, w)
	t.up(len(*t) - 1)
}

func (t *timers) remove(w *ward) {
	if w.at == 0 {
		return
	}
	i, last := w.at-1, len(*t)-1
	w.at = 0
	moved := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	if i == last {
		return
	}
	(*t)[i] = moved
	t.down(i)
	t.up(moved.at - 1)
}

func (t timers) first() (*ward, time.Time) {
	if len(t) == 0 {
		return nil, time.Time{}
	}
	return t[0], t[0].until
}

func (t timers) up(i int) {
	w := t[i]
	for i > 0 {
		above := (i - 1) / 2
		if !w.until.Before(t[above].until) {
			break
		}
		t[i] = t[above]
		t[i].at = i + 1
		i = above
	}
	t[i] = w
	w.at = i + 1
}

func (t timers) down(i int) {
	w := t[i]
	for {
		below := 2*i + 1
		if below >= len(t) {
			break
		}
		if below+1 < len(t) && t[below+1].until.Before(t[below].until) {
			below++
		}
		if !t[below].until.Before(w.until) {
			break
		}
		t[i] = t[below]
		t[i].at = i + 1
		i = below
	}
	t[i] = w
	w.at = i + 1
}
