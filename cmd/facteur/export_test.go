package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// exported runs a flow in a daemon, exports the run, and returns the test once it has
// passed offline.
func exported(t *testing.T, e exportCase) (text, notes string) {
	t.Helper()
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/stock/8" {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, `{"left": 3, "note": "ask +33612345678"}`)
	}))
	defer shop.Close()
	dir, api := simulated(t, fmt.Sprintf("settings: {shop: %q}\n", shop.URL), e.flows...)
	for _, f := range e.faults {
		require.NoError(t, api.AddFault(f))
	}
	r := startTestDaemon(t, dir, api)
	started, err := r.client.Start(t.Context(), "told", server.StartRequest{Inputs: e.inputs}, server.StartOption{})
	require.NoError(t, err)
	if e.during != nil {
		e.during(r, started.RunID)
	}
	d := r.detail(started.RunID)
	require.EqualValues(t, e.status, d.Status, "%+v", d.Error)
	require.NoError(t, api.Idle(t.Context()))

	args := append([]string{"runs", "export", started.RunID, "-o", "exported.test.yaml"}, e.args...)
	code, _, stderr := facteur(t, dir, "", args...)
	file, err := os.ReadFile(filepath.Join(dir, "exported.test.yaml"))
	require.NoError(t, err, stderr)
	require.Equal(t, 0, code, "%s\n%s", stderr, file)
	r.stop()
	code, stdout, stderr := facteur(t, dir, "", "test", "exported.test.yaml")
	require.Equal(t, 0, code, "%s%s\n%s", stdout, stderr, file)
	return string(file), stderr
}

type exportCase struct {
	flows  []string
	inputs map[string]any
	faults []simulator.Fault
	during func(r *testDaemon, run string)
	status string
	args   []string
}

const (
	ada   = "+33612345678"
	grace = "+33698765432"

	barbara, barbaraID = "+33698765433", "FR.13491208655302741918" // of the scene
)

// sendStep sends a text to a phone number.
func sendStep(id, to, more string) string {
	return fmt.Sprintf(`
  - id: %s
    action: whatsapp.send_message
    connection: shop
    with: {recipient: "%s", message_type: text, message: {body: "Bonjour ${inputs.name}"}}
    %s
`, id, to, more)
}

const toldInputs = `
flow: told
inputs: {phone: {type: string, format: e164}, name: {type: string, default: Grace Hopper}}
steps:
`

// waitWaiting waits until a run waits for a message.
func waitWaiting(r *testDaemon, run string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		d, err := r.client.Run(r.t.Context(), run, 0)
		return err == nil && strings.Contains(fmt.Sprint(d.Waits), "whatsapp.message")
	}, 20*time.Second, 5*time.Millisecond)
}

// Runs of all kinds are exported as tests with the same result offline.
func TestExport(t *testing.T) {
	phone := map[string]any{"phone": grace}
	for name, tt := range map[string]struct {
		exportCase
		want, absent []string
	}{
		"a message": {
			exportCase: exportCase{flows: []string{toldInputs + sendStep("notify", "${inputs.phone}", "") + `
outputs: {id: "${steps.notify.outputs.message_id}", wa_id: "${steps.notify.outputs.?wa_id}"}
`}, inputs: phone, status: "succeeded"},
			want: []string{"name: Alix", `"Bonjour Alix"`, "wamid.TEST-1", "steps: {notify: succeeded}"},
		},
		"throttled, then sent": {
			exportCase: exportCase{flows: []string{toldInputs + sendStep("notify", "${inputs.phone}", "retry: {attempts: 4, delay: 10ms}")}, inputs: phone,
				faults: []simulator.Fault{{Do: "error", Code: 130429, Times: 1}}, status: "succeeded"},
			want: []string{"code: 130429", "assert: [steps.notify.attempts == 2]"},
		},
		"refused": {
			exportCase: exportCase{flows: []string{toldInputs + sendStep("notify", "${inputs.phone}", "")}, inputs: phone,
				faults: []simulator.Fault{{Do: "error", Code: 131026}}, status: "failed"},
			want: []string{`error: {code: "131026", step: notify}`},
		},
		"an answer that is lost, and news of it": {
			exportCase: exportCase{flows: []string{toldInputs + sendStep("notify", "${inputs.phone}", "")}, inputs: phone,
				faults: []simulator.Fault{{Do: "reset", Accepted: true}}, status: "succeeded"},
			want: []string{"lost: reset", "receipt: notify", "status: sent"},
		},
		"an answer that is lost, and news that say a user ID": {
			exportCase: exportCase{flows: []string{toldInputs + sendStep("notify", "${inputs.phone}", "") + `
outputs: {id: "${steps.notify.outputs.?user_id}"}
`}, inputs: map[string]any{"phone": barbara},
				faults: []simulator.Fault{{Do: "reset", Accepted: true}}, status: "succeeded"},
			want:   []string{"receipt: notify", "user_id: ", "outputs:"},
			absent: []string{barbaraID},
		},
		"an answer that is lost, and no news": {
			exportCase: exportCase{flows: []string{toldInputs + sendStep("notify", "${inputs.phone}", "unknown_timeout: 100ms")}, inputs: phone,
				faults: []simulator.Fault{{Do: "reset"}}, status: "failed"},
			want: []string{"lost: reset", "error: {code: outcome_unknown, step: notify}"},
		},
		"a time-out": {
			exportCase: exportCase{flows: []string{toldInputs + sendStep("notify", "${inputs.phone}", "unknown_timeout: 1m\n    timeout: 200ms")}, inputs: phone,
				faults: []simulator.Fault{{Do: "hang"}}, status: "succeeded"},
			want: []string{"lost: timeout", "receipt: notify"},
		},
		"a gateway in the place of the API": {
			exportCase: exportCase{flows: []string{toldInputs + sendStep("notify", "${inputs.phone}", "unknown_timeout: 50ms")}, inputs: phone,
				faults: []simulator.Fault{{Do: "status", Status: 502}}, status: "failed"},
			want: []string{"status: 502", "outcome_unknown"},
		},
		"a fallback": {
			exportCase: exportCase{flows: []string{toldInputs + `
  - id: notify
    action: whatsapp.send_message
    connection: shop
    with:
      recipient: "${inputs.phone}"
      message_type: text
      message: {body: "Bonjour"}
      fallback: {message: {name: hello, language: {code: fr}}}
outputs: {used: "${steps.notify.outputs.fallback_used}"}
`}, inputs: phone, faults: []simulator.Fault{{Do: "error", Code: 131047, Times: 1}}, status: "succeeded"},
			want: []string{"code: 131047", "used: true", "type: template"},
		},
		"undelivered, caught": {
			exportCase: exportCase{flows: []string{toldInputs + `
  - try:
` + strings.ReplaceAll(sendStep("notify", "${inputs.phone}", "await: {state: delivered, timeout: 1m}"), "\n", "\n    ") + `
    catch:
      - steps:
          - {id: noted, set: {why: "${error.code}"}}
outputs: {why: "${vars.?why.orValue(\"\")}"}
`}, inputs: phone, faults: []simulator.Fault{{Do: "fail", Code: 131026}}, status: "succeeded"},
			want: []string{"status: failed", `why: "131026"`},
		},
		"a conversation": {
			exportCase: exportCase{flows: []string{toldInputs + sendStep("ask", "${inputs.phone}", "") + `
  - id: reply
    wait_for: {event: whatsapp.message, from: "${inputs.phone}", when: 'event.text == "oui"', timeout: 1h}
` + sendStep("thank", "${inputs.phone}", "") + `
outputs: {text: "${steps.reply.outputs.text}", who: "${steps.reply.outputs.profile_name}"}
`}, inputs: phone, status: "succeeded", during: func(r *testDaemon, run string) {
				waitWaiting(r, run)
				for _, text := range []string{"peut-être", "oui"} {
					_, err := r.api.Send(simulator.Inbound{From: grace, To: "106540352242922", Name: "Ada Lovelace", Text: text})
					require.NoError(r.t, err)
					require.NoError(r.t, r.api.Idle(r.t.Context()))
				}
			}},
			want: []string{"event: whatsapp.message", "text: oui", "after: ask", "peut-être", "text: oui\n"}, absent: []string{"raw"},
		},
		"many at a time, one of them refused": {
			exportCase: exportCase{flows: []string{`
flow: told
inputs: {people: {type: array, items: {type: object, properties: {phone: {type: string}, name: {type: string}}, required: [phone, name]}}}
steps:
  - id: all
    foreach: ${inputs.people}
    as: person
    concurrency: 3
    steps:
      - id: send
        action: whatsapp.send_message
        connection: shop
        allow_failure: true
        with: {recipient: "${person.phone}", message_type: text, message: {body: "Bonjour ${person.name}"}}
    collect: "${steps.send.status}"
outputs: {all: "${steps.all.outputs.items}"}
`}, inputs: map[string]any{"people": []any{map[string]any{"phone": ada, "name": "Ada"}, map[string]any{"phone": grace, "name": "Grace"}, map[string]any{"phone": "+4915112345678", "name": "Konrad"}}},
				faults: []simulator.Fault{{Do: "error", Code: 131026, Recipient: grace}}, status: "succeeded"},
			want: []string{"all: [succeeded, failed, succeeded]", `"+49`}, absent: []string{"Konrad", "4915112345678"},
		},
		"a code that is drawn": {
			exportCase: exportCase{flows: []string{toldInputs + `
  - id: draw
    sensitive: true
    set: {code: "${random(100000, 999999)}"}
` + strings.Replace(sendStep("tell", "${inputs.phone}", ""), "${inputs.name}", "${vars.code}", 1) + `
  - id: reply
    wait_for: {event: whatsapp.message, from: "${inputs.phone}", timeout: 1h}
outputs: {right: "${steps.reply.outputs.text == string(vars.code)}"}
`}, inputs: phone, status: "succeeded", during: func(r *testDaemon, run string) {
				waitWaiting(r, run)
				sent := r.api.Accepted(simulator.Filter{})
				require.Len(r.t, sent, 1)
				_, code, _ := strings.Cut(string(sent[0].Body), "Bonjour ")
				_, err := r.api.Send(simulator.Inbound{From: grace, To: "106540352242922", Text: code[:6]})
				require.NoError(r.t, err)
			}},
			want: []string{"random: [", "right: true"},
		},
		"a shop that is asked": {
			exportCase: exportCase{flows: []string{`
flow: told
inputs: {order: {type: string}}
steps:
  - {id: stock, action: http.request, with: {url: "${settings.shop}/stock/7", query: {q: "${inputs.order}"}}}
  - try:
      - {id: gone, action: http.request, with: {method: PUT, url: "${settings.shop}/stock/8", json: {at: "${now()}", id: "${uuid()}"}}}
    catch:
      - when: error.status_code == 404
        steps: [{set: {gone: true}}]
  - wait: 20ms
outputs: {left: "${steps.stock.outputs.json.left}", at: "${now()}", run: "${run.id}", gone: "${vars.?gone.orValue(false)}"}
`}, inputs: map[string]any{"order": "7"}, status: "succeeded"},
			want: []string{"left: 3", "at: {$any: true}", "run: {$any: true}", "gone: true", "status: 404"},
		},
		"another flow called": {
			exportCase: exportCase{flows: []string{toldInputs + "  - {id: inner, call: tells, with: {phone: \"${inputs.phone}\", name: \"${inputs.name}\"}}\noutputs: {id: \"${steps.inner.outputs.id}\"}\n",
				strings.Replace(toldInputs, "flow: told", "flow: tells", 1) + sendStep("notify", "${inputs.phone}", "") + "outputs: {id: \"${steps.notify.outputs.message_id}\"}\n"},
				inputs: phone, status: "succeeded"},
			want: []string{"id: wamid.TEST-1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			text, notes := exported(t, tt.exportCase)
			for _, want := range tt.want {
				assert.Contains(t, text, want, notes)
			}
			for _, absent := range append(tt.absent, "698765432", "Hopper", "Lovelace", simulatedToken, "test-token") {
				assert.NotContains(t, text, absent)
			}
		})
	}
}

// Personal data may be kept in an export; sensitive values, and what cannot be tested, may not.
func TestExportKeeps(t *testing.T) {
	flow := strings.Replace(toldInputs, "name: {type: string", "name: {sensitive: true, type: string", 1) + sendStep("notify", "${inputs.phone}", "")
	text, _ := exported(t, exportCase{flows: []string{flow}, inputs: map[string]any{"phone": grace}, status: "succeeded", args: []string{"--keep-personal-data"}})
	assert.Contains(t, text, grace)
	assert.NotContains(t, text, "Hopper")

	// Also what is no text.
	flow = strings.Replace(toldInputs, "inputs: {", "inputs: {debt: {type: number, sensitive: true}, born: {type: string, format: date-time, sensitive: true}, left: {type: string, format: duration, sensitive: true}, ", 1) +
		strings.Replace(sendStep("notify", "${inputs.phone}", ""), "${inputs.name}", "${inputs.debt} ${inputs.born} ${inputs.left}", 1)
	text, _ = exported(t, exportCase{flows: []string{flow}, status: "succeeded", inputs: map[string]any{
		"phone": grace, "debt": 1234.5, "born": "1906-12-09T04:05:06Z", "left": "37m",
	}})
	for _, absent := range []string{"1234.5", "1906-12-09", "37m", "2220s"} {
		assert.NotContains(t, text, absent)
	}
	text, _ = exported(t, exportCase{flows: []string{flow}, status: "succeeded", inputs: map[string]any{
		"phone": grace, "debt": 1234.5, "born": "1906-12-09T04:05:06Z", "left": "3h", // which chance gives, too
	}})
	assert.NotContains(t, text, "3h")

	dir, api := simulated(t, "", sendsHello)
	r := startTestDaemon(t, dir, api)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.NoError(t, r.client.Pause(ctx, server.PauseRequest{Scope: "all"}))
	started, err := r.client.Start(ctx, "hello", server.StartRequest{Inputs: map[string]any{"phone": ada}}, server.StartOption{})
	require.NoError(t, err)
	code, _, stderr := facteur(t, dir, "", "runs", "export", started.RunID)
	assert.Equal(t, exitUser, code)
	assert.Contains(t, stderr, "has not ended")
	refused := func(why string) {
		t.Helper()
		_, err := r.client.Export(ctx, started.RunID)
		var p *server.Problem
		require.ErrorAs(t, err, &p)
		assert.Equal(t, http.StatusConflict, p.Status)
		assert.Contains(t, p.Detail, why)
	}
	refused("has not ended")
	require.NoError(t, r.client.Cancel(ctx, started.RunID, server.CancelRequest{Reason: "a test"}))
	assert.EqualValues(t, "cancelled", r.detail(started.RunID).Status)
	code, _, stderr = facteur(t, dir, "", "runs", "export", started.RunID)
	assert.Equal(t, exitUser, code)
	assert.Contains(t, stderr, "was cancelled")
	refused("was cancelled")
	code, _, stderr = facteur(t, dir, "", "runs", "export", "nothing")
	assert.Equal(t, exitUser, code)
	assert.Contains(t, stderr, "there is no run nothing")
}
