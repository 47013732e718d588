package local

import (
	"context"
	"errors"
	"slices"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
)

// pastPause is when receipts are asked for again that could not be had.
const pastPause = 5 * time.Second

// past brings the receipts of a call that came before somebody watched. When they cannot be
// had, they are asked for again later.
func (r *runner) past(c machine.Watch) {
	came, err := r.receipts(c.Key)
	if err != nil {
		r.agenda.add(r.now().Add(pastPause), lookBack{r, c})
	}
	for _, receipt := range came {
		r.post(item{event: machine.Received{At: r.now(), Receipt: receipt}})
	}
}

// receipts returns the receipts of calls that came so far, or gives up: a ledger that does not
// answer must not keep a run from all else.
func (r *runner) receipts(keys ...string) ([]call.Receipt, error) {
	ctx, end := context.WithTimeout(r.h.life, host.Patience)
	defer end()
	since := r.started
	if r.restored != nil {
		since = r.restored.since
	}
	return r.h.opts.Past.Of(ctx, since, keys...)
}

// A lookBack asks again for past receipts.
type lookBack struct {
	r *runner
	machine.Watch
}

func (l lookBack) wanted() bool { return l.r.m.Wants(l.Watch) }
func (l lookBack) do() error    { l.r.past(l.Watch); return nil }

// mayMake tells whether the run still wants a call, of which receipts may tell that it happened
// already: an earlier attempt, of which nobody knew, or, in a run from a backup, the call itself.
// They are asked for before it is made, and again later when there is no answer.
func (r *runner) mayMake(c *machine.Call) (bool, error) {
	switch {
	case len(c.Doubtful) == 0 && r.restored == nil || c.InFlight:
		return true, nil
	case r.doubt != nil:
		return false, nil
	}
	came, err := r.receipts(c.Doubtful...)
	if err != nil {
		return false, r.askLater(c)
	}
	for _, receipt := range came {
		if err := r.apply(machine.Received{At: r.now(), Receipt: receipt}); err != nil {
			return false, err
		}
	}
	if r.restored == nil || !r.m.Wants(c) {
		return r.m.Wants(c), nil
	}
	return r.mayRepeat(c)
}

// askLater asks again later whether a call may be made.
func (r *runner) askLater(c *machine.Call) error {
	r.agenda.add(r.now().Add(pastPause), askFirst{r, c})
	return nil
}

// An askFirst asks again whether a call may be made.
type askFirst struct {
	r *runner
	c *machine.Call
}

func (a askFirst) wanted() bool { return a.r.m.Wants(a.c) }
func (a askFirst) do() error    { return a.r.carryOut([]machine.Command{a.c}) }

// errDeaf says that what came of the calls of a run cannot be read now.
var errDeaf = errors.New("the receipts of its calls cannot be read")

// missed applies the receipts of the calls that matter of a run that was rebuilt: they may
// have come while nobody carried it, and the host may have died with them. What they say
// counts before the run does anything: one that is retried must not make a call again of
// which it is known by now that it happened. So when they cannot be had, the error is
// errDeaf.
func (r *runner) missed() error {
	keys := slices.DeleteFunc(host.Open(r.m), func(key string) bool {
		return r.m.Wants(machine.Watch{Key: key}) // Next asks for those
	})
	came, err := r.receipts(keys...)
	if err != nil {
		r.tell() // of steps that ended by what was handed to it
		return errDeaf
	}
	for _, receipt := range came {
		if err := r.apply(machine.Received{At: r.now(), Receipt: receipt}); err != nil {
			return err
		}
	}
	return nil
}

// postpone parks a run again that was rebuilt, and must not do anything before it is known
// what it missed. The host's lock is held.
func (h *Host) postpone(r *runner) {
	w := r.w
	for _, i := range r.take() {
		if i.told != nil {
			i.told <- errGone
		}
	}
	w.runner, w.state, w.subs, w.keys = nil, parked, r.old, host.Open(r.m)
	w.naps++
	h.expect(w, h.now().Add(pastPause))
	h.idle()
}
