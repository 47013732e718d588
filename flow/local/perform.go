package local

import (
	"facteur/flow/machine"
)

// perform does what the machine wants until it wants nothing new.
func (r *runner) perform() error {
	for {
		commands := r.m.Next()
		if len(commands) == 0 {
			return nil
		}
		if err := r.carryOut(commands); err != nil {
			return err
		}
	}
}

func (r *runner) carryOut(commands []machine.Command) error {
	var room [1]*machine.Call
	calls := room[:0]
	for _, c := range commands {
		c, ok := c.(*machine.Call)
		if !ok {
			continue
		}
		if may, err := r.mayMake(c); err != nil {
			return err
		} else if may {
			calls = append(calls, c)
		}
	}
	if len(calls) > 0 { // before a Cancel of one that was taken up before a crash
		if err := r.enter(calls); err != nil {
			return err
		}
	}
	for _, c := range commands {
		switch c := c.(type) {
		case machine.Cancel:
			r.cancel(c.Key)
		case machine.Sleep:
			r.agenda.add(c.Until, nap{r, c})
		case machine.Await:
			r.asked = append(r.asked, c)
		case machine.Watch:
			r.past(c)
		}
	}
	return nil
}

// enter begins with the calls that nothing holds back.
func (r *runner) enter(calls []*machine.Call) error {
	r.h.admitting.RLock()
	defer r.h.admitting.RUnlock()
	ready := calls[:0]
	for _, c := range calls {
		switch {
		case c.InFlight:
			if err := r.recover(c); err != nil {
				return err
			}
		case r.admit(waitingCall{call: c, at: len(c.Limits) - 1}):
			ready = append(ready, c)
		}
	}
	return r.start(ready...)
}

// start takes up calls, durably, and makes them. Those that begin by themselves are taken
// up then.
func (r *runner) start(calls ...*machine.Call) error {
	if r.doubt != nil {
		return nil
	}
	var room [1]*machine.Call
	wanted, taken := room[:0], false
	for _, c := range calls {
		if !r.m.Wants(c) {
			continue
		}
		wanted = append(wanted, c)
		if r.begins(c) {
			continue
		}
		if err := r.apply(r.takenUp(c)); err != nil {
			return err
		}
		taken = true
	}
	if taken || r.fresh && len(wanted) > 0 {
		if err := r.flush(true); err != nil {
			return err
		}
	}
	for _, c := range wanted {
		if err := r.make(c); err != nil {
			return err
		}
	}
	return nil
}

// takenUp is the event that a call may have happened from here on.
func (r *runner) takenUp(c *machine.Call) machine.Taken {
	if to := r.h.recipient(r.planned, &c.Call); to != "" {
		r.pending.Recipients = append(r.pending.Recipients, to)
	}
	return machine.Taken{At: r.now(), Key: c.Key, Fingerprint: c.Fingerprint}
}
