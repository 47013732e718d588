package server_test

import (
	"encoding/json"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// report is of a run that holds a secret code, flags that are sensitive, and the number
// of a person in several forms.
func report() *host.Report {
	entry := func(kind, data string) host.Entry {
		return host.Entry{At: began, Kind: kind, Data: json.RawMessage(data)}
	}
	return &host.Report{
		Run: host.Run{ID: "r1", Flow: "order_shipped", Digest: "d", Status: host.Waiting, By: "message of +33612345678", Started: began, Unknown: 1},
		Result: host.Result{
			Result: machine.Result{
				Status: machine.Failed, Outputs: map[string]any{"code": "4711-secret", "every": 90 * time.Second}, Step: "notify",
				Error: &call.Error{Code: "x", Message: "code 4711-secret for 33612345678 is wrong", Details: map[string]any{"who": "+33612345678"}},
			},
			Steps: []*machine.Step{
				{Path: "notify", ID: "notify", Kind: "action", Flow: "order_shipped", Status: machine.Failed, Attempts: 2, Started: began, Ended: began.Add(time.Second),
					Unknown: true, State: "sent", Keys: []string{"f1.r1.1"}, Outputs: map[string]any{"wa_id": "33699999999", "status_code": int64(200)}},
				{Path: "secret", Kind: "action", Flow: "order_shipped", Status: machine.Succeeded, Started: began, Sensitive: true,
					Outputs: map[string]any{"ok": true, "n": int64(7), "in": map[string]any{"list": []any{"a", nil}}}},
			},
			Sensitive: []any{"4711-secret"},
		},
		Inputs: map[string]any{"phone": "+33612345678", "code": "4711-secret", "sender_phone_id": "106540352242922"},
		Journal: []host.Entry{
			entry("start", `{"seed":"c2VlZA==","random":[1],"inputs":{"phone":"+33612345678","code":"4711-secret"},"at":12345678901234567890}`),
			entry("answered", `{"key":"f1.r1.1","outcome":{"output":{"body":{"contacts":[{"input":"+33612345678","wa_id":"33612345678"}]}}}}`),
			entry("fired", `null`), entry("odd", ``), entry("torn", `{"phone":"+33612345678`),
		},
		Waits: []string{"whatsapp.message from +33612345678"},
		Holds: []host.HeldCall{{Step: "notify", Reason: "the pair +33612345678 is throttled", Until: began}},
		Calls: []host.Call{{
			Call:     call.Call{Key: "f1.r1.1", Step: "notify", Attempt: 1, Action: "test.send", Connection: "shop", Input: map[string]any{"to": "+33612345678", "text": "4711-secret", "timeout": time.Minute}},
			Outcome:  &call.Outcome{Status: call.Failed, Retryable: true, Output: map[string]any{"status_code": int64(500)}, Error: &call.Error{Code: "x", Message: "33612345678"}},
			Receipts: []call.Receipt{{Key: "f1.r1.1", ID: "w1", State: "failed", Data: map[string]any{"recipient_id": "33612345678"}, Error: &call.Error{Code: "131026"}}},
			Taken:    began,
		}},
	}
}

func TestWhatShowsOfARun(t *testing.T) {
	d := newDaemon(t)
	d.host.report["r1"] = report()
	resp := d.do("GET", "/v1/runs/r1", "")
	text := resp.Body.String()
	assert.NotContains(t, text, "4711-")
	assert.NotContains(t, text, "3361234")
	assert.NotContains(t, text, "3369999")
	assert.NotContains(t, text, "c2VlZA==", "the run's seed")
	assert.Contains(t, text, "106540352242922", "a phone number ID is no phone number")

	got := decode[server.Detail](t, resp)
	assert.Equal(t, "message of +*********78", got.By)
	assert.Equal(t, map[string]any{"phone": "+*********78", "code": "[secret]", "sender_phone_id": "106540352242922"}, got.Inputs)
	assert.Equal(t, map[string]any{"code": "[secret]", "every": "1m30s"}, got.Outputs)
	assert.Equal(t, "code [secret] for *********78 is wrong", got.Error.Message)
	assert.Equal(t, []string{"whatsapp.message from +*********78"}, got.Waits)
	assert.Equal(t, []server.HeldCall{{Step: "notify", Reason: "the pair +*********78 is throttled", Until: began}}, got.Held)

	require.Len(t, got.Steps, 2)
	assert.Equal(t, server.Step{
		Path: "notify", ID: "notify", Flow: "order_shipped", Kind: "action", Status: machine.Failed, Attempts: 2, StartedAt: began, EndedAt: began.Add(time.Second),
		Unknown: true, State: "sent", Keys: []string{"f1.r1.1"}, Outputs: map[string]any{"wa_id": "*********99", "status_code": 200.0},
	}, got.Steps[0])
	assert.Equal(t, map[string]any{"ok": "[secret]", "n": "[secret]", "in": map[string]any{"list": []any{"[secret]", nil}}}, got.Steps[1].Outputs)

	require.Len(t, got.Calls, 1)
	c := got.Calls[0]
	assert.Equal(t, map[string]any{"to": "+*********78", "text": "[secret]", "timeout": "1m"}, c.Input)
	assert.Equal(t, &server.Outcome{Status: call.Failed, Retryable: true, Output: map[string]any{"status_code": 500.0}, Error: &server.Failure{Code: "x", Message: "*********78"}}, c.Outcome)
	assert.Equal(t, []server.Receipt{{ID: "w1", State: "failed", Data: map[string]any{"recipient_id": "*********78"}, Error: &server.Failure{Code: "131026"}}}, c.Receipts)

	require.Len(t, got.Journal, 5)
	assert.JSONEq(t, `{"inputs":{"phone":"+*********78","code":"[secret]"},"at":12345678901234567000}`, string(got.Journal[0].Data))
	assert.JSONEq(t, `{"key":"f1.r1.1","outcome":{"output":{"body":{"contacts":[{"input":"+*********78","wa_id":"*********78"}]}}}}`, string(got.Journal[1].Data))
	for _, e := range got.Journal[2:] {
		assert.Equal(t, "null", string(e.Data))
	}
}

func TestNumbersShowWhereThatIsConfigured(t *testing.T) {
	d := newDaemon(t, func(o *server.Options) { o.View.Numbers = true })
	d.host.report["r1"] = report()
	text := d.do("GET", "/v1/runs/r1", "").Body.String()
	assert.NotContains(t, text, "4711-", "what is sensitive never shows")
	assert.Contains(t, text, `"phone":"+33612345678"`)
	assert.Contains(t, text, `"wa_id":"33699999999"`)
}

func TestNothingShowsOfARunOfWhichNobodyKnowsWhatIsSensitive(t *testing.T) {
	for name, change := range map[string]func(r *host.Report){
		"mismatch": func(r *host.Report) { r.Run.Status = host.Mismatch },
		"cannot replay": func(r *host.Report) {
			r.Result.Error = &call.Error{Code: "replay_mismatch", Message: "the flow has changed"}
		},
		"rejected": func(r *host.Report) { r.Run.Status, r.Result.Sensitive = host.Rejected, nil },
		"queued":   func(r *host.Report) { r.Run.Status, r.Result.Sensitive = host.Queued, nil },
	} {
		t.Run(name, func(t *testing.T) {
			r := report()
			r.Result.Error = nil
			change(r)
			got := server.View{Numbers: true}.Detail(r)
			assert.Equal(t, map[string]any{"phone": "[secret]", "code": "[secret]", "sender_phone_id": "[secret]"}, got.Inputs)
			text, err := json.Marshal(got)
			require.NoError(t, err)
			assert.NotContains(t, string(text), "4711-")
			assert.Contains(t, string(text), "f1.r1.1", "what is no value shows")
		})
	}
	r := report()
	r.Run.Status, r.Result.Sensitive = host.Queued, []any{}
	assert.Equal(t, "+*********78", server.View{}.Detail(r).Inputs["phone"], "the host says that nothing is sensitive")
}

func TestAViewChangesNothing(t *testing.T) {
	r := report()
	server.View{}.Detail(r)
	assert.Equal(t, report(), r)
}
