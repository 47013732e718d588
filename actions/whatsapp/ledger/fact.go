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

// A fact is what a notification says by itself, without the ledger.
type fact struct {
	inbound.Notification
	id        eventID
	at        time.Time // never zero
	people    []string  // the ids of one person
	droppedID string    // an id that is no longer that person's
	call      string    // of a status: the key of the call, "" if it is not known
	state     state     // of a status: the message's

	wrote    bool // the person wrote, or called
	shut     bool // the window is shut
	optedOut bool
	optedIn  bool
}

// An eventID is a hash that is the same for a repeated notification.
type eventID [16]byte

// Error codes of undelivered messages.
const (
	codeWindowShut = 131047
	codeOptedOut   = 131050
)

func factOf(n inbound.Notification, received time.Time) fact {
	f := fact{Notification: n, id: eventIDOf(n), at: n.Timestamp, people: normalizeAll(n.WaID, n.OtherWaID, n.UserID, n.ParentUserID)}
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
			f.people = append(f.people, normalizeAll(text("system", "previous_user_id"), text("system", "previous_parent_user_id"))...)
			for _, number := range normalizeAll(text("system", "wa_id"), text("system", "new_wa_id")) {
				if number != normalize(n.WaID) { // the old number may be given to another person
					f.people, f.droppedID = append(f.people, number), normalize(n.WaID)
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
		f.people = append(f.people, normalizeAll(text("user_id", "previous"), text("parent_user_id", "previous"))...)
	}
	f.people = unique(f.people)
	return f
}

// factOfAnswer returns what an answer says about the recipient.
func factOfAnswer(a whatsapp.Answer, now time.Time) fact {
	f := fact{at: now, people: recipientIDs(a), shut: a.Shut, optedOut: a.OptedOut}
	f.PhoneNumberID = a.Sender
	return f
}

// recipientIDs returns the ids of the recipient that an answer knows.
func recipientIDs(a whatsapp.Answer) []string {
	return unique(normalizeAll(a.Recipient, a.WaID, a.UserID))
}

// needsContact reports whether the person needs a contact in the ledger.
func (f *fact) needsContact() bool {
	return needContact(f.people, f.Kind == "message" || f.wrote || f.shut || f.optedOut || f.optedIn)
}

// needContact reports whether ids of a person need a contact: there are several of them, or known
// says that there is more to store about the person.
func needContact(people []string, known bool) bool {
	return len(people) > 1 || len(people) == 1 && known
}

// normalize returns the canonical form of a contact's id.
func normalize(id string) string { return strings.TrimPrefix(id, "+") }

// normalizeAll normalizes ids, without empty ones.
func normalizeAll(texts ...string) []string {
	var out []string
	for _, text := range texts {
		if text != "" {
			out = append(out, normalize(text))
		}
	}
	return out
}

// unique sorts ids, and removes duplicates.
func unique(ids []string) []string {
	slices.Sort(ids)
	return slices.Compact(ids)
}

// messageKinds are those of messages, each with an id of its own.
var messageKinds = []string{"message", "standby", "echo", "history"}

// eventIDOf identifies notifications as Meta does: a message by its id, a status by the message and
// the state, in a group also by the person. Others are identified by their whole content: a refund
// of a payment repeats the state "captured".
func eventIDOf(n inbound.Notification) eventID {
	parts := []string{n.Kind, n.MessageID}
	switch {
	case n.MessageID != "" && (slices.Contains(messageKinds, n.Kind)):
	case n.MessageID != "" && (n.Kind == "status" || n.Kind == "call"):
		parts = append(parts, n.Status)
		if n.GroupID != "" {
			parts = append(parts, n.WaID, n.UserID)
		}
	default:
		said, _ := json.Marshal(storedEvent{n, n.Raw}) // plain values
		parts = append(parts, string(said))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return eventID(sum[:])
}

// A state is how far a message has come: the furthest counts, in whichever order statuses come.
// The numbers are stored, so they must not change.
type state int64

const (
	accepted  state = 0
	held      state = 1
	sent      state = 2
	failed    state = 3
	delivered state = 4
	read      state = 5
)

// stateOf parses the state of a status or an answer. Others mean that the message exists: accepted.
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
