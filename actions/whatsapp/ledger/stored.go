package ledger

import (
	"encoding/json"
	"strings"
	"time"

	"facteur/actions/whatsapp/inbound"
	"facteur/flow/schema"
)

// stored is the form of an event on disk. Fields may be added; names never change.
type stored struct {
	inbound.Notification
	Raw map[string]any `json:"raw,omitempty"` // of all but statuses that are known
}

// encode gives a notification its stored form. Each status of each message has one, so it
// does without reflection, which would cost as much as all the rest of a webhook.
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
			b = schema.AppendText(field(b, f.name), f.text)
		}
	}
	if !n.Timestamp.IsZero() {
		b = append(n.Timestamp.AppendFormat(append(field(b, "timestamp"), '"'), time.RFC3339Nano), '"')
	}
	if len(n.Details) > 0 {
		if b, err = schema.AppendJSON(field(b, "details"), n.Details); err != nil {
			return nil, err
		}
	}
	if len(n.Errors) > 0 {
		errors, err := json.Marshal(n.Errors)
		if err != nil {
			return nil, err
		}
		b = append(field(b, "errors"), errors...)
	}
	if (n.Kind != "status" || n.Note != "") && len(n.Raw) > 0 {
		if b, err = schema.AppendJSON(field(b, "raw"), n.Raw); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// field begins a field of an object that has one.
func field(b []byte, name string) []byte {
	return append(append(append(b, ',', '"'), name...), '"', ':')
}

func decode(body []byte) (inbound.Notification, error) {
	var s stored
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	err := d.Decode(&s)
	s.Notification.Details, s.Notification.Raw = values(s.Details), values(s.Raw)
	return s.Notification, err
}

// values gives a decoded object the form that values have everywhere.
func values(object map[string]any) map[string]any {
	if object == nil {
		return nil
	}
	coerced, _ := schema.AnyType.Coerce(object)
	plain, _ := coerced.(map[string]any)
	return plain
}
