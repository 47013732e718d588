package whatsapp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

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
	b := make([]byte, 0, 1024)
	b = append(b, `{"messaging_product":"whatsapp","recipient_type":"individual"`...)
	if e.to.userID != "" {
		b = appendText(b, `,"recipient":`, e.to.userID)
	} else {
		b = appendText(b, `,"to":`, e.to.phone)
	}
	b = appendText(b, `,"type":`, e.kind)
	b = append(b, `,"`+e.kind+`":`...)
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
	b, _ = schema.AppendJSON(append(b, before...), text) // a text is never an error
	return b
}

// post sends a body to the messages of a number.
func (a Account) post(ctx context.Context, client *http.Client, sender string, body []byte) (reply, error) {
	url := a.BaseURL + "/" + a.Version + "/" + sender + "/messages"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return reply{}, actions.Permanent(&call.Error{Code: "connection", Class: "connection",
			Message: fmt.Sprintf("connection %q: base_url is not the address of an API", a.Name)})
	}
	req.Header["Authorization"] = []string{"Bearer " + a.Token.Reveal()}
	req.Header["Content-Type"] = []string{"application/json"}
	answer, err := actions.Exchange(client, req, maxAnswer)
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
	v := schema.NewValue(r.json, nil)
	r.messageID, _ = v.Get("messages").Index(0).Get("id").Text()
	r.status, _ = v.Get("messages").Index(0).Get("message_status").Text()
	r.waID, _ = v.Get("contacts").Index(0).Get("wa_id").Text()
	r.success, _ = v.Get("success").Bool()
	if e, ok := graphError(v.Get("error")); ok {
		e.Status = r.Status
		r.err = &e
	}
}

// graphError reads an error wherever the API puts one; ok is false when it has no code.
func graphError(v schema.Value) (e GraphError, ok bool) {
	code, ok := integer(v.Get("code"))
	if !ok {
		return e, false
	}
	e.Code = code
	e.Subcode, _ = integer(v.Get("error_subcode"))
	e.Type, _ = v.Get("type").Text()
	e.FBTraceID, _ = v.Get("fbtrace_id").Text()
	e.Transient, _ = v.Get("is_transient").Bool()
	e.Title, _ = v.Get("message").Text()
	if e.Title == "" {
		e.Title, _ = v.Get("title").Text()
	}
	e.Title = strings.TrimSpace(strings.TrimPrefix(e.Title, fmt.Sprintf("(#%d)", code)))
	data := v.Get("error_data")
	if e.Details, ok = data.Get("details").Text(); !ok {
		e.Details, _ = data.Text() // some endpoints give a plain text
	}
	return e, true
}

// integer reads a number that may be written as a text.
func integer(v schema.Value) (int64, bool) {
	if n, ok := v.Number(); ok {
		return int64(n), true
	}
	if text, ok := v.Text(); ok {
		n, err := json.Number(text).Int64()
		return n, err == nil
	}
	return 0, false
}
