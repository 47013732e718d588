package ledger

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/flow/schema"
)

// A fact is what a notification says, whatever is known already.
type fact struct {
	inbound.Notification
	id     identity
	at     time.Time // never zero
	people []string  // ids of one person
	left   string    // an id that is no longer of that person
	call   string    // the key of the call that it is about
	state  state     // of the message, of a status

	wrote    bool // the person wrote, or called
	shut     bool // the window is
	optedOut bool
	optedIn  bool
}

// An identity is the same for notifications that Meta repeats.
type identity [16]byte

// What Meta says of a message that was not delivered.
const (
	codeWindowShut = 131047
	codeOptedOut   = 131050
)

func factOf(n inbound.Notification, received time.Time) fact {
	f := fact{Notification: n, id: identityOf(n), at: n.Timestamp, people: ids(n.WaID, n.OtherWaID, n.UserID, n.ParentUserID)}
	if f.at.IsZero() {
		f.at = received
	}
	details := schema.NewValue(n.Details, nil)
	text := func(path ...string) string { s, _ := details.Get(path...).Text(); return s }
	switch n.Kind {
	case "status":
		f.state = stateOf(n.Status)
		f.call = n.Call()
		for _, e := range n.Errors {
			f.shut = f.shut || e.Code == codeWindowShut
			f.optedOut = f.optedOut || e.Code == codeOptedOut
		}
	case "message", "standby": // whoever answers: the person wrote to the number
		f.wrote = n.Type != "system" && n.GroupID == ""
		if n.Type == "system" {
			f.people = append(f.people, ids(text("system", "previous_user_id"), text("system", "previous_parent_user_id"))...)
			for _, number := range ids(text("system", "wa_id"), text("system", "new_wa_id")) {
				if number != key(n.WaID) { // the old one may become somebody else's
					f.people, f.left = append(f.people, number), key(n.WaID)
				}
			}
		}
	case "call":
		f.wrote = text("direction") == "USER_INITIATED"
	case "user_preferences":
		if c := text("category"); c == "" || c == "marketing_messages" {
			f.optedOut, f.optedIn = n.Status == "stop", n.Status == "resume"
		}
	case "user_id_update":
		f.people = append(f.people, ids(text("user_id", "previous"), text("parent_user_id", "previous"))...)
	}
	f.people = each(f.people)
	return f
}

// factOfAnswer is what an answer says about the recipient.
func factOfAnswer(a whatsapp.Answer, now time.Time) fact {
	f := fact{at: now, people: each(ids(a.Recipient, a.WaID)), shut: a.Shut, optedOut: a.OptedOut}
	f.PhoneNumberID = a.Sender
	return f
}

// named tells whether the person has to have a place in the ledger.
func (f *fact) named() bool {
	return areNamed(f.people, f.Kind == "message" || f.wrote || f.shut || f.optedOut || f.optedIn)
}

// areNamed is named for the ids of a person. known says that there is more to know of them.
func areNamed(people []string, known bool) bool {
	return len(people) > 1 || len(people) == 1 && known
}

// key brings an id of a contact into the form that equal ones share.
func key(id string) string { return strings.TrimPrefix(id, "+") }

// ids are those that are there, as keys.
func ids(texts ...string) []string {
	var out []string
	for _, text := range texts {
		if text != "" {
			out = append(out, key(text))
		}
	}
	return out
}

// each is the ids, each once.
func each(ids []string) []string {
	slices.Sort(ids)
	return slices.Compact(ids)
}

// messageKinds are those of messages, each with an id of its own.
var messageKinds = []string{"message", "standby", "echo", "history"}

// identityOf tells notifications apart as Meta does: a message by its id, a status by the
// message and the state, in a group also by the person. Others are what they say: a payment
// stays captured while it is given back.
func identityOf(n inbound.Notification) identity {
	parts := []string{n.Kind, n.MessageID}
	switch {
	case n.MessageID != "" && (slices.Contains(messageKinds, n.Kind)):
	case n.MessageID != "" && (n.Kind == "status" || n.Kind == "call"):
		parts = append(parts, n.Status)
		if n.GroupID != "" {
			parts = append(parts, n.WaID, n.UserID)
		}
	default:
		said, _ := json.Marshal(stored{n, n.Raw}) // plain values
		parts = append(parts, string(said))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return identity(sum[:])
}

// A state is how far a message has come: what came further counts, in whichever order it
// is told. The numbers are stored, so they stay.
type state int64

const (
	accepted  state = 0
	held      state = 1
	sent      state = 2
	failed    state = 3
	delivered state = 4
	read      state = 5
)

// stateOf reads what Meta, or an answer, says. What says nothing about how far a message
// has come is accepted: there it is, at least.
func stateOf(status string) state {
	switch status {
	case "held":
		return held
	case "sent":
		return sent
	case "failed":
		return failed
	case "delivered":
		return delivered
	case "read", "played":
		return read
	}
	return accepted
}

func (s state) name() whatsapp.State {
	return [...]whatsapp.State{"accepted", "held", "sent", "failed", "delivered", "read"}[s]
}
