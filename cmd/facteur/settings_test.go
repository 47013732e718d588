package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/project"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const asksAShop = toldInputs + `
  - id: reply
    wait_for: {event: whatsapp.message, from: "${inputs.phone}", timeout: 1h}
  - id: thank
    action: whatsapp.send_message
    connection: shop
    with: {recipient: "${inputs.phone}", message_type: text, message: {body: "${inputs.name}: ${settings.shop}, ${string(settings.rates[0] / 2.0)}"}}
outputs: {shop: "${settings.shop}"}
`

// A run keeps the settings with which it started, also if the project's change before it is
// resumed.
func TestSettingsOfARun(t *testing.T) {
	const before, after = "settings: {shop: Chez Nous, rates: [3.0], hours: 9}\n", "settings: {shop: Chez Vous, rates: [5.0], hours: 10}\n"
	dir, api := simulated(t, before, asksAShop, sendsHello)
	r := startTestDaemon(t, dir, api)
	begin := func() string {
		started, err := r.client.Start(t.Context(), "told", server.StartRequest{Inputs: map[string]any{"phone": grace}}, server.StartOption{})
		require.NoError(t, err)
		waitWaiting(r, started.RunID)
		return started.RunID
	}
	first, second := begin(), begin()

	text, err := os.ReadFile(filepath.Join(dir, project.FileName))
	require.NoError(t, err)
	write(t, filepath.Join(dir, project.FileName), strings.Replace(string(text), before, after, 1))
	done, err := r.client.Reload(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"told"}, done.Changed, "and not those that read no settings")
	flow, err := r.client.Flow(t.Context(), "told")
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"told": asksAShop}, flow.Sources)
	third := begin()
	require.Equal(t, 0, r.stop())

	r = startTestDaemon(t, dir, api)
	for _, run := range []string{first, second, third} {
		waitWaiting(r, run)
	}
	_, err = r.api.Send(simulator.Inbound{From: grace, To: "106540352242922", Text: "oui"})
	require.NoError(t, err)
	for run, shop := range map[string]string{first: "Chez Nous", second: "Chez Nous", third: "Chez Vous"} {
		d := r.detail(run)
		assert.EqualValues(t, "succeeded", d.Status, "%+v", d.Error)
		assert.Equal(t, shop, d.Outputs["shop"])
	}
	bodies := map[string]int{}
	for _, m := range r.api.Accepted(simulator.Filter{}) {
		_, text, _ := strings.Cut(string(m.Body), "Grace Hopper: ")
		text, _, _ = strings.Cut(text, `"`)
		bodies[text]++
	}
	assert.Equal(t, map[string]int{"Chez Nous, 1.5": 2, "Chez Vous, 2.5": 1}, bodies)

	again, err := r.client.Rerun(t.Context(), first, server.RerunRequest{}, server.StartOption{})
	require.NoError(t, err)
	latest, err := r.client.Rerun(t.Context(), first, server.RerunRequest{Latest: true}, server.StartOption{})
	require.NoError(t, err)
	for run, shop := range map[string]string{again.RunID: "Chez Nous", latest.RunID: "Chez Vous"} {
		waitWaiting(r, run)
		require.NoError(t, r.client.Cancel(t.Context(), run, server.CancelRequest{}))
		code, stdout, stderr := facteur(t, dir, "", "runs", "show", run, "--server", r.url)
		require.Equal(t, 0, code, stderr)
		assert.NotContains(t, stdout, "settings", shop)
		d, err := r.client.Run(t.Context(), run, time.Minute)
		require.NoError(t, err)
		assert.Equal(t, run == again.RunID, d.Digest == r.detail(first).Digest)
	}
	require.Equal(t, 0, r.stop())

	for run, shop := range map[string]string{first: "Chez Nous", third: ""} {
		file := "exported" + shop + project.TestSuffix
		code, _, stderr := facteur(t, dir, "", "runs", "export", run, "-o", file)
		require.Equal(t, 0, code, stderr)
		assert.NotContains(t, stderr, "has changed")
		text, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		if shop == "" {
			assert.NotContains(t, string(text), "settings:", "they are those of today")
		} else {
			assert.Contains(t, string(text), "    settings:\n      rates: [3.0]\n      shop: Chez Nous\n")
		}
		code, stdout, stderr := facteur(t, dir, "", "test", file)
		require.Equal(t, 0, code, "%s%s\n%s", stdout, stderr, text)
	}
}
