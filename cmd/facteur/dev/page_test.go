package dev_test

import (
	"html"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the page tells a newcomer to save is a flow that runs.
func TestFirstFlow(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "facteur.yaml"), "flows: [flows]\n")
	write(t, filepath.Join(dir, "flows", ".keep"), "")
	d := developingIn(t, dir)
	page := d.get("/")
	assert.Contains(t, page, filepath.Join(dir, "flows"), "where it is saved")
	shown := regexp.MustCompile(`(?s)<pre id="first"[^>]*>(.*?)</pre>`).FindStringSubmatch(page)
	require.Len(t, shown, 2, page)
	write(t, filepath.Join(dir, "flows", "hello.flow.yaml"), html.UnescapeString(shown[1]))
	d.log.Wait(t, `reloaded  flows 1  errors 0`)
	assert.NotContains(t, d.get("/"), `id="first"`)
	status, _, query := d.run("hello", map[string]string{"phone": "+33612345678", "name": "Ada"})
	require.Equal(t, http.StatusOK, status)
	d.log.Wait(t, `flow hello  status succeeded`)
	assert.Contains(t, d.get("/"+query), `Hello <strong>Ada</strong>!`)
}

// A line that likely holds a secret is shown for none of the mistakes in it, and those of other
// flows are not in the way of one that runs.
func TestMistakesOnThePage(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ask.flow.yaml"), asksName)
	write(t, filepath.Join(dir, "wrong.flow.yaml"), `flow: wrong
steps:
  - id: tell
    action: whatsapp.send_message
    connection: shop
    with: {recipient: "+33612345678", message_type: text, mesage: {body: "Salut"}, password: "EAAGsecret"}
  - {id: other, sett: {x: shown-line}}
`)
	d := developingIn(t, dir)
	page := d.get("/?flow=wrong")
	for _, want := range []string{`there is no field &#34;mesage&#34;`, `there is no field &#34;password&#34;`, "shown-line", `wrong.flow.yaml</h2>`} {
		assert.Contains(t, page, want)
	}
	assert.NotContains(t, page, "EAAGsecret")
	assert.NotContains(t, page, `id="others"`)

	page = d.get("/?flow=ask")
	before, after, folded := strings.Cut(page, `<details id="others"`)
	require.True(t, folded, page)
	assert.NotContains(t, before, "mesage")
	assert.Contains(t, after, "mesage")
}

// What nobody knows is told as that, with what settles it; and so is why a run failed, once,
// with what to do.
func TestOutcomesOnThePage(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tell.flow.yaml"), `flow: tell
inputs: {phone: {type: string, format: e164}, code: {type: string, pattern: "^[A-Z]+$", default: A}}
steps:
  - id: again
    foreach: "${['x']}"
    as: word
    steps:
      - {id: send, action: whatsapp.send_message, connection: shop, with: {recipient: "${inputs.phone}", message_type: text, message: {body: "${word + inputs.code}"}}}
`)
	d := developingIn(t, dir)
	assert.Contains(t, html.UnescapeString(d.get("/")), ">must match ^[A-Z]+$; default: A<")
	_, _, query := d.run("tell", map[string]string{"phone": "+33536490025"}) // no answer of the API, and nothing accepted
	require.Eventually(t, func() bool { return strings.Contains(d.get("/"+query), "outcome unknown") }, 20*time.Second, 10*time.Millisecond)
	page := d.get("/" + query)
	assert.Contains(t, page, "waiting, 1 unknown</span></h2>")
	assert.Regexp(t, `facteur runs settle \S+ again\[0\]\.send --not-sent --server `+d.url, page)

	_, _, query = d.run("tell", map[string]string{"phone": "+33199001049"})
	d.log.Wait(t, `flow tell  status failed`)
	page = d.get("/" + query)
	assert.Equal(t, 1, strings.Count(page, "Meta refused the message"), "it is told once, not for each step it stands in")
	assert.Contains(t, page, "wait at least a day")
}
