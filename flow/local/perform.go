package local

import (
	"facteur/flow/machine"
)

// perform executes the machine's commands until it has no new ones.
func (r *runner) perform() error {
	for {
		commands := r.m.Next()
		if len(commands) == 0 {
			return nil
		}
		if err := r.execute(commands); err != nil {
			return err
		}
	}
}

func (r *runner) execute(commands []machine.Command) error {
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
	if len(calls) > 0 { // before any Cancel of a call that was taken up before a crash
		if err := r.admitCalls(calls); err != nil {
			return err
		}
	}
	for _, c := range commands {
		switch c := c.(type) {
		case machine.Cancel:
			r.cancelCall(c.Key)
		case machine.Sleep:
			r.schedule(c.Until, c, func() error { return r.apply(machine.Fired{At: r.now(), Timer: c.Timer}) })
		case machine.Await:
			r.newAwaits = append(r.newAwaits, c)
		case machine.Watch:
			r.replayReceipts(c)
		}
	}
	return nil
}

// admitCalls takes up the calls that nothing holds back.
func (r *runner) admitCalls(calls []*machine.Call) error {
	r.h.admitMu.RLock()
	defer r.h.admitMu.RUnlock()
	ready := calls[:0]
	for _, c := range calls {
		switch {
		case c.InFlight:
			if err := r.recoverCall(c); err != nil {
				return err
			}
		case r.admit(waitingCall{call: c, nextLimit: len(c.Limits) - 1}):
			ready = append(ready, c)
		}
	}
	return r.takeUp(ready...)
}

// takeUp durably takes calls up and starts them. Those that begin themselves are taken up when
// they do.
func (r *runner) takeUp(calls ...*machine.Call) error {
	if r.restoreErr != nil {
		return nil
	}
	var room [1]*machine.Call
	wanted, taken := room[:0], false
	for _, c := range calls {
		if !r.m.Wants(c) {
			continue
		}
		wanted = append(wanted, c)
		if r.beginsItself(c) {
			continue
		}
		if err := r.apply(r.takenEvent(c)); err != nil {
			return err
		}
		taken = true
	}
	if taken || r.head != nil && len(wanted) > 0 {
		if err := r.flush(true); err != nil {
			return err
		}
	}
	for _, c := range wanted {
		if err := r.startCall(c); err != nil {
			return err
		}
	}
	return nil
}

// takenEvent is the event from which on a call may have happened.
func (r *runner) takenEvent(c *machine.Call) machine.Taken {
	if to := r.h.recipient(r.plan, &c.Call); to != "" {
		r.pending.Recipients = append(r.pending.Recipients, to)
	}
	return machine.Taken{At: r.now(), Key: c.Key, Fingerprint: c.Fingerprint}
}
