package ledger

import (
	"time"

	"facteur/actions/whatsapp"
)

// A claim is one under a key, with what is known of the message of its call.
//
// One that is freed was given up, because somebody said that its call did not happen, or
// was passed on to the next attempt of its step, while nobody knew. It is kept for as long
// as it would have counted, and counts again once it shows that its message was sent.
type claim struct {
	call, step string
	at, until  time.Time
	freed      bool
	message    string // of the call, "" when none is known
	state      state  // of the message
}

// A verdict is what a new claim comes to.
type verdict struct {
	repeats string // the message
	err     error  // an *whatsapp.UnsettledError

	take   bool     // it takes the key: then …
	free   string   // … who holds it gives it up, "" for nobody, …
	forget []string // … and these claims are of no more use
}

// judge decides on a claim beside all those under its key. Each of them is of another call,
// and at most one is not freed.
func judge(all []claim, c whatsapp.Claim, now time.Time) (v verdict) {
	v.take = true
	var sent claim // the latest
	for _, one := range all {
		counts, lost := now.Before(one.at.Add(c.Within)), one.message != "" && one.state == failed
		switch {
		case one.call == c.Call || lost || !counts && !now.Before(one.until):
			v.forget = append(v.forget, one.call)
		case !one.freed:
			v.free = one.call
		}
		switch {
		case one.call == c.Call:
			v.take = v.take && one.freed
		case !counts || lost:
		case one.message != "":
			if sent.message == "" || one.at.After(sent.at) || one.at.Equal(sent.at) && one.call > sent.call {
				sent = one
			}
		case !one.freed && (one.step != c.Step || c.Step == ""):
			v.err = &whatsapp.UnsettledError{Call: one.call}
		}
	}
	if v.repeats = sent.message; v.repeats != "" {
		v.err = nil
	}
	v.take = v.take && v.repeats == "" && v.err == nil
	return v
}
