package page_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"facteur/e2e"
	"facteur/e2e/page"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const askFlow = `flow: ask
description: Ask something.
inputs:
  phone: {type: string, format: e164, description: Who is asked}
  slot: {type: string, enum: [matin, soir], default: matin}
steps:
  - id: ask
    action: whatsapp.send_message
    connection: shop
    with: {recipient: "${inputs.phone}", message_type: text, message: {body: "*Colis* ${inputs.slot} ?"}}
  - id: reply
    wait_for: {event: whatsapp.message, from: "${inputs.phone}", timeout: 1m}
outputs: {answer: "${steps.reply.outputs.text}"}
`

func TestMain(m *testing.M) { e2e.Main(m) }

// startDev starts `facteur dev` on a folder with one flow, and returns the addresses of its two
// pages.
func startDev(t *testing.T) (file, flows, phone string) {
	t.Helper()
	dir := t.TempDir()
	file = filepath.Join(dir, "ask.flow.yaml")
	require.NoError(t, os.WriteFile(file, []byte(askFlow), 0o644))
	_, flows, phone = startDevAt(t, dir, "127.0.0.1:0", "127.0.0.1:0")
	return file, flows, phone
}

// startDevAt starts it on a folder, at two addresses.
func startDevAt(t *testing.T, dir, listen, simulator string) (dev *e2e.Process, flows, phone string) {
	t.Helper()
	dev = e2e.Start(t, e2e.Command(t, dir, nil, "dev", "--listen", listen, "--simulator", simulator))
	dev.Log.Wait(t, `ready in`)
	return dev, dev.Log.Wait(t, `flows +(\S+)/\n`), dev.Log.Wait(t, `phone +(\S+)/\n`)
}

// TestDevReconnects: when the process has exited both pages say so; they reconnect when it is
// back.
func TestDevReconnects(t *testing.T) {
	browser := page.Start(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ask.flow.yaml"), []byte(askFlow), 0o644))
	dev, flows, phone := startDevAt(t, dir, "127.0.0.1:0", "127.0.0.1:0")
	tab, talk := browser.Open(t, flows, wide), browser.Open(t, phone, wide)
	tab.Until(`news.readyState === EventSource.OPEN`)
	talk.Until(`stream.readyState === EventSource.OPEN`)

	dev.SignalAndWait(syscall.SIGKILL)
	tab.Until(`document.getElementById("gone").innerText.includes("does not answer")`)
	talk.Until(`document.getElementById("notice").innerText.includes("does not answer")`)

	startDevAt(t, dir, strings.TrimPrefix(flows, "http://"), strings.TrimPrefix(phone, "http://"))
	tab.Until(`document.getElementById("gone").innerText === ""`)
	talk.Until(`document.getElementById("notice").innerText === ""`)
}

// TestDevErrors: diagnostics and unknown outcomes appear without a reload and fit a phone, except
// for the source line, which scrolls.
func TestDevErrors(t *testing.T) {
	browser, axe := page.Start(t), page.Axe(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"ask":   askFlow,
		"wrong": "flow: wrong\nsteps:\n  - {id: tell, action: whatsapp.send_message, connection: shop, hint: \"" + strings.Repeat("long ", 30) + "\"}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".flow.yaml"), []byte(text), 0o644))
	}
	_, flows, phone := startDevAt(t, dir, "127.0.0.1:0", "127.0.0.1:0")
	lost := "+33612340000" // after a second a gateway answers, and nothing was accepted
	answer, err := http.Post(phone+"/_simulator/faults", "application/json", strings.NewReader(`{"do": "status", "delay": "1s", "recipient": "`+lost+`"}`))
	require.NoError(t, err)
	answer.Body.Close()
	for _, look := range windows() {
		t.Run(fmt.Sprintf("%d/dark=%v", look.Width, look.Dark), func(t *testing.T) {
			tab := browser.Open(t, flows+"/?flow=wrong", look)
			screenshot(t, tab, fmt.Sprintf("dev-wrong-%d-%v", look.Width, look.Dark))
			assert.True(t, page.Eval[bool](tab, `document.getElementById("problems").innerText.includes("sender_phone_id, tracking")`), "the end of a hint")
			assert.Empty(t, tab.Overflow(".finding pre"))
			assert.Empty(t, tab.AccessibilityViolations(axe))

			tab.Go(flows + "/?flow=ask")
			assert.False(t, page.Eval[bool](tab, `document.querySelector("#others").open`), "another flow has them")
			tab.Run(`document.getElementById("in-phone").value = "` + lost + `"; document.getElementById("go").click()`)
			tab.Until(`document.querySelector("#run .unknown").innerText.includes("facteur runs settle")`)
			screenshot(t, tab, fmt.Sprintf("dev-unknown-%d-%v", look.Width, look.Dark))
			assert.Empty(t, tab.Overflow("#run pre"))
			assert.Empty(t, tab.AccessibilityViolations(axe))
		})
	}
}

// TestDev runs a flow by keyboard alone, answers on the simulator's page, sees the answer, and
// sees a diagnostic when the file is saved; all of it fits.
func TestDev(t *testing.T) {
	browser, axe := page.Start(t), page.Axe(t)
	file, flows, phone := startDev(t)
	tab := browser.Open(t, flows, wide)
	tabTo(t, tab, "#in-phone")
	tab.Type("12")
	tabTo(t, tab, "#go")
	tab.Type(kb.Enter)
	tab.Until(`!refused && document.getElementById("in-phone-bad") !== null`) // the live page has come, and left it there
	assert.Equal(t, "?flow=ask", page.Eval[string](tab, `location.search`))
	assert.Empty(t, tab.AccessibilityViolations(axe))

	tab.Go(flows)
	tabTo(t, tab, "#in-phone")
	tab.Type(ada)
	tabTo(t, tab, "#go")
	tab.Type(kb.Enter)
	tab.Until(`document.getElementById("run").innerText.includes("waiting for")`)
	running := page.Eval[string](tab, `location.href`)
	tab.Until(`document.getElementById("answer").href.endsWith(".33612345678")`)

	talk := browser.Open(t, phone, wide)
	talk.Until(lastMessage + `.innerText.includes("Colis matin ?")`)
	tabTo(t, talk, "#text")
	talk.Type("oui" + kb.Enter)
	tab.Until(`document.querySelector("#run-title .status").innerText === "succeeded" && document.getElementById("run").innerText.includes("oui")`)

	assert.True(t, page.Eval[bool](tab, `(() => {
		const top = id => Math.round(document.getElementById(id).getBoundingClientRect().top);
		return top("run") === top("form");
	})()`), "the run is beside the form")
	assert.Equal(t, ada, page.Eval[string](tab, `document.getElementById("in-phone").value`), "to be run again")
	for _, look := range windows() {
		t.Run(fmt.Sprintf("%d/dark=%v", look.Width, look.Dark), func(t *testing.T) {
			tab := browser.Open(t, running, look)
			screenshot(t, tab, fmt.Sprintf("dev-%d-%v", look.Width, look.Dark))
			tab.Run(`document.querySelectorAll("details").forEach(d => d.open = true)`)
			assert.Empty(t, tab.Overflow("pre"))
			assert.Empty(t, tab.AccessibilityViolations(axe))
		})
	}

	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(askFlow, "inputs.slot", "inputs.slt", 1)), 0o644))
	tab.Until(`document.getElementById("problems").innerText.includes("slt")`)
	assert.Empty(t, tab.Overflow("pre"))
	assert.Empty(t, tab.AccessibilityViolations(axe))
	require.NoError(t, os.WriteFile(file, []byte(askFlow), 0o644))
	tab.Until(`document.getElementById("problems").hidden`)
}
