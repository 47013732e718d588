package ledger

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"facteur/actions/whatsapp/inbound"
	"facteur/flow/schema"
)

// A storedEvent is the JSON of an event on disk. Fields may be added; names never change.
type storedEvent struct {
	inbound.Notification
	Raw map[string]any `json:"raw,omitempty"` // of all but statuses that are known
}

// encode encodes a notification. There is one for each status of each message, so it does without
// reflection, which would cost as much as the rest of a webhook.
func encode(n inbound.Notification) (_ []byte, err error) {
	b := append(make([]byte, 0, 768), `{"kind":`...)
	b = append(schema.AppendText(b, n.Kind), `,"field":`...)
	b = schema.AppendText(b, n.Field)
	for _, f := range [...]struct{ name, text string }{
		{"waba_id", n.WABA}, {"phone_number_id", n.PhoneNumberID}, {"phone_number", n.PhoneNumber}, {"message_id", n.MessageID},
		{"type", n.Type}, {"from", n.From}, {"to", n.To}, {"wa_id", n.WaID}, {"other_wa_id", n.OtherWaID}, {"user_id", n.UserID}, {"parent_user_id", n.ParentUserID},
		{"username", n.Username}, {"profile_name", n.ProfileName}, {"group_id", n.GroupID}, {"status", n.Status},
		{"callback_data", n.CallbackData}, {"text", n.Text}, {"reply_id", n.ReplyID}, {"reply_title", n.ReplyTitle},
		{"reply_to", n.ReplyTo}, {"note", n.Note},
	} {
		if f.text != "" {
			b = schema.AppendText(appendKey(b, f.name), f.text)
		}
	}
	if !n.Timestamp.IsZero() {
		b = append(n.Timestamp.AppendFormat(append(appendKey(b, "timestamp"), '"'), time.RFC3339Nano), '"')
	}
	if len(n.Details) > 0 {
		if b, err = schema.AppendJSON(appendKey(b, "details"), n.Details); err != nil {
			return nil, err
		}
	}
	if len(n.Errors) > 0 {
		errors, err := json.Marshal(n.Errors)
		if err != nil {
			return nil, err
		}
		b = append(appendKey(b, "errors"), errors...)
	}
	if (n.Kind != "status" || n.Note != "") && len(n.Raw) > 0 {
		if b, err = schema.AppendJSON(appendKey(b, "raw"), n.Raw); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// appendKey appends a comma and the name of a field.
func appendKey(b []byte, name string) []byte {
	return append(append(append(b, ',', '"'), name...), '"', ':')
}

func decode(body []byte) (inbound.Notification, error) {
	var s storedEvent
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	err := d.Decode(&s)
	s.Notification.Details, s.Notification.Raw = plainValues(s.Details), plainValues(s.Raw)
	return s.Notification, err
}

// plainValues converts the numbers of a decoded object to the types that flows use.
func plainValues(object map[string]any) map[string]any {
	if object == nil {
		return nil
	}
	coerced, _ := schema.AnyType.Coerce(object)
	plain, _ := coerced.(map[string]any)
	return plain
}

// An eventRow is the sealed part of an event's row.
type eventRow struct{ id, body []byte }

// seal encodes and encrypts a fact's notification.
func (o Options) seal(f fact) ([]byte, error) {
	body, err := encode(f.Notification)
	if err == nil && o.Seal != nil {
		body, err = o.Seal(body, f.id.context())
	}
	if err != nil {
		return nil, fmt.Errorf("store the content of a webhook: %w", err)
	}
	return body, nil
}

// unseal is the reverse.
func (o Options) unseal(row eventRow) (n inbound.Notification, err error) {
	body := row.body
	if o.Open != nil {
		body, err = o.Open(body, eventID(row.id).context())
	}
	if err == nil {
		n, err = decode(body)
	}
	if err != nil {
		return n, fmt.Errorf("read the content of a webhook: %w", err)
	}
	return n, nil
}

// context binds the sealed text to its row.
func (id eventID) context() []byte { return []byte("ledger " + hex.EncodeToString(id[:])) }

// notifications opens rows.
func (o Options) notifications(rows []eventRow) ([]inbound.Notification, error) {
	var all []inbound.Notification
	for _, row := range rows {
		n, err := o.unseal(row)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}
