package local

import (
	"time"

	"facteur/flow/host"
	"facteur/flow/machine"
)

// pastPause is when receipts are asked for again that could not be had.
const pastPause = 5 * time.Second

// past brings the receipts of a call that came before somebody watched.
func (r *runner) past(c machine.Watch) {
	for _, news := range r.cameFor(c) {
		r.post(item{event: news})
	}
}

// cameFor returns the receipts of a call that came so far. When they cannot be had, they
// are asked for again later.
func (r *runner) cameFor(c machine.Watch) (news []machine.Received) {
	came, err := r.h.opts.Past.Of(r.h.life, c.Key)
	if err != nil {
		r.agenda.add(r.now().Add(pastPause), lookBack{r, c})
	}
	for _, receipt := range came {
		news = append(news, machine.Received{At: r.now(), Receipt: receipt})
	}
	return news
}

// A lookBack asks again for past receipts.
type lookBack struct {
	r *runner
	machine.Watch
}

func (l lookBack) wanted() bool { return l.r.m.Wants(l.Watch) }
func (l lookBack) do() error    { l.r.past(l.Watch); return nil }

// missed applies the receipts of the calls that matter of a run that was rebuilt: they may
// have come while nobody carried it, and the host may have died with them. What they say
// counts before the run does anything: one that is retried must not make a call again of
// which it is known by now that it happened.
func (r *runner) missed() error {
	for _, key := range host.Open(r.m) {
		watch := machine.Watch{Key: key}
		if r.m.Wants(watch) { // Next asks for those
			continue
		}
		for _, news := range r.cameFor(watch) {
			if err := r.apply(news); err != nil {
				return err
			}
		}
	}
	return nil
}
