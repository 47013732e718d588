package inbound

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/graph"
	"facteur/flow/schema"
)

// textPaths tells where the text of a message is, by its type: the first that is there
// counts. A type that is not here is not known.
var textPaths = sync.OnceValue(func() map[string][]string {
	return map[string][]string{
		"audio":             nil,
		"button":            {"button.text"},
		"contacts":          nil,
		"document":          {"document.caption"},
		"edit":              nil, // of what it holds
		"ephemeral":         nil,
		"errors":            nil,
		"hsm":               nil,
		"image":             {"image.caption"},
		"interactive":       {"interactive.button_reply.title", "interactive.list_reply.title", "interactive.nfm_reply.body", "interactive.body.text"},
		"location":          nil,
		"media_placeholder": nil,
		"order":             {"order.text"},
		"pin":               nil,
		"reaction":          nil,
		"request_welcome":   nil,
		"revoke":            nil,
		"sticker":           nil,
		"system":            nil,
		"template":          nil,
		"text":              {"text.body"},
		"unknown":           nil,
		"unsupported":       nil,
		"video":             {"video.caption"},
		"voice":             nil,
	}
})

// choices tells where a message says what was chosen: the id, and what it reads.
var choices = [...]struct{ id, title string }{
	{"button.payload", "button.text"},
	{"interactive.button_reply.id", "interactive.button_reply.title"},
	{"interactive.list_reply.id", "interactive.list_reply.title"},
}

// messageDetails is what else a message may hold.
var messageDetails = sync.OnceValue(func() selection {
	const file = "(id mime_type sha256 url filename voice animated)"
	return parseSelection(`
		context(from id user_id forwarded frequently_forwarded referred_product(catalog_id product_retailer_id))
		referral(source_url source_id source_type headline body media_type image_url video_url thumbnail_url ctwa_clid
			image(id) welcome_message(text))
		identity(acknowledged created_timestamp hash)
		history_context(status)
		audio` + file + ` document` + file + ` image` + file + ` sticker` + file + ` video` + file + ` voice` + file + `
		location(latitude longitude name address url)
		contacts(name(formatted_name first_name last_name middle_name prefix suffix) birthday vcard origin
			phones(phone wa_id type user_id) emails(email type) urls(url type) org(company department title)
			addresses(street city state zip country country_code type))
		origin
		reaction(message_id emoji)
		pin(message_id type expiration_days)
		interactive(type list_reply(description) nfm_reply(name response_json*)
			call_permission_reply(response is_permanent expiration_timestamp response_source)
			payment_method(payment_method payment_timestamp reference_id last_four_digits credential_id))
		order(catalog_id product_items(product_retailer_id quantity item_price currency))
		system(type body wa_id new_wa_id identity customer user_id parent_user_id previous_user_id previous_parent_user_id)
		unsupported(type)
		edit(original_message_id)
		revoke(original_message_id)`)
})

func readMessage(in location, m schema.Value, people contacts) []Notification {
	n := messageOf(m)
	n.Kind = "message"
	if in.field == "history" || in.field == standby { // what a file held, sent later; what another app answers
		n.Kind = in.field
	}
	n.setPerson(people.find(m.Field("from"), m.Field("from_user_id"), m.Field("from_parent_user_id")))
	if n.Type == "system" && n.WaID == "" && n.UserID == "" { // only who it is now is known
		system := m.Field("system")
		n.setPerson(people.find(system.Field("wa_id"), system.Field("user_id"), system.Field("parent_user_id")))
	}
	if n.From = n.person(); n.From == "" || n.MessageID == "" {
		n.Note = "it has no sender or no id, so no flow can use it"
	}
	return []Notification{n}
}

// readEcho reads a message that the business sent with the Business app, or another app
// sent: then it holds the request.
func readEcho(in location, m schema.Value, people contacts) []Notification {
	n := messageOf(m)
	if request := m.Field("message"); request.Present() {
		n = messageOf(request)
		n.MessageID, n.Timestamp = graph.Word(m.Field("id")), parseTime(m.Field("timestamp"))
		n.Raw, _ = m.Object()
		m = request
	}
	n.Kind = "echo"
	if in.field == "history" {
		n.Kind = "history"
	}
	n.setPerson(people.find(m.Field("to"), m.Field("to_user_id"), m.Field("to_parent_user_id")))
	n.From, n.To = recipientForm(graph.Word(m.Field("from"))), n.person()
	return []Notification{n}
}

// readHistory reads a part of a chat's history, from the Business app.
func readHistory(in location, h schema.Value, people contacts) []Notification {
	var found []Notification
	details := parseSelection("phase chunk_order progress").of(h.Field("metadata"))
	for _, thread := range graph.Many(h.Field("threads")) {
		context := thread.Field("context")
		person := people.find(firstOf(thread, "id", "context.wa_id"), context.Field("user_id"), context.Field("parent_user_id"))
		person.username = cmp.Or(person.username, graph.Word(context.Field("username")))
		for _, m := range graph.Many(thread.Field("messages")) {
			n := messageOf(m)
			n.Kind = "history"
			n.setPerson(person)
			n.From, n.To = cmp.Or(recipientForm(graph.Word(m.Field("from"))), graph.Word(m.Field("from_user_id"))), recipientForm(graph.Word(m.Field("to")))
			n.Status = strings.ToLower(graph.Word(m.Get("history_context", "status")))
			found = append(found, n)
		}
	}
	if errors := readErrors(h.Field("errors")); details != nil || len(errors) > 0 || len(found) == 0 {
		found = append(found, Notification{Kind: "history", Details: details, Errors: errors})
	}
	return found
}

// firstOf goes to the first of several places, "a.b", that holds a text or number.
func firstOf(v schema.Value, places ...string) schema.Value {
	for _, place := range places {
		name, inside, more := strings.Cut(place, ".")
		at := v.Field(name)
		for more && at.Present() {
			name, inside, more = strings.Cut(inside, ".")
			at = at.Field(name)
		}
		if graph.Word(at) != "" {
			return at
		}
	}
	return schema.Value{}
}

// messageOf reads what messages have in common, whoever sent them.
func messageOf(m schema.Value) Notification {
	n := Notification{
		MessageID: graph.Word(m.Field("id")),
		Type:      graph.Word(m.Field("type")),
		Timestamp: parseTime(m.Field("timestamp")),
		GroupID:   graph.Word(m.Field("group_id")),
		ReplyTo:   graph.Word(firstOf(m, "context.id", "context.message_id")),
		Details:   messageDetails().of(m),
		Errors:    readErrors(m.Field("errors")),
	}
	for i := range n.Errors {
		n.Errors[i].Class = graph.InboundFault // whatever the code means of a message that we send
	}
	n.Raw, _ = m.Object()
	if n.Type == "" {
		n.Type = guessType(n.Raw)
	}
	places, known := textPaths()[n.Type]
	if !known {
		n.Note = "the message type is unknown"
	}
	n.Text = graph.Word(firstOf(m, places...))
	for _, c := range choices {
		if id := firstOf(m, c.id); graph.Word(id) != "" {
			n.ReplyID, n.ReplyTitle = graph.Word(id), graph.Word(firstOf(m, c.title))
		}
	}
	switch n.Type {
	case "edit":
		edited := m.Get("edit", "message")
		n.Text = graph.Word(firstOf(edited, textPaths()[graph.Word(edited.Field("type"))]...))
		n.ReplyTo = cmp.Or(n.ReplyTo, graph.Word(edited.Get("context", "id")))
	case "system":
		n.Status = graph.Word(m.Get("system", "type"))
	case "interactive":
		n.setFormAnswer(m)
		if kind := graph.Word(m.Get("interactive", "type")); !slices.Contains(replyKinds, kind) {
			n.Note = "the kind of reply is unknown"
		}
	}
	return n
}

// The kinds of interactive messages that people send, and of those that the business
// sends with its app.
var replyKinds = []string{"button_reply", "list_reply", "nfm_reply", "call_permission_reply", "payment_method",
	"button", "list", "cta_url", "flow", "product", "product_list", "catalog_message", "carousel", "location_request_message"}

// setFormAnswer reads what a WhatsApp Flow or a form was filled in with.
func (n *Notification) setFormAnswer(m schema.Value) {
	text, ok := m.Get("interactive", "nfm_reply", "response_json").Text()
	if !ok {
		return
	}
	if filled, err := actions.DecodeJSON([]byte(text)); err == nil {
		if reply, ok := schema.NewValue(n.Details, nil).Get("interactive", "nfm_reply").Object(); ok {
			reply["response_json"] = filled
		}
	}
}

func guessType(message map[string]any) string {
	for _, name := range slices.Sorted(maps.Keys(textPaths())) {
		if _, ok := message[name].(map[string]any); ok || name == "contacts" && message[name] != nil {
			return name
		}
	}
	return ""
}

// recipientForm gives what Meta calls wa_id, digits, the form that recipient takes. What
// is no number stays as it is.
func recipientForm(waID string) string {
	if waID != "" && strings.Trim(waID, "0123456789") == "" {
		return "+" + waID
	}
	return waID
}

// Event gives a message as flows see the event whatsapp.message. Anything else is none, nor
// is what Meta says about a person, what a person says to a group, or what another app answers.
// The timestamp is zero when Meta gives none.
func (n Notification) Event() (data map[string]any, ok bool) {
	switch {
	case n.Kind != "message", n.From == "", n.MessageID == "":
		return nil, false
	case n.Type == "system", n.GroupID != "":
		return nil, false
	}
	event, ok := schema.Encode(whatsapp.Inbound{
		From: n.From, SenderPhoneID: n.PhoneNumberID, MessageID: n.MessageID, Type: n.Type, Text: n.Text,
		ReplyID: n.ReplyID, ReplyTitle: n.ReplyTitle, ProfileName: n.ProfileName, Timestamp: n.Timestamp, Raw: n.Raw,
	}).(map[string]any)
	return event, ok
}
