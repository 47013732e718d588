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

// Deliveries gives news that came at a time the form in which runs take them: receipts for
// the calls that they made, and events. What was known already is among them.
//
// An event counts from when it came; one that was delivered late, after what it cannot be
// an answer to, from when it was sent.
func Deliveries(news []News, received time.Time) (receipts []call.Receipt, events []Event) {
	for _, n := range news {
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
		if sent := n.Timestamp.Add(slack); !n.Timestamp.IsZero() && sent.Before(received) {
			e.At = sent
		}
		events = append(events, e)
	}
	return receipts, events
}
