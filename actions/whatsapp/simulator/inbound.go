package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/actions/whatsapp/graph"
	"facteur/actions/whatsapp/simulator/phone"
	"facteur/flow/schema"
)

// An Inbound is a message from a person to a number.
type Inbound struct {
	From    string         `json:"from"`               // a phone number, or a user ID
	To      string         `json:"to,omitempty"`       // phone number ID; "": the one that last wrote to the person, or the first
	Name    string         `json:"name,omitempty"`     // of the person's profile
	Type    string         `json:"type,omitempty"`     // "": text
	Text    string         `json:"text,omitempty"`     // of a text, a caption, or what a pressed button says
	ReplyTo string         `json:"reply_to,omitempty"` // the message that it answers
	Object  map[string]any `json:"object,omitempty"`   // what stands under the type, in Meta's form; nil: something usual
}

// Send sends a message from a person, and returns its id.
func (s *Simulator) Send(in Inbound) (id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.receive(in, s.Now())
	if err != nil {
		return "", err
	}
	return m.ID, nil
}

// receive takes a message from a person. The simulator is locked.
func (s *Simulator) receive(in Inbound, at time.Time) (*message, error) {
	key := in.From
	if !isUserID(key) {
		key = digits(key)
	}
	if key == "" {
		return nil, fmt.Errorf("from: %q is not a phone number; write it as +33612345678", in.From)
	}
	person := s.world.person(key)
	key = person.key()
	if in.Name != "" && in.Name != person.Name {
		known := *person
		known.Name = in.Name
		s.world.putPerson(known)
		person = &known
	}
	n, err := s.numberOf(in.To, key)
	if err != nil {
		return nil, err
	}
	in.Type = cmp.Or(in.Type, "text")
	object, err := s.messageObject(in)
	if err != nil {
		return nil, err
	}
	msg := &message{category: "service", Message: Message{
		ID: s.wamid(key, true), Number: n.ID, Account: n.account.ID, Person: key, Input: in.From, Inbound: true, Type: in.Type, At: at, State: received,
	}}
	wire := map[string]any{"id": msg.ID, "timestamp": timestamp(at), "type": in.Type, in.Type: object}
	if isUserID(key) {
		wire["from_user_id"] = key
	} else {
		wire["from"] = key
	}
	switch in.Type {
	case "unsupported":
		delete(wire, in.Type)
		wire["errors"] = []any{map[string]any{"code": 131051, "title": "Message type unknown", "message": "Message type unknown", "error_data": map[string]any{"details": "Message type is currently not supported."}}}
	case "request_welcome":
		delete(wire, in.Type)
	}
	if in.ReplyTo != "" {
		wire["context"] = map[string]any{"from": n.digits, "id": in.ReplyTo}
	}
	msg.Body = raw(wire)
	s.log.counts.Inbound++
	s.log.add(msg)
	s.world.limits.openWindow(n.ID, key, at)
	if in.Type == "reaction" {
		s.react(wire, true)
	}
	s.publish("inbound", msg)
	value := messagesValue{Product: "whatsapp", Metadata: n.metadata(), Messages: []any{msg.Body}}
	from := sender{Profile: profile{cmp.Or(person.Name, "Customer")}, UserID: person.UserID}
	if !isUserID(key) {
		from.WaID = key
	}
	value.Contacts = []sender{from}
	s.dispatcher.post(n.account, "messages", key, value)
	return msg, nil
}

// numberOf finds the number that a person writes to.
func (s *Simulator) numberOf(id, person string) (*number, error) {
	if id != "" {
		if n := s.world.number(id); n != nil {
			return n, nil
		}
		return nil, fmt.Errorf("to: there is no phone number ID %q", id)
	}
	for _, m := range slices.Backward(s.log.all) {
		if n := s.world.numbers[m.Number]; n != nil && m.Person == person {
			return n, nil
		}
	}
	for _, a := range s.world.accounts {
		if len(a.numbers) > 0 {
			return a.numbers[0], nil
		}
	}
	return nil, errors.New("to: give the phone number ID that the message is sent to: no number is known yet")
}

// messageObject is the object under the type's name in an inbound message.
func (s *Simulator) messageObject(in Inbound) (any, error) {
	if in.Object != nil {
		if in.Type == "contacts" {
			if list, ok := in.Object["contacts"].([]any); ok {
				return list, nil
			}
			return []any{in.Object}, nil
		}
		return in.Object, nil
	}
	switch in.Type {
	case "text":
		if in.Text == "" {
			return nil, errors.New("text: it must not be empty")
		}
		return map[string]any{"body": in.Text}, nil
	case "image":
		return s.fileObject("image/png", "caption", in.Text), nil
	case "video":
		return s.fileObject("video/mp4", "caption", in.Text), nil
	case "audio":
		return s.fileObject("audio/ogg; codecs=opus", "voice", true), nil
	case "document":
		o := s.fileObject("application/pdf", "caption", in.Text)
		o["filename"] = "document.pdf"
		return o, nil
	case "sticker":
		return s.fileObject("image/webp", "animated", false), nil
	case "location":
		return map[string]any{"latitude": 48.8583, "longitude": 2.2945, "name": cmp.Or(in.Text, "Tour Eiffel"), "address": "Paris"}, nil
	case "contacts":
		return []any{map[string]any{"name": map[string]any{"formatted_name": cmp.Or(in.Text, "Ada"), "first_name": cmp.Or(in.Text, "Ada")},
			"phones": []any{map[string]any{"phone": "+33 5 36 49 00 99", "wa_id": "33536490099", "type": "CELL"}}}}, nil
	case "reaction":
		return map[string]any{"message_id": in.ReplyTo, "emoji": in.Text}, nil
	case "button":
		return map[string]any{"payload": in.Text, "text": in.Text}, nil
	case "order":
		return map[string]any{"catalog_id": "194836987003835", "text": in.Text, "product_items": []any{
			map[string]any{"product_retailer_id": "sku-7", "quantity": 2, "item_price": 7.5, "currency": "EUR"}}}, nil
	case "system":
		return map[string]any{"type": "user_changed_number", "body": cmp.Or(in.Text, "The customer changed their number"), "wa_id": digits(in.From)}, nil
	case "unsupported", "request_welcome":
		return map[string]any{}, nil
	case "interactive":
		return nil, errors.New("object: give the person's choice in the API's format, or use tap")
	}
	return nil, fmt.Errorf("type: people do not send messages of type %q; use text, image, video, audio, document, sticker, location, contacts, reaction, button, interactive, order, system, unsupported or request_welcome", in.Type)
}

// fileObject is the object of a sample file, with one more field unless that is "".
func (s *Simulator) fileObject(mime, name string, value any) map[string]any {
	u := s.sample(mime)
	o := map[string]any{"id": u.id, "mime_type": u.mime, "sha256": u.sha256}
	if value != "" {
		o[name] = value
	}
	return o
}

// React has the person of a conversation react to a message with an emoji, or remove the reaction
// with "", and returns the id of the reaction.
func (s *Simulator) React(messageID, emoji string) (id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.log.byID[messageID]
	if m == nil {
		return "", fmt.Errorf("there is no message %q, or it is no longer stored", messageID)
	}
	object := map[string]any{"message_id": messageID}
	if emoji != "" {
		object["emoji"] = emoji
	}
	out, err := s.receive(Inbound{From: m.Person, To: m.Number, Type: "reaction", Object: object}, s.Now())
	if err != nil {
		return "", err
	}
	return out.ID, nil
}

// react puts the emoji of a message's object on the message that it names.
func (s *Simulator) react(body map[string]any, person bool) {
	v := schema.NewValue(body, nil).Get("reaction")
	m := s.log.byID[graph.Word(v.Get("message_id"))]
	if m == nil {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(m.Reactions), func(r Reaction) bool { return r.Person == person })
	if emoji := graph.Word(v.Get("emoji")); emoji != "" {
		kept = append(kept, Reaction{emoji, person})
	}
	m.Reactions = kept
}

// A Tap presses a button of a message, or chooses a row of a list.
type Tap struct {
	MessageID string         `json:"message_id"`
	Choice    string         `json:"choice,omitempty"` // the id, payload or title; or the place, "0" being the first; "": the first
	Card      int            `json:"card,omitempty"`   // of a carousel, from 0
	Filled    map[string]any `json:"filled,omitempty"` // what a WhatsApp Flow or an address is filled in with
}

// Tap presses a button, and returns the id of the message that it sends: "" if it only opens
// something.
func (s *Simulator) Tap(t Tap) (id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.log.byID[t.MessageID]
	if m == nil {
		return "", fmt.Errorf("message_id: there is no message %q, or it is no longer stored", t.MessageID)
	}
	out, err := s.tap(m, t, s.Now())
	if err != nil || out == nil {
		return "", err
	}
	return out.ID, nil
}

func (s *Simulator) tap(m *message, t Tap, at time.Time) (*message, error) {
	bubble := m.Bubble()
	if t.Card < 0 || t.Card > 0 && t.Card >= len(bubble.Cards) {
		return nil, fmt.Errorf("card: the message has %d cards", len(bubble.Cards))
	}
	if len(bubble.Cards) > 0 {
		bubble = bubble.Cards[t.Card]
	}
	reply := Inbound{From: m.Person, To: m.Number, ReplyTo: m.ID, Type: "interactive"}
	if bubble.List != nil {
		var rows []phone.Row
		for _, section := range bubble.List.Sections {
			rows = append(rows, section.Rows...)
		}
		row, ok := choose(rows, t.Choice, func(r phone.Row) (string, string) { return r.ID, r.Title })
		if !ok {
			return nil, fmt.Errorf("choice: the list has no row %q", t.Choice)
		}
		answer := map[string]any{"id": row.ID, "title": row.Title}
		if row.Description != "" {
			answer["description"] = row.Description
		}
		reply.Object = map[string]any{"type": "list_reply", "list_reply": answer}
		return s.receive(reply, at)
	}
	button, ok := choose(bubble.Buttons, t.Choice, func(b phone.Button) (string, string) { return b.ID, b.Title })
	if !ok {
		return nil, fmt.Errorf("choice: the message has no button %q", t.Choice)
	}
	if !button.Answers() {
		return nil, nil
	}
	switch button.Kind {
	case "reply":
		reply.Object = map[string]any{"type": "button_reply", "button_reply": map[string]any{"id": button.ID, "title": button.Title}}
	case "quick_reply":
		reply.Type = "button"
		reply.Object = map[string]any{"payload": button.ID, "text": button.Title}
	case "flow", "address":
		name := map[string]string{"flow": "flow", "address": "address_message"}[button.Kind]
		filled := t.Filled
		if filled == nil {
			filled = map[string]any{"flow_token": cmp.Or(button.ID, "unused")}
		}
		reply.Object = map[string]any{"type": "nfm_reply", "nfm_reply": map[string]any{"name": name, "body": "Sent", "response_json": string(encode(filled))}}
	case "permission":
		reply.Object = map[string]any{"type": "call_permission_reply", "call_permission_reply": map[string]any{
			"response": "accept", "expiration_timestamp": at.Add(7 * 24 * time.Hour).Unix(), "response_source": "user_action"}}
	case "location":
		reply.Type = "location"
	case "contact_info":
		reply.Type = "contacts"
	}
	return s.receive(reply, at)
}

// choose finds an item by its id, its title or its position; "" is the first.
func choose[T any](all []T, choice string, names func(T) (id, title string)) (found T, ok bool) {
	i := slices.IndexFunc(all, func(one T) bool {
		id, title := names(one)
		return choice != "" && (id == choice || strings.EqualFold(title, choice))
	})
	if i < 0 {
		var err error
		if i, err = strconv.Atoi(cmp.Or(choice, "0")); err != nil || i < 0 || i >= len(all) {
			return found, false
		}
	}
	return all[i], true
}

// reply has the person of a message answer as the magic recipient does. The simulator is locked.
func (s *Simulator) reply(m *message, magic *Magic) {
	if magic == nil || magic.replies == "" && magic.acts == "" {
		return
	}
	s.schedule(s.Now().Add(200*time.Millisecond), func(at time.Time) {
		in := Inbound{From: m.Person, To: m.Number, Text: magic.replies}
		switch magic.acts {
		case "echo":
			in.Text = cmp.Or(m.Bubble().Text, "?")
		case "image":
			in.Type = "image"
		case "react":
			in.Type, in.Object = "reaction", map[string]any{"message_id": m.ID, "emoji": "👍"}
		case "tap", "tap2":
			choice := map[string]string{"tap": "0", "tap2": "1"}[magic.acts]
			if out, err := s.tap(m, Tap{MessageID: m.ID, Choice: choice}, at); err == nil && out != nil {
				return
			}
			in.Text = "?"
		}
		_, _ = s.receive(in, at) // the number was there when the message came
	})
}
