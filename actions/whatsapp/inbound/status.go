package inbound

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"facteur/actions/whatsapp/graph"
	"facteur/flow/call"
	"facteur/flow/schema"
)

const failed = "failed"

// The statuses of messages that are known; deleted and warning are of older versions.
var knownStatuses = []string{"sent", "delivered", "read", failed, "played", "deleted", "warning"}

var statusDetails = sync.OnceValue(func() selection {
	return parseSelection(`
		recipient_type recipient_participant_id recipient_participant_user_id recipient_identity_key_hash template_id
		conversation(id expiration_timestamp origin(type))
		pricing(billable pricing_model type subtype category)
		payment(reference_id amount(value offset) currency receipt notes*
			transaction(id type status created_timestamp updated_timestamp amount(value offset) currency method(type) error(code reason)
				refunds(id status amount(value offset) currency speed_processed created_timestamp updated_timestamp)))
		message(recipient_id)`)
})

// readStatus reads a status of a message, and of a payment or call, which have the same form.
func readStatus(in location, s schema.Value, people contacts) []Notification {
	n := Notification{
		Kind:         "status",
		MessageID:    graph.Word(firstOf(s, "id", "message_id")),
		Status:       graph.Word(s.Field("status")),
		Timestamp:    parseTime(s.Field("timestamp")),
		CallbackData: graph.Word(s.Field("biz_opaque_callback_data")),
		Details:      statusDetails().of(s),
		Errors:       readErrors(s.Field("errors")),
	}
	n.Raw, _ = s.Object()
	n.setPerson(people.find(s.Field("recipient_id"), s.Field("recipient_user_id"), firstOf(s, "parent_recipient_user_id", "recipient_parent_user_id", "parent_user_id")))
	if graph.Word(s.Field("recipient_type")) == "group" {
		n.GroupID = graph.Word(s.Field("recipient_id"))
		n.setPerson(people.find(s.Field("recipient_participant_id"), firstOf(s, "recipient_participant_user_id", "recipient_user_id"), firstOf(s, "recipient_participant_parent_user_id", "recipient_parent_user_id")))
	}
	n.To = cmp.Or(n.GroupID, n.person())
	switch kind := graph.Word(s.Field("type")); {
	case kind == "payment" || kind == "call":
		n.Kind = kind
	case !slices.Contains(knownStatuses, n.Status):
		n.Note = "the status is unknown"
	case n.Status == failed && len(n.Errors) == 0:
		n.Note = "it has no error code that says why"
	}
	return []Notification{n}
}

// keyPrefix begins the keys of calls.
const keyPrefix = "f1."

// Call returns the key of the call that sent the message of a status, "" where it does not
// say so.
func (n *Notification) Call() string {
	key, _, _ := strings.Cut(n.CallbackData, "|")
	if n.Kind != "status" || !strings.HasPrefix(key, keyPrefix) {
		return ""
	}
	return key
}

// Receipt gives a status as a receipt of the call that sent the message. It is none when
// the status carries no key of a call: Meta promises the key on sent, delivered and
// read, not on failed, so a failure may have to be found by its message id.
func (n Notification) Receipt() (call.Receipt, bool) {
	key := n.Call()
	if key == "" {
		return call.Receipt{}, false
	}
	_, tracking, _ := strings.Cut(n.CallbackData, "|")
	data := make(map[string]any, 10)
	for _, f := range [...]struct{ name, text string }{
		{"message_id", n.MessageID}, {"status", n.Status}, {"wa_id", n.WaID}, {"user_id", n.UserID}, {"recipient", n.To},
		{"sender_phone_id", n.PhoneNumberID}, {"tracking", tracking},
	} {
		if f.text != "" {
			data[f.name] = f.text
		}
	}
	if !n.Timestamp.IsZero() {
		data["timestamp"] = n.Timestamp.Format(time.RFC3339)
	}
	for _, name := range []string{"conversation", "pricing"} {
		if v, ok := n.Details[name]; ok {
			data[name] = v
		}
	}
	r := call.Receipt{Key: key, ID: n.MessageID + ":" + n.Status, State: n.Status, Data: data}
	if n.Status == failed && len(n.Errors) > 0 {
		r.Error = n.Errors[0].Undelivered()
	}
	return r, true
}
