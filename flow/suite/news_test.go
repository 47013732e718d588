package suite_test

import (
	"context"
	"strings"
	"testing"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/plan"
	"facteur/flow/suite"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What answers a case knows which events have come, and when.
func TestEventsThatCame(t *testing.T) {
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
	o.Do = func(w suite.World) (call.Do, error) {
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
