package local

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"facteur/flow/call"
	"facteur/flow/journal"
	"facteur/flow/machine"
	"facteur/flow/plan"
)

// callWindow is how many call numbers below and above a run's own are searched for receipts.
const callWindow = 64

// A Backup is a backup that the journal was restored from.
type Backup struct {
	Until time.Time `json:"until"` // it contains all that happened until then; zero: unknown
	At    time.Time `json:"at"`    // when it was restored
}

// backupsOf returns the backups after which a run may have done more than the journal says, nil
// for none. That is a run which started before the restore; one with an idempotency key has the
// id of any earlier run of that key, so all backups count.
func (h *Host) backupsOf(head *journal.Run) []Backup {
	for i, b := range h.opts.Backups {
		if len(head.Inputs) > 0 || !head.Started.After(b.At) {
			return h.opts.Backups[i:]
		}
	}
	return nil
}

// since is the earliest start of a run whose receipts are asked for. The first run with its
// idempotency key may have started after the backup was made.
func (h *Host) since(head *journal.Run) time.Time {
	if backups := h.backupsOf(head); len(backups) > 0 && !head.Started.Before(backups[0].At) {
		return backups[0].Until
	}
	return head.Started
}

// A restoredRun is what a run from a backup knows of the time after the backup, when it may
// have done more than the journal says. A receipt tells its call by number only. Numbers that
// were given in the backup mean the same call now as they did then. Later numbers do so only
// while the run goes on as it did then: an attempt that was refused, branches that took turns
// in another order, or steps that followed a failure shift them, and then a receipt would be
// taken for another message's.
type restoredRun struct {
	at            time.Time
	since         time.Time       // the run's start at the earliest
	lastNumber    int             // call numbers given in the backup; -1: not all its events are applied
	unusedNumbers int             // those of them without a call, which shift later numbers
	begunSteps    []*machine.Step // in the backup: decisions that depend on these are the same
	acted         bool            // since the restore it did what it may not have done before, or it was restored several times
	checkedTo     int             // no receipts of unknown calls were found up to this number …
	unexpected    int             // … and one of this number arrived since; 0: none
	fixedCalls    func() bool     // whether outcomes of calls cannot shift later numbers
}

// initRestored sets r.restored if the run is from a backup, before its events are applied.
func (r *runner) initRestored(p *plan.Plan, head *journal.Run) {
	backups := r.h.backupsOf(head)
	if len(backups) == 0 {
		return
	}
	rr := &restoredRun{at: backups[0].At, since: r.h.since(head), lastNumber: -1, acted: len(backups) > 1}
	rr.fixedCalls = sync.OnceValue(func() bool {
		return p.FixedCalls(func(place string) bool {
			return slices.ContainsFunc(rr.begunSteps, func(s *machine.Step) bool { return s.Path == place })
		})
	})
	r.restored = rr
}

// observe comes before each event is applied.
func (rr *restoredRun) observe(m *machine.Machine, event machine.Event) {
	if event.Time().After(rr.at) {
		rr.markEnd(m)
		rr.note(event)
	}
}

// markEnd records how far the run was in the backup.
func (rr *restoredRun) markEnd(m *machine.Machine) {
	if rr.lastNumber >= 0 {
		return
	}
	rr.lastNumber, rr.unusedNumbers = m.LastNumber(), m.UnusedNumbers()
	if began := m.Steps(); len(began) > 0 && !began[0].Started.After(rr.at) {
		rr.begunSteps = slices.Clone(began)
	}
}

// note records an event that came after the restore.
func (rr *restoredRun) note(event machine.Event) {
	switch event.(type) {
	case machine.Taken, machine.Settled:
		rr.acted = true
	}
}

// isSame tells whether a number surely means the call that it meant before the restore, given
// that receipts show that there was one.
func (r *runner) isSame(n int) bool {
	rr := r.restored
	return n <= rr.lastNumber || !rr.acted && r.m.UnusedNumbers() == rr.unusedNumbers && len(r.m.Unknown()) == 0 && rr.fixedCalls()
}

// mayMakeRestored tells whether a run from a backup may make a call. A call that its receipts show
// to have happened is not made again. Where the receipts do not tell, the run stops.
func (r *runner) mayMakeRestored(c *machine.Call) (bool, error) {
	n := call.NumberOf(c.Key)
	receipts, other, err := r.lookUpReceipts(c.Key)
	switch {
	case err != nil:
		r.askLater(c)
		return false, nil
	case len(receipts) == 0 && other == 0:
		return true, nil
	case len(receipts) == 0:
		r.restoreErr = restoreConflict("there are receipts of its call %d, which is not in the backup, but none of call %d, which step %s would make before it", other, n, c.Step)
		return false, nil
	case !r.isSame(n):
		r.restoreErr = ambiguousCall(n)
		return false, nil
	}
	for _, receipt := range receipts {
		if err := r.apply(machine.Received{At: r.now(), Receipt: receipt}); err != nil {
			return false, err
		}
	}
	if r.m.Wants(c) {
		r.restoreErr = restoreConflict("its call %d, of step %s, was made after the backup and did not succeed", n, c.Step)
	}
	return false, nil
}

// lookUpReceipts returns the receipts of a call, and the number of a nearby call with receipts
// that the run as restored neither made nor is about to make; 0 for none.
func (r *runner) lookUpReceipts(key string) (receipts []call.Receipt, other int, err error) {
	rr, last := r.restored, r.m.LastNumber()
	keys := []string{key}
	for i := max(rr.checkedTo+1, call.NumberOf(key)-callWindow, 1); i <= last+callWindow; i++ {
		if key := r.m.Key(i); !r.m.HasCall(key) {
			keys = append(keys, key)
		}
	}
	all, err := r.pastReceipts(keys...)
	if err != nil {
		return nil, 0, err
	}
	if rr.unexpected > last {
		other = rr.unexpected
	}
	for _, receipt := range all {
		if receipt.Key == key {
			receipts = append(receipts, receipt)
		} else {
			other = cmp.Or(other, call.NumberOf(receipt.Key))
		}
	}
	if other == 0 {
		rr.checkedTo = last + callWindow
	}
	return receipts, other, nil
}

// acceptReceipt tells whether a run from a backup may apply a receipt that arrives: not if it
// would count for a call that is yet to be made, and may be of another one.
func (r *runner) acceptReceipt(key string) bool {
	n := call.NumberOf(key)
	switch ic := r.inFlight[key]; {
	case !r.m.HasCall(key):
		r.restored.unexpected = max(r.restored.unexpected, n)
		return true
	case ic != nil && ic.taken, !r.m.Wants(&machine.Call{Call: call.Call{Key: key}}), r.isSame(n):
		return true
	}
	r.restoreErr = ambiguousCall(n)
	return false
}

func ambiguousCall(n int) error {
	return restoreConflict("there are receipts of its call %d, which is not in the backup, and it is not certain that this is the call that it would make now", n)
}

func restoreConflict(format string, args ...any) error {
	return fmt.Errorf("it continued after the backup, and it is not known how: "+format+
		". So it sends nothing more: check what was sent, then cancel it, and start new runs for what is missing", args...)
}
