package ledger

import (
	"time"

	"facteur/actions/whatsapp"
)

// A claim is one under a key, with what is known of the message of its call.
//
// One that is freed does not hold the key: Meta or somebody said that its call did not happen,
// which denied tells, or it was passed on to the next attempt of its step, while nobody knew.
// It is kept for as long as it would have counted: one that was denied counts again once it
// shows that its message was sent, another one may have been sent all the time.
type claim struct {
	call, step string
	at, until  time.Time
	freed      bool
	denied     bool
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
	var sent, doubtful claim // the latest of each
	for _, one := range all {
		own, counts, lost := one.call == c.Call, now.Before(one.at.Add(c.Within)), one.message != "" && one.state == failed
		switch {
		case own || lost || !counts && !now.Before(one.until):
			v.forget = append(v.forget, one.call)
		case !one.freed:
			v.free = one.call
		}
		switch {
		case lost || !counts && !own:
		case one.message != "":
			sent = later(sent, one)
		case !own && !one.denied && (one.step != c.Step || c.Step == ""):
			doubtful = later(doubtful, one)
		}
	}
	switch {
	case sent.call != "":
		v.repeats = sent.message
	case doubtful.call != "":
		v.err = &whatsapp.UnsettledError{Call: doubtful.call}
	default:
		v.take = true
	}
	return v
}

// later is the later of two claims; one without a call is none.
func later(a, b claim) claim {
	if a.call == "" || b.at.After(a.at) || b.at.Equal(a.at) && b.call > a.call {
		return b
	}
	return a
}
