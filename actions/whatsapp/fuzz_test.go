package whatsapp_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/flow/call"
	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzAnswer: whatever the API answers, a send has one outcome, and only an answer with a
// message id is a success.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{okBody, graphError(131026, ""), graphError(4, `,"is_transient":true,"error_subcode":"7"`), "", "<html>", "null", "[]", `{"error":{"code":"190","error_data":"text"}}`,
		`{"messages":[{"id":""}]}`, `{"messages":[null]}`, `{"error":{"code":1e400}}`, `{"error":{"code":-1.5}}`, `{"error":null,"messages":[{"id":"x"}]}`} {
		for _, status := range []int{200, 400, 429, 500} {
			f.Add(status, body, "7")
		}
	}
	f.Add(400, graphError(80007, ""), `{"1":[{"estimated_time_to_regain_access":1e300}]}`)
	f.Fuzz(func(t *testing.T, status int, body, wait string) {
		if status < 100 || status > 999 {
			return
		}
		client := &http.Client{Transport: fixed(func(req *http.Request) *http.Response {
			return &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {wait}, "X-Business-Use-Case-Usage": {wait}}, ContentLength: -1, Body: io.NopCloser(strings.NewReader(body)), Request: req}
		})}
		set := newSet(t, &credentials{conn: connection("https://graph.test", token)}, whatsapp.Options{Client: client})
		set.Panicked = func(_ call.Call, v any, stack []byte) { t.Fatalf("%v\n%s", v, stack) }
		o := set.Do(context.Background(), send(text(nil)))
		assert.Equal(t, int64(status), o.Output["status_code"])
		assert.Equal(t, o.Status == call.Succeeded, o.Output["success"])
		if o.Status == call.Succeeded {
			assert.NotEmpty(t, o.Output["message_id"])
			assert.True(t, status >= 200 && status < 300)
		} else {
			require.NotNil(t, o.Error)
			assert.NotEmpty(t, o.Error.Code)
			assert.NotEmpty(t, o.Error.Message)
		}
		assert.GreaterOrEqual(t, o.After, time.Duration(0))
		assert.LessOrEqual(t, o.After, 24*time.Hour)
	})
}

type fixed func(*http.Request) *http.Response

func (f fixed) RoundTrip(req *http.Request) (*http.Response, error) { return f(req), nil }

// FuzzRecipient: a text is either a recipient, or an error says how to write one.
func FuzzRecipient(f *testing.F) {
	for _, s := range []string{"+33612345678", "0033612345678", "+033612345678", "US.1349", "+44 (0)20 7946 0958", "", "+", "++1", "+1800FLOWERS", "+33612345678;ext=5", "٠٦١٢", "+\u0660", strings.Repeat("9", 300)} {
		f.Add(s)
	}
	sig := newSet(f, nil, whatsapp.Options{}).Action("whatsapp.send_message")
	f.Fuzz(func(t *testing.T, s string) {
		key := sig.Recipient(map[string]any{"recipient": s})
		found := sig.Check(schema.NewValue(map[string]any{"recipient": s}, nil))
		if found.Err() != nil {
			assert.NotEmpty(t, found[0].Message)
			return
		}
		assert.NotEmpty(t, key)
		assert.NotContains(t, key, "+")
	})
}

// FuzzMessage: schemas and rules never panic, and their findings are deterministic.
func FuzzMessage(f *testing.F) {
	for _, pair := range goodMessages(f) {
		message, err := json.Marshal(pair[1])
		require.NoError(f, err)
		f.Add(pair[0].(string), string(message))
	}
	f.Add("template", `{"components":[{"type":7,"parameters":[null,{"type":"text","text":{}}],"index":[]}]}`)
	sig := newSet(f, nil, whatsapp.Options{}).Action("whatsapp.send_message")
	f.Fuzz(func(t *testing.T, kind, text string) {
		var message any
		if json.Unmarshal([]byte(text), &message) != nil {
			return
		}
		in := map[string]any{"message_type": kind, "message": message, "recipient": "+33612345678"}
		// Also without coercion: at load, parts may have the wrong type.
		findings := sig.Check(schema.NewValue(in, nil))
		assert.Equal(t, findings, sig.Check(schema.NewValue(in, nil)))
		testSpecializedCheck(t, sig, in, findings)
	})
}
