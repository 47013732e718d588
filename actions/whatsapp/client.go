package whatsapp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"

	"facteur/actions"
	"facteur/actions/whatsapp/graph"
	"facteur/flow/call"
	"facteur/flow/schema"
)

// maxResponse bounds a response body, in bytes; the API's are far smaller.
const maxResponse = 1 << 20

// An envelope is the body of a request that sends one message. encode writes the fields in
// this order.
type envelope struct {
	to        contact
	kind      string // the message type
	message   any
	replyTo   string // a wamid, "" for none
	reference string // biz_opaque_callback_data, which status webhooks return
}

func (e *envelope) encode() ([]byte, error) {
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

// A client posts to the messages endpoint of the API.
type client struct {
	roundTrip func(*http.Request) (*http.Response, error)
	last      atomic.Pointer[endpoint]
}

// An endpoint is what requests of one account share: the parsed base URL and the headers.
// The last one is cached, because nearly all messages are of one account.
type endpoint struct {
	address, token string
	url            *url.URL
	header         http.Header
}

func (p *client) endpoint(a *Account) (*endpoint, error) {
	token := a.Token.Reveal()
	if last := p.last.Load(); last != nil && last.address == a.BaseURL && last.token == token {
		return last, nil
	}
	u, err := url.Parse(a.BaseURL)
	if err != nil {
		return nil, err
	}
	made := &endpoint{a.BaseURL, token, u, http.Header{
		"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"},
		"Accept-Encoding": {"identity"}, // decompressing a short answer costs more than it saves
	}}
	p.last.Store(made)
	return made, nil
}

// post sends a request to the messages endpoint of a phone number.
func (p *client) post(ctx context.Context, a *Account, sender string, body []byte) (r response, err error) {
	req, err := p.request(a, sender, body)
	if err != nil {
		return r, actions.Permanent(&call.Error{Code: "connection", Class: "connection",
			Message: fmt.Sprintf("connection %q: base_url is not the address of an API", a.Name)})
	}
	if r.Answer, err = actions.Exchange(ctx, p.roundTrip, req, maxResponse); err == nil {
		r.read()
	}
	return r, err
}

// request is http.NewRequest without parsing the URL again.
func (p *client) request(a *Account, sender string, body []byte) (*http.Request, error) {
	api, err := p.endpoint(a)
	if err != nil {
		return nil, err
	}
	at := *api.url
	if at.Path = api.url.Path + "/" + a.Version + "/" + sender + "/messages"; at.RawPath != "" {
		at.RawPath += at.Path[len(api.url.Path):]
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req := &http.Request{Method: http.MethodPost, URL: &at, Host: at.Host, ContentLength: int64(len(body)), Header: api.header, GetBody: open}
	req.Body, _ = open()
	return req, nil
}

// A response is the API's answer to a request. Every field is optional.
type response struct {
	actions.Answer
	json      any // the whole body, nil if it is not JSON
	messageID string
	status    string // message_status
	waID      string
	userID    string
	success   bool // only in answers to mark_read
	err       *graph.Error
}

func (r *response) read() {
	r.json, _ = actions.DecodeJSON(r.Body)
	message, contact := firstElement(get(r.json, "messages")), firstElement(get(r.json, "contacts"))
	r.messageID, _ = get(message, "id").(string)
	r.status, _ = get(message, "message_status").(string)
	r.waID, _ = get(contact, "wa_id").(string)
	r.userID, _ = get(contact, "user_id").(string)
	r.success, _ = get(r.json, "success").(bool)
	if e, ok := graph.ReadError(r.json); ok {
		r.err = new(e)
		r.err.Status = r.Status
	}
}

// firstElement returns the first element of a list, nil if v is no list or is empty.
func firstElement(v any) any {
	if list, _ := v.([]any); len(list) > 0 {
		return list[0]
	}
	return nil
}
