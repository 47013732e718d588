package suite_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/plan"
	"facteur/flow/suite"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What answers the calls of a case knows which events have arrived, and when.
func TestArrivals(t *testing.T) {
	f, diags := flow.Parse("talk.flow.yaml", []byte(`flow: talk
inputs:
  to: {type: string}
triggers: [{whatsapp_message: {inputs: {to: "${event.from}"}}}]
steps:
  - {id: first, action: letter.post, with: {to: "${inputs.to}", text: one}}
  - {wait: 2h}
  - {id: second, action: letter.post, with: {to: "${inputs.to}", text: two}}
  - {wait: 2h}
  - {id: third, action: letter.post, with: {to: "${inputs.to}", text: three}}
`))
	require.NoError(t, diags.Err())
	lib := plan.Library{Catalog: catalog{}, Flow: func(string) *flow.Flow { return f }, FlowNames: []string{"talk"}}
	loaded, diags := suite.Load("talk.test.yaml", []byte(`flow: talk
cases:
  - name: x
    trigger: {whatsapp_message: {from: "+33612345678", text: hi}}
    exchanges:
      - {request: {path: /letters, json: {$any: true}}, response: {json: {id: L1}}}
      - {request: same, response: {json: {id: L2}}}
      - {request: same, response: {json: {id: L3}}}
    events:
      - {at: 1h, event: whatsapp.message, from: "+33699999999", text: at}
      - {after: second, in: 1h, event: webhook, path: /x}
      - {after: second, receipt: second, status: delivered}
      - {at: 9h, event: webhook, path: /x}
`), lib)
	require.NoError(t, diags.Err())
	var seen [][]string
	o := options(nil)
	o.Do = func(w suite.Environment) (call.Do, error) {
		inner, err := do(w)
		return func(ctx context.Context, c call.Call) call.Outcome {
			var came []string
			for _, e := range w.Events() {
				came = append(came, e.Name+" "+strings.Join(e.Subjects, " ")+" "+e.At.Format("15:04"))
			}
			seen = append(seen, came)
			return inner(ctx, c)
		}, err
	}
	r := suite.Run(t.Context(), loaded, o)
	require.True(t, r.Passed(), "%v", r.Cases[0].Failures)
	hi, at, after := "whatsapp.message +33612345678 00:00", "whatsapp.message +33699999999 01:00", "webhook /x 03:00"
	assert.Equal(t, [][]string{{hi}, {hi, at}, {hi, at, after}}, seen)
}

// TestWriteExchanges: what a simulator answered and delivered is written into the case, which
// then passes without it, however the file is formatted.
func TestWriteExchanges(t *testing.T) {
	const said = "Bonjour\u00a0! \"5\u202f€\" \\ 👍\u2028\ufeff\x7f\ttab"
	f, diags := flow.Parse("talk.flow.yaml", []byte(`flow: talk
steps:
  - {id: ask, action: letter.post, with: {to: "+33612345678", text: one}}
  - {id: reply, wait_for: {event: whatsapp.message, from: "+33612345678"}}
outputs: {said: "${steps.reply.outputs.text}"}
`))
	require.NoError(t, diags.Err())
	lib := plan.Library{Catalog: catalog{}, Flow: func(string) *flow.Flow { return f }, FlowNames: []string{"talk"}}
	name := filepath.Join(t.TempDir(), "talk.test.yaml")
	require.NoError(t, os.WriteFile(name, []byte("\ufeffflow: talk\ncases:\n  - name: x\n  - name: y\n    exchanges: []\n    expect: {status: failed}\n"), 0o600))
	run := func(o suite.Options) *suite.CaseReport {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		loaded, diags := suite.Load(name, text, lib)
		require.NoError(t, diags.Err(), "%s", text)
		return suite.Run(t.Context(), loaded, o).Cases[0]
	}

	o := options(nil)
	o.ReadFile, o.WriteExchanges = nil, true
	o.Simulate = func(w suite.Environment) (call.Do, func(), error) {
		w.RoundTripper = w.Simulation.Wrap(acceptAll{})
		inner, err := do(w)
		return func(ctx context.Context, c call.Call) call.Outcome {
			out := inner(ctx, c)
			w.Simulation.Receive(call.Receipt{Key: c.Key, ID: "r", State: "delivered"})
			assert.NoError(t, w.Simulation.Deliver(ctx, host.Event{Name: "whatsapp.message", ID: "e", At: w.Now(), Subjects: []string{"+33612345678"},
				Data: map[string]any{"from": "+33612345678", "text": said, "sender_phone_id": "", "raw": nil}}))
			return out
		}, func() {}, err
	}
	kept := run(o)
	require.True(t, kept.Passed, "%v", kept.Failures)
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(text), "\ufeffflow: talk\n"), "what an editor put there stays")
	assert.Contains(t, string(text), "    events:\n")
	assert.Contains(t, string(text), "  - name: y\n    exchanges: []\n")

	again := run(options(nil))
	require.True(t, again.Passed, "%v\n%s", again.Failures, text)
	assert.Equal(t, kept.Steps, again.Steps)
}

// acceptAll is a transport that accepts every request.
type acceptAll struct{}

func (acceptAll) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"id": "L1"}`)), Header: http.Header{}, Request: req}, nil
}
