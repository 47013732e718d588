package main

import (
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pauseBefore pauses all calls before the run makes its first, for long enough to matter.
func pauseBefore(d time.Duration) func(r *testDaemon, run string) {
	return func(r *testDaemon, run string) {
		held := func() bool {
			detail, err := r.client.Run(r.t.Context(), run, 0)
			return err == nil && len(detail.Held) > 0
		}
		require.NoError(r.t, r.client.Pause(r.t.Context(), server.PauseRequest{Scope: "all"}))
		require.Eventually(r.t, held, 20*time.Second, 5*time.Millisecond)
		began := time.Now()
		require.Eventually(r.t, func() bool { return time.Since(began) > d }, 20*time.Second, 10*time.Millisecond)
		require.NoError(r.t, r.client.Resume(r.t.Context(), server.ResumeRequest{Scope: "all"}))
	}
}

// Exported runs whose calls were held back have the same result offline, with a note where the
// hold mattered.
func TestExportHeld(t *testing.T) {
	phone := map[string]any{"phone": grace}
	const pause = 1500 * time.Millisecond
	people := []any{ada, grace, "+4915112345678"}
	for name, tt := range map[string]struct {
		exportCase
		absent string
	}{
		"it does not matter": {
			exportCase: exportCase{flows: []string{toldInputs + "  - wait: 200ms\n" + sendStep("notify", "${inputs.phone}", "")},
				inputs: phone, status: "succeeded", during: pauseBefore(pause)},
			absent: "holds:",
		},
		"the run was over its time": {
			exportCase: exportCase{flows: []string{strings.Replace(toldInputs, "flow: told", "flow: told\ntimeout: 1s", 1) + "  - wait: 200ms\n" + sendStep("notify", "${inputs.phone}", "")},
				inputs: phone, status: "failed", during: pauseBefore(pause)},
		},
		"it waits beside the call": {
			exportCase: exportCase{flows: []string{toldInputs + `
  - wait: 200ms
  - parallel:
      send:
` + strings.ReplaceAll(sendStep("notify", "${inputs.phone}", ""), "\n", "\n      ") + `
      listen:
        - {id: reply, wait_for: {event: whatsapp.message, from: "${inputs.phone}", timeout: 1s}, on_timeout: continue}
  - {id: again, wait_for: {event: whatsapp.message, from: "${inputs.phone}", timeout: 1h}}
outputs: {reply: "${steps.reply.status}"}
`}, inputs: phone, status: "succeeded", during: func(r *testDaemon, run string) {
				require.NoError(r.t, r.client.Pause(r.t.Context(), server.PauseRequest{Scope: "all"}))
				began := time.Now()
				require.Eventually(r.t, func() bool { return time.Since(began) > pause+200*time.Millisecond }, 20*time.Second, 10*time.Millisecond)
				require.NoError(r.t, r.client.Resume(r.t.Context(), server.ResumeRequest{Scope: "all"}))
				waitWaiting(r, run)
				_, err := r.api.Send(simulator.Inbound{From: grace, To: "106540352242922", Text: "oui"})
				require.NoError(r.t, err)
			}},
		},
		"each looks at the time": {
			exportCase: exportCase{flows: []string{`
flow: told
inputs: {people: {type: array, items: {type: string}}}
steps:
  - wait: 200ms
  - id: all
    foreach: ${inputs.people}
    as: person
    concurrency: 3
    steps:
      - id: send
        action: whatsapp.send_message
        connection: shop
        with: {recipient: "${person}", message_type: text, message: {body: "Bonjour"}}
      - id: soon
        if: now() - run.started_at < duration("1s")
        set: {soon: true}
    collect: "${vars.?soon.orValue(false)}"
outputs: {soon: "${steps.all.outputs.items}"}
`}, inputs: map[string]any{"people": people}, status: "succeeded", during: pauseBefore(pause)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			text, notes := exported(t, tt.exportCase)
			assert.NotContains(t, notes, "not compared")
			if tt.absent != "" {
				assert.NotContains(t, text, tt.absent)
			} else {
				assert.Contains(t, text, "holds:")
			}
		})
	}
}
