// Package inbound accepts Meta's webhooks about WhatsApp messages, templates, numbers and accounts.
//
// Handler verifies webhooks, and hands on the Notifications that Parse reads from them. A status is
// a receipt of the call that sent the message, a message an event that flows wait for. A
// SilenceMonitor notices when webhooks no longer come.
package inbound

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"facteur/actions"
	"facteur/actions/whatsapp/graph"
	"facteur/flow/schema"
)

// What Meta promises to keep to.
const (
	MaxBody    = 3 << 20 // bytes of one body
	MaxChanges = 1000    // changes in one body
)

// A Notification is one item of a webhook: a message, a status of a message, a change of a template,
// a number or an account. Fields that a kind does not have are empty, and so are those that Meta
// leaves out.
type Notification struct {
	// Kind is message, status, error, echo (a message sent with the Business app, or by
	// another app), standby (a message that another app answers), history, call, payment or
	// user_action (what somebody did with marketing); else the name of the field, or unknown.
	Kind          string    `json:"kind"`
	Field         string    `json:"field"` // of Meta's change
	WABA          string    `json:"waba_id,omitempty"`
	PhoneNumberID string    `json:"phone_number_id,omitempty"`
	PhoneNumber   string    `json:"phone_number,omitempty"` // of the business, as Meta displays it
	MessageID     string    `json:"message_id,omitempty"`   // wamid
	Type          string    `json:"type,omitempty"`         // of a message
	From          string    `json:"from,omitempty"`         // in a form that recipient takes
	To            string    `json:"to,omitempty"`           // in a form that recipient takes
	WaID          string    `json:"wa_id,omitempty"`        // of the person, digits
	OtherWaID     string    `json:"other_wa_id,omitempty"`  // of the same person, where Meta gives two
	UserID        string    `json:"user_id,omitempty"`      // business-scoped
	ParentUserID  string    `json:"parent_user_id,omitempty"`
	Username      string    `json:"username,omitempty"`
	ProfileName   string    `json:"profile_name,omitempty"`
	GroupID       string    `json:"group_id,omitempty"`
	Status        string    `json:"status,omitempty"` // as Meta says it, of a message or of what the kind is about
	Timestamp     time.Time `json:"timestamp,omitzero"`
	CallbackData  string    `json:"callback_data,omitempty"` // biz_opaque_callback_data
	Text          string    `json:"text,omitempty"`          // text, caption, or what a pressed button says
	ReplyID       string    `json:"reply_id,omitempty"`      // of the button (its payload) or row that was chosen
	ReplyTitle    string    `json:"reply_title,omitempty"`
	ReplyTo       string    `json:"reply_to,omitempty"` // the message that this one answers

	Details map[string]any `json:"details,omitempty"` // what only this kind has, in Meta's words
	Errors  []Fault        `json:"errors,omitempty"`
	Note    string         `json:"note,omitempty"` // what about it is not known

	Raw map[string]any `json:"-"` // as Meta gives it
}

// A Fault is an error in a webhook.
type Fault struct {
	graph.Error
	Class graph.Class `json:"class"`
}

// Parse reads the body of a webhook. Besides whole bodies it reads what Meta's
// pages and dashboard show: one entry, one change, or a change's value alone. Fields,
// types and kinds that are not known do no harm. Anything else is a *Error.
func Parse(body []byte) ([]Notification, error) {
	if len(body) > MaxBody {
		return nil, &Error{Problem: fmt.Sprintf("it has %d bytes, but a webhook has at most %d", len(body), MaxBody)}
	}
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	parsed, err := actions.DecodeJSON(body)
	if err != nil {
		return nil, &Error{"it is not JSON: " + err.Error(), "give the body of the request, unchanged"}
	}
	root := schema.NewValue(parsed, nil)
	w := webhookReader{}
	switch {
	case has(root, "entry"):
		if object, ok := root.Field("object").Text(); ok && object != product {
			return nil, otherObject(object)
		}
		for _, entry := range graph.Many(root.Field("entry")) {
			w.entry(entry)
		}
	case has(root, "changes"):
		w.entry(root)
	case has(root, "field") && has(root, "value"):
		w.change(schema.Value{}, root)
	case isValue(root):
		w.values(location{}, "", root)
	default:
		return nil, notWebhook(root)
	}
	if w.changes > MaxChanges {
		return nil, &Error{Problem: fmt.Sprintf("it has %d changes, but a webhook has at most %d", w.changes, MaxChanges)}
	}
	return w.found, nil
}

// unknown is the kind of all other notifications.
const unknown = "unknown"

// product is what `object` says in webhooks of WhatsApp.
const product = "whatsapp_business_account"

// isValue tells the value of a change: it names the number that it came to, or else the
// product and something that only a webhook tells. The answer to a send names the
// product, too.
func isValue(v schema.Value) bool {
	if _, ok := v.Field("metadata").Object(); ok {
		return true
	}
	tells := has(v, "statuses") || has(v, "errors") || has(v.Field("messages").Index(0), "timestamp")
	return graph.Word(v.Field("messaging_product")) == "whatsapp" && tells
}

// A webhookReader collects the notifications of a body.
type webhookReader struct {
	found   []Notification
	changes int
}

// A location is where in the body something stands.
type location struct {
	field, waba string
	at          time.Time // of the entry
}

func (w *webhookReader) entry(entry schema.Value) {
	for _, change := range graph.Many(entry.Field("changes")) {
		w.change(entry, change)
	}
}

// change reads one change. Meta's own examples misplace `field`: beside the changes, or
// inside the value.
func (w *webhookReader) change(entry, change schema.Value) {
	w.changes++
	if w.changes > MaxChanges {
		return
	}
	value := change.Field("value")
	in := location{waba: graph.Word(entry.Field("id")), at: parseTime(entry.Field("time"))}
	w.values(in, cmp.Or(graph.Word(change.Field("field")), graph.Word(entry.Field("field")), graph.Word(value.Field("field"))), value)
}

// values reads the value of a change, or several of them.
func (w *webhookReader) values(in location, field string, value schema.Value) {
	all := graph.Many(value)
	for _, v := range all {
		in.field = field
		if in.field == "" {
			in.field = guessField(v)
		}
		w.value(in, v)
	}
	if len(all) == 0 {
		in.field = field
		w.add(in, schema.Value{}, Notification{Kind: unknown, Note: "the change has no value"})
	}
}

// value hands a value to whoever reads its parts. Webhooks of January 2023 have them one
// level deeper, and so have those of a conversation that another app answers.
func (w *webhookReader) value(in location, v schema.Value) {
	if inner := v.Field("whatsapp_business_api_data"); inner.Present() {
		v = inner
	}
	before := len(w.found)
	w.parts(in, v, v)
	if inner := v.Field(standby); inner.Present() {
		w.parts(in, v, inner)
	}
	if n, ok := readField(in.field, v); ok {
		w.add(in, v, n)
	}
	if errors := readErrors(v.Field("errors")); len(errors) > 0 {
		told := map[graph.Error]bool{} // of what came with them
		for _, n := range w.found[before:] {
			for _, e := range n.Errors {
				told[e.Error] = true
			}
		}
		for _, e := range errors {
			if !told[e.Error] {
				w.add(in, v, Notification{Kind: "error", Errors: []Fault{e}})
			}
		}
	}
	if len(w.found) == before {
		raw, _ := v.Object()
		w.add(in, v, Notification{Kind: unknown, Raw: raw, Note: unknownNote(in.field)})
	}
}

// parts reads the lists of a value, which stand in it or one level deeper. Others beside
// them are kept as they are.
func (w *webhookReader) parts(in location, value, from schema.Value) {
	people, before := contactsOf(from), len(w.found)
	for _, part := range parts() {
		if !has(from, part.name) { // as most, and looking costs allocations
			continue
		}
		for _, item := range graph.Many(from.Field(part.name)) {
			w.add(in, value, part.read(in, item, people)...)
		}
	}
	if len(w.found) == before {
		return
	}
	all, _ := from.Object()
	for _, name := range unreadLists(all) {
		w.add(in, value, Notification{Kind: unknown, Raw: map[string]any{name: all[name]}, Note: "the value has an unknown list: " + name})
	}
}

// unreadLists names the lists of a value that nothing reads: each item may tell something.
func unreadLists(value map[string]any) (names []string) {
	for name, x := range value {
		list, _ := x.([]any)
		if len(list) == 0 {
			continue
		}
		if _, tells := list[0].(map[string]any); tells && !isRead(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// isRead tells the names of the lists of a value that something reads.
func isRead(name string) bool {
	return name == "contacts" || name == "errors" || slices.ContainsFunc(parts(), func(p part) bool { return p.name == name })
}

func unknownNote(field string) string {
	switch {
	case field == "":
		return "the change does not name its field"
	case isKnownField(field):
		return "its value contains nothing known"
	}
	return "the field is unknown"
}

// A part is a list in values, of one or of several fields.
type part struct {
	name string
	read func(in location, item schema.Value, people contacts) []Notification
}

var parts = sync.OnceValue(func() []part {
	const (
		member  = "(wa_id user_id parent_user_id username input)"
		setting = "(text mime_type sha256 update_successful)"
	)
	return []part{
		{"messages", readMessage},
		{"message_echoes", readEcho},
		{"statuses", readStatus},
		{"history", readHistory},
		{"calls", readCall},
		{"groups", listReader{status: "type", keep: parseSelection("type request_id subject description invite_link join_approval_mode reason initiated_by join_request_id" +
			" group_subject" + setting + " group_description" + setting + " profile_picture" + setting +
			" added_participants" + member + " removed_participants" + member + " failed_participants(wa_id user_id input errors(code message title error_data(details)))")}.read},
		{"user_preferences", listReader{status: "value", keep: parseSelection("category detail value signup_id"), from: true}.read},
		{"state_sync", readSync},
		{"automatic_events", listReader{status: "event_name", id: "id", keep: parseSelection("event_name ctwa_clid custom_data(currency value)")}.read},
		{"user_id_update", listReader{status: "detail", keep: parseSelection("detail user_id(previous current) parent_user_id(previous current)"), from: true}.read},
		{"user_actions", listReader{kind: "user_action", status: "action_type", keep: parseSelection(
			"action_type marketing_messages_link_click_data(click_component product_id click_id tracking_token client_user_agent)")}.read},
		{"events", listReader{status: "event_name", keep: parseSelection("event_name tracking_data(click_id tracking_token)")}.read},
	}
})

// add keeps notifications, with what stands around them.
func (w *webhookReader) add(in location, value schema.Value, found ...Notification) {
	for _, n := range found {
		n.Field, n.WABA = in.field, in.waba
		n.PhoneNumberID = cmp.Or(n.PhoneNumberID, graph.Word(firstOf(value, "metadata.phone_number_id", "phone_number_id", "recipient.phone_number_id")))
		n.PhoneNumber = cmp.Or(n.PhoneNumber, graph.Word(firstOf(value, "metadata.display_phone_number", "display_phone_number", "recipient.display_phone_number")))
		if n.Timestamp.IsZero() {
			n.Timestamp = in.at
		}
		w.found = append(w.found, n)
	}
}

// has tells whether an object has a field.
func has(v schema.Value, name string) bool { return v.Field(name).Present() }

// parseTime reads a time: seconds, or milliseconds, since 1970, as a number or a text, or a
// date. It is zero when there is none that makes sense.
func parseTime(v schema.Value) time.Time {
	const latest = 253402300800 // the year 10000, which no date format has
	text := strings.TrimSpace(graph.Word(v))
	if text == "" {
		return time.Time{}
	}
	seconds, err := json.Number(text).Float64()
	switch {
	case err == nil && seconds > 0 && seconds < latest/10:
		whole := int64(seconds)
		return time.Unix(whole, int64((seconds-float64(whole))*1e9)).UTC()
	case err == nil && seconds >= latest/10 && seconds < latest*1000:
		return time.UnixMilli(int64(seconds)).UTC()
	case err == nil:
		return time.Time{}
	}
	for _, format := range []string{time.RFC3339Nano, "2006-01-02T15:04:05-0700"} {
		if t, err := time.Parse(format, text); err == nil && t.Year() > 0 && t.Year() < 10000 {
			return t.UTC()
		}
	}
	return time.Time{}
}

// readErrors reads errors of a webhook.
func readErrors(v schema.Value) []Fault {
	var found []Fault
	for _, item := range graph.Many(v) {
		if e, ok := graph.ErrorIn(item); ok {
			found = append(found, Fault{e, graph.Classify(e).Class})
		}
	}
	return found
}
