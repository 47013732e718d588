package local

import (
	"time"

	"facteur/flow/machine"
)

// pastPause is when receipts are asked for again that could not be had.
const pastPause = 5 * time.Second

// past brings the receipts of a call that came before somebody watched.
func (r *runner) past(c machine.Watch) {
	if r.h.opts.Past == nil {
		return
	}
	receipts, err := r.h.opts.Past(r.h.life, c.Key)
	if err != nil {
		r.agenda.add(r.now().Add(pastPause), lookBack{r, c})
		return
	}
	for _, receipt := range receipts {
		receipt.Key = c.Key
		r.post(item{event: machine.Received{At: r.now(), Receipt: receipt}})
	}
}

// A lookBack asks again for past receipts.
type lookBack struct {
	r *runner
	machine.Watch
}

func (l lookBack) wanted() bool { return l.r.m.Wants(l.Watch) }
func (l lookBack) do() error    { l.r.past(l.Watch); return nil }

// missed asks for the receipts of the calls that matter of a run that was rebuilt: they
// may have come while nobody carried it, and the host may have died with them.
func (r *runner) missed() {
	for _, key := range r.open() {
		if watch := (machine.Watch{Key: key}); !r.m.Wants(watch) { // Next asks for those
			r.past(watch)
		}
	}
}

// open are the keys of calls of which news matters: those of steps that go on, and those
// whose outcome is unknown.
func (r *runner) open() (keys []string) {
	for _, s := range r.m.Steps() {
		if s.Status == machine.Running {
			keys = append(keys, s.Keys...)
		}
	}
	for _, key := range r.m.Unknown() {
		if !has(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

func has(list []string, one string) bool {
	for _, s := range list {
		if s == one {
			return true
		}
	}
	return false
}
