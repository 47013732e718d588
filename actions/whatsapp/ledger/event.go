package ledger

import (
	"time"

	"facteur/flow/call"
)

// An Event is a message to the business, for runs that wait for it and flows that it
// starts.
type Event struct {
	ID       string   // of the message
	Name     string   // its kind, as whatsapp.Events names it
	Subjects []string // all ids of the sender, in the form of the kind's Subject
	At       time.Time
	Data     map[string]any
}

// Deliveries turns updates into the receipts and events for runs, known ones too.
//
// An event's time is when it was received; if it was delivered late, when it was sent, because it
// cannot answer what was sent to the contact in between.
func Deliveries(updates []Update, received time.Time) (receipts []call.Receipt, events []Event) {
	for _, n := range updates {
		if n.Receipt != nil {
			receipts = append(receipts, *n.Receipt)
		}
		told := n.Notification
		if told.Timestamp.IsZero() {
			told.Timestamp = received.UTC().Truncate(time.Second)
		}
		data, ok := told.Event()
		if !ok {
			continue
		}
		e := Event{ID: n.MessageID, Name: "whatsapp.message", Subjects: n.Contact, At: received, Data: data}
		if sent := n.Timestamp.Add(clockSkew); !n.Timestamp.IsZero() && sent.Before(received) {
			e.At = sent
		}
		events = append(events, e)
	}
	return receipts, events
}
