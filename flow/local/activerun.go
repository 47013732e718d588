package local

import (
	"container/heap"
	"slices"
	"time"

	"facteur/flow/host"
	"facteur/flow/journal"
)

// An activeRun is what a host keeps in memory of a run that has not ended. Guarded by the
// host's mu.
type activeRun struct {
	id, flow    string
	state       state
	claimed     bool          // somebody is writing the run's journal: see Host.claim
	released    chan struct{} // closed at the end of the claim; nil: nobody waits for it
	wakePending bool          // it becomes ready when the claim ends
	wasQueued   bool          // it is held, and was queued before that
	runner      *runner       // while it is in stateRunning
	lock        *flowLock     // of its flow's `concurrency`; nil: none

	// Kept while the run is parked; everything else is in the journal.
	until         time.Time // its earliest timer; zero: none
	heapIndex     int       // index in the host's timers, plus one; 0: it is not there
	parkCount     uint32    // how often it was parked
	lastSearch    uint32    // the Host.searchCount that visited it last
	subs          []journal.Subscription
	receiptKeys   []string // calls whose receipts it waits for
	holds         map[*hold]int
	waiters       map[string]*waiter // by limit
	nextLimits    map[string]int     // by call key: its waitingCall.nextLimit
	unseenRecords int                // records appended since it was parked, from the first receipt on

	deliveries []*delivery // events that it may yet consume
	completion *completion // nil: nobody waits for its end
	reason     string      // why it is stuck
}

// state is where an activeRun stands.
type state uint8

const (
	stateParked  state = iota // not in memory; a timer, an event or a receipt wakes it
	stateReady                // in the run queue, for a worker
	stateRunning              // it has a runner
	stateQueued               // waits for its flowLock
	stateHeld                 // after a restore, until it is released
	stateStuck                // its journal does not fit its flow
	stateEnded                // it has ended; somebody has claimed it
)

// A completion tells those who wait for a run how it ended.
type completion struct {
	done   chan struct{} // closed when result or err is set
	result *host.Result  // not necessarily durable yet
	err    error
}

// awaitCompletion returns the completion that complete will fill in. The caller holds h.mu.
func (run *activeRun) awaitCompletion() *completion {
	if run.completion == nil {
		run.completion = &completion{done: make(chan struct{})}
	}
	return run.completion
}

// complete wakes those who wait for the run's end. The caller holds h.mu.
func (run *activeRun) complete(result *host.Result, err error) {
	if c := run.completion; c != nil {
		run.completion = nil
		c.result, c.err = result, err
		close(c.done)
	}
}

// unclaim ends a claim and wakes those who wait for that. The caller holds h.mu.
func (run *activeRun) unclaim() {
	run.claimed = false
	if run.released != nil {
		close(run.released)
		run.released = nil
	}
}

// wantsReceipt tells whether a parked run waits for receipts of a call.
func (run *activeRun) wantsReceipt(key string) bool {
	return slices.Contains(run.receiptKeys, key)
}

// subscribedTo tells whether the run waits for an event, and the latest Since of the
// subscriptions that match. The subjects are hashed.
func (run *activeRun) subscribedTo(e *host.Event, subjects []string) (since time.Time, ok bool) {
	match := func(s *journal.Subscription) {
		if matches(s, e, subjects) {
			if ok = true; s.Since.After(since) {
				since = s.Since
			}
		}
	}
	for i := range run.subs {
		match(&run.subs[i])
	}
	if run.state == stateRunning {
		for i := range run.runner.oldSubs {
			match(&run.runner.oldSubs[i])
		}
		for _, sub := range run.runner.subs {
			match(&sub.Subscription)
		}
	}
	return since, ok
}

// matches tells whether an event with those (hashed) subjects is for a subscription. Its time
// is not compared: the event comes now.
func matches(s *journal.Subscription, e *host.Event, subjects []string) bool {
	return s.Name == e.Name && slices.Contains(subjects, s.Subject) &&
		(s.Connection == "" || e.Connection == "" || s.Connection == e.Connection)
}

// A topic is the index key of subscriptions.
type topic struct{ name, subject string }

// topics index runs by what they subscribe to. A run is listed once per subscription.
type topics map[topic][]*activeRun

func (t topics) add(run *activeRun, name, subject string) {
	key := topic{name, subject}
	t[key] = append(t[key], run)
}

func (t topics) remove(run *activeRun, name, subject string) {
	key := topic{name, subject}
	list := t[key]
	i, last := slices.Index(list, run), len(list)-1
	if i < 0 {
		return
	}
	if last == 0 {
		delete(t, key)
		return
	}
	list[i], list[last] = list[last], nil
	t[key] = list[:last]
}

// timers is a heap of runs by the time that wakes them.
type timers []*activeRun

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].until.Before(t[j].until) }

func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].heapIndex, t[j].heapIndex = i+1, j+1
}

// Push implements heap.Interface.
func (t *timers) Push(run any) {
	*t = append(*t, run.(*activeRun))
	(*t)[len(*t)-1].heapIndex = len(*t)
}

// Pop implements heap.Interface.
func (t *timers) Pop() any {
	last := len(*t) - 1
	run := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	run.heapIndex = 0
	return run
}

func (t *timers) set(run *activeRun, until time.Time) {
	if run.until = until; !until.IsZero() {
		heap.Push(t, run)
	}
}

func (t *timers) remove(run *activeRun) {
	if run.heapIndex > 0 {
		heap.Remove(t, run.heapIndex-1)
	}
}

func (t timers) first() (*activeRun, time.Time) {
	if len(t) == 0 {
		return nil, time.Time{}
	}
	return t[0], t[0].until
}
