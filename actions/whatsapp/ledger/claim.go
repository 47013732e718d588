package ledger

import (
	"time"

	"facteur/actions/whatsapp"
)

// A claim is a call's claim of a `once` key, with what is known of the call's message.
//
// A freed claim no longer holds the key: either its call did not happen, as Meta or a person said
// (denied), or the key was passed on to the next attempt of its step while the outcome was unknown.
// It is kept for as long as it would have counted. A denied one counts again if a status shows that
// its message was sent; one that was passed on counts for other steps all the time.
type claim struct {
	call, step string
	at, until  time.Time
	freed      bool
	denied     bool
	message    string // of the call, "" if none is known
	state      state  // of the message
}

// A decision is the result of a new claim.
type decision struct {
	repeats string // the message
	err     error  // an *whatsapp.UnsettledError

	take bool     // the call gets the key; then
	free string   // this call's claim no longer holds it, "" for none,
	drop []string // and the claims of these calls are deleted
}

// decide decides on a claim, given all existing claims of its key. These are of different calls,
// and at most one of them is not freed.
func decide(all []claim, c whatsapp.Claim, now time.Time) (v decision) {
	var sent, unsettled claim // the latest of each
	for _, one := range all {
		own, counts, lost := one.call == c.Call, now.Before(one.at.Add(c.Within)), one.message != "" && one.state == failed
		switch {
		case own || lost || !counts && !now.Before(one.until):
			v.drop = append(v.drop, one.call)
		case !one.freed:
			v.free = one.call
		}
		switch {
		case lost || !counts && !own:
		case one.message != "":
			sent = later(sent, one)
		case !own && !one.denied && (one.step != c.Step || c.Step == ""):
			unsettled = later(unsettled, one)
		}
	}
	switch {
	case sent.call != "":
		v.repeats = sent.message
	case unsettled.call != "":
		v.err = &whatsapp.UnsettledError{Call: unsettled.call}
	default:
		v.take = true
	}
	return v
}

// later returns the later of two claims; one without a call is none.
func later(a, b claim) claim {
	if a.call == "" || b.at.After(a.at) || b.at.Equal(a.at) && b.call > a.call {
		return b
	}
	return a
}
