package whatsapp

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"facteur/actions"
	"facteur/flow/call"
	"facteur/flow/schema"
)

// maxAnswer is more than any answer of the API.
const maxAnswer = 1 << 20

// An envelope is the body of a request for one message; its fields go out in this order.
type envelope struct {
	to        contact
	kind      string // the message type
	message   any
	replyTo   string // a wamid, "" for none
	reference string // comes back on status webhooks
}

func (e envelope) encode() ([]byte, error) {
	b := make([]byte, 0, 512)
	b = append(b, `{"messaging_product":"whatsapp","recipient_type":"individual"`...)
	if e.to.userID != "" {
		b = appendText(b, `,"recipient":`, e.to.userID)
	} else {
		b = appendText(b, `,"to":`, e.to.phone)
	}
	b = appendText(b, `,"type":`, e.kind)
	b = append(append(append(b, `,"`...), e.kind...), `":`...)
	b, err := schema.AppendJSON(b, e.message)
	if e.replyTo != "" {
		b = append(appendText(b, `,"context":{"message_id":`, e.replyTo), '}')
	}
	if e.reference != "" {
		b = appendText(b, `,"biz_opaque_callback_data":`, e.reference)
	}
	return append(b, '}'), err
}

func appendText(b []byte, before, text string) []byte {
	return schema.AppendText(append(b, before...), text)
}

// post sends a body to the messages of a number.
func (a Account) post(ctx context.Context, roundTrip func(*http.Request) (*http.Response, error), sender string, body []byte) (reply, error) {
	url := a.BaseURL + "/" + a.Version + "/" + sender + "/messages"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return reply{}, actions.Permanent(&call.Error{Code: "connection", Class: "connection",
			Message: fmt.Sprintf("connection %q: base_url is not the address of an API", a.Name)})
	}
	values := []string{"Bearer " + a.Token.Reveal(), "application/json"}
	req.Header["Authorization"], req.Header["Content-Type"] = values[:1:1], values[1:]
	answer, err := actions.Exchange(roundTrip, req, maxAnswer)
	r := reply{Answer: answer}
	if err == nil {
		r.read()
	}
	return r, err
}

// A reply is what the API said. Everything in it is optional.
type reply struct {
	actions.Answer
	json      any // the whole answer, nil if it is no JSON
	messageID string
	status    string // message_status
	waID      string
	success   bool // of mark_read
	err       *GraphError
}

func (r *reply) read() {
	r.json, _ = actions.DecodeJSON(r.Body)
	message, contact := foremost(get(r.json, "messages")), foremost(get(r.json, "contacts"))
	r.messageID, _ = get(message, "id").(string)
	r.status, _ = get(message, "message_status").(string)
	r.waID, _ = get(contact, "wa_id").(string)
	r.success, _ = get(r.json, "success").(bool)
	if e, ok := answerError(r.json); ok {
		e.Status = r.Status
		r.err = &e
	}
}

// foremost is the first element of a list, nil where there is none.
func foremost(v any) any {
	if list, _ := v.([]any); len(list) > 0 {
		return list[0]
	}
	return nil
}
