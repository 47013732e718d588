package ledger

import (
	"time"

	"facteur/actions/whatsapp"
)

// A claim is one that counts already.
type claim struct {
	call, step string
	at         time.Time
	message    string // of the call, "" when none is known
	state      state  // of the message
}

// meets tells what a new claim under the same key comes to: it takes the key, it goes on
// because it holds it, or it repeats a message. The error is an *whatsapp.UnsettledError.
func (held claim) meets(c whatsapp.Claim, now time.Time) (take bool, repeats string, err error) {
	switch {
	case held.call == c.Call:
		return false, "", nil
	case held.call == "", !now.Before(held.at.Add(c.Within)), held.message != "" && held.state == failed:
		return true, "", nil
	case held.message != "":
		return false, held.message, nil
	case held.step == c.Step && c.Step != "":
		return true, "", nil
	}
	return false, "", &whatsapp.UnsettledError{Call: held.call}
}
