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
)

// farthest is how many numbers of calls are looked at, before and after those that a run from
// a backup has given.
const farthest = 64

// A Backup is one that the journal was restored from.
type Backup struct {
	Until time.Time `json:"until"` // it has all that happened until then; zero: nobody knows
	At    time.Time `json:"at"`    // when it was restored
}

// backupsOf returns the backups since which a run may have done more than the journal holds,
// nil for none: those that had it, or are older than the first run of its key.
func (h *Host) backupsOf(head *journal.Run) []Backup {
	for i, b := range h.opts.Backups {
		if len(head.Inputs) > 0 || !head.Started.After(b.At) {
			return h.opts.Backups[i:]
		}
	}
	return nil
}

// since is when a run started whose receipts are asked for. The first run of its key may have
// done so after the backup was made.
func (h *Host) since(head *journal.Run) time.Time {
	if from := h.backupsOf(head); len(from) > 0 && !head.Started.Before(from[0].At) {
		return from[0].Until
	}
	return head.Started
}

// A backup is what a run that comes from one knows of the time after it, when it may have done
// more than the journal holds. Only the number of a call tells which one a receipt is of. Those
// that the backup has given meant the same call then. Later ones do only as long as the run goes
// on as it did: an attempt that was refused, branches that took turns in another way, or steps
// that a failure led to shift them, and then a receipt tells of somebody else's message.
type backup struct {
	at     time.Time
	since  time.Time       // when it may have started
	known  int             // numbers that the backup has given; -1: all so far
	unmade int             // … and that no call has: those of later ones are higher for that
	begun  []*machine.Step // in the backup: what these turned on is decided
	acted  bool            // since then the run has done something that it may not have done before, or went on in several ways
	looked int             // the last number of which there was no news …
	heard  int             // … and one of which news came then
	steady func() bool     // what became of calls does not shift later ones
}

// restore notes whether a run is from a backup. It comes before its events are applied.
func (r *runner) restore(head *journal.Run) {
	from := r.h.backupsOf(head)
	if len(from) == 0 {
		return
	}
	b := &backup{at: from[0].At, since: r.h.since(head), known: -1, acted: len(from) > 1}
	b.steady = sync.OnceValue(func() bool {
		return r.plan.FixedCalls(func(place string) bool {
			return slices.ContainsFunc(b.begun, func(s *machine.Step) bool { return s.Path == place })
		})
	})
	r.restored = b
}

// see notes an event that is about to be applied.
func (b *backup) see(m *machine.Machine, event machine.Event) {
	if event.Time().After(b.at) {
		b.end(m)
		b.note(event)
	}
}

// end notes how far the run was in the backup.
func (b *backup) end(m *machine.Machine) {
	if b.known >= 0 {
		return
	}
	b.known, b.unmade = m.LastNumber(), m.UnusedNumbers()
	if began := m.Steps(); len(began) > 0 && !began[0].Started.After(b.at) {
		b.begun = slices.Clone(began)
	}
}

// note notes an event that came after the backup was restored.
func (b *backup) note(event machine.Event) {
	switch event.(type) {
	case machine.Taken, machine.Settled:
		b.acted = true
	}
}

// isSame tells whether a number surely means the call that it meant after the backup, given
// that receipts show that it happened.
func (r *runner) isSame(n int) bool {
	b := r.restored
	return n <= b.known || !b.acted && r.m.UnusedNumbers() == b.unmade && len(r.m.Unknown()) == 0 && b.steady()
}

// mayRepeat tells whether a call of a run from a backup is to be made. What receipts of its key
// show to have happened is not made again. Where nobody can tell, the run stops.
func (r *runner) mayRepeat(c *machine.Call) (bool, error) {
	n := call.NumberOf(c.Key)
	came, other, err := r.look(c.Key)
	switch {
	case err != nil:
		return false, r.askLater(c)
	case len(came) == 0 && other == 0:
		return true, nil
	case len(came) == 0:
		r.doubt = doubtOf("there is news of its call %d, which the backup does not have, and none of call %d, which step %s is to make before that", other, n, c.Step)
		return false, nil
	case !r.isSame(n):
		r.doubt = unsureOf(n)
		return false, nil
	}
	for _, receipt := range came {
		if err := r.apply(machine.Received{At: r.now(), Receipt: receipt}); err != nil {
			return false, err
		}
	}
	if r.m.Wants(c) {
		r.doubt = doubtOf("its call %d, of step %s, was made after the backup, and came to nothing", n, c.Step)
	}
	return false, nil
}

// look returns the receipts of a call, and the number of another one of which there is news,
// and which the run as it is now neither made nor is to make; 0 when there is none near.
func (r *runner) look(key string) (came []call.Receipt, other int, err error) {
	b, last := r.restored, r.m.LastNumber()
	keys := []string{key}
	for i := max(b.looked+1, call.NumberOf(key)-farthest, 1); i <= last+farthest; i++ {
		if key := r.m.Key(i); !r.m.HasCall(key) {
			keys = append(keys, key)
		}
	}
	all, err := r.receipts(keys...)
	if err != nil {
		return nil, 0, err
	}
	if b.heard > last {
		other = b.heard
	}
	for _, receipt := range all {
		if receipt.Key == key {
			came = append(came, receipt)
		} else {
			other = cmp.Or(other, call.NumberOf(receipt.Key))
		}
	}
	if other == 0 {
		b.looked = last + farthest
	}
	return came, other, nil
}

// mayHear tells whether a receipt that comes is one that a run from a backup may go by: it is
// not where it would stand for a call that is still to be made, and may be of another one.
func (r *runner) mayHear(key string) bool {
	n := call.NumberOf(key)
	switch u := r.made[key]; {
	case !r.m.HasCall(key):
		r.restored.heard = max(r.restored.heard, n)
		return true
	case u != nil && u.taken, !r.m.Wants(&machine.Call{Call: call.Call{Key: key}}), r.isSame(n):
		return true
	}
	r.doubt = unsureOf(n)
	return false
}

func unsureOf(n int) error {
	return doubtOf("there is news of its call %d, which the backup does not have, and it is not sure to be the call of that number that it is to make now", n)
}

func doubtOf(format string, args ...any) error {
	return fmt.Errorf("it went on after the backup, and nobody can tell how: "+format+
		". So it sends nothing more: look what was sent, then cancel it, and start anew what is missing", args...)
}
