package dev_test

import (
	"context"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/cmd/facteur/dev"
	"facteur/cmd/facteur/logtest"
	"facteur/project"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const asksName = `flow: ask
description: Ask something.
inputs:
  phone: {type: string, format: e164, description: Who is asked}
  count: {type: integer, minimum: 1, maximum: 9}
  slot: {type: string, enum: [matin, soir], default: matin}
steps:
  - id: ask
    action: whatsapp.send_message
    connection: shop
    with: {recipient: "${inputs.phone}", message_type: text, message: {body: "*${inputs.count}* colis ${inputs.slot} ?"}}
    await: {state: delivered, timeout: 1m}
  - id: reply
    wait_for: {event: whatsapp.message, from: "${inputs.phone}", timeout: 1m}
outputs: {answer: "${steps.reply.outputs.text}"}
`

// A developing is a workbench at work.
type developing struct {
	t          *testing.T
	url, phone string
	log        *logtest.Lines
	client     *http.Client
	stop       func() error
}

// write writes a file, in a folder that may have to be made.
func write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
}

// developingIn opens a workbench on a project, until the test ends.
func developingIn(t *testing.T, dir string) *developing {
	t.Helper()
	d := &developing{t: t, log: &logtest.Lines{}, client: &http.Client{Timeout: 30 * time.Second}}
	d.client.Jar, _ = cookiejar.New(nil)
	listen := func() (net.Listener, string) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		return l, "http://" + l.Addr().String()
	}
	o := dev.Options{Log: d.log}
	o.Page, d.url = listen()
	o.Phone, d.phone = listen()
	p, found, err := project.Open(dir)
	require.NoError(t, err)
	require.Empty(t, found)
	o.Project = p
	ctx, end := context.WithCancel(context.Background())
	w, err := dev.Open(ctx, ctx, o)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, end) }()
	d.stop = sync.OnceValue(func() error {
		end()
		defer w.Close()
		return <-ended
	})
	t.Cleanup(func() { _ = d.stop() })
	return d
}

func (d *developing) get(path string) string {
	d.t.Helper()
	resp, err := d.client.Get(d.url + path)
	require.NoError(d.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	return string(text)
}

// run fills in the form of a flow, and returns the page that it leads to.
func (d *developing) run(flow string, inputs map[string]string) (status int, page, query string) {
	d.t.Helper()
	form := url.Values{"flow": {flow}}
	for name, value := range inputs {
		form.Set("in."+name, value)
	}
	resp, err := d.client.PostForm(d.url+"/dev/run", form)
	require.NoError(d.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	return resp.StatusCode, string(text), "?" + resp.Request.URL.RawQuery
}

func TestWorkbench(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ask.flow.yaml"), asksName)
	write(t, filepath.Join(dir, "other.flow.yaml"), strings.ReplaceAll(asksName, "flow: ask", "flow: other"))
	d := developingIn(t, dir)

	page := d.get("/")
	for _, want := range []string{
		`<a id="flow-ask" href="/?flow=ask" aria-current="page">`, `Ask something.`, `<label for="in-phone">`, `type="tel"`,
		`type="number" value="" autocomplete="off" step="1" min="1" max="9"`, `<option>soir</option>`, `default: matin`, `href="` + d.phone + `/"`,
	} {
		assert.Contains(t, page, want)
	}
	assert.NotContains(t, page, "<script>")

	// What does not fit is told beside its field, and nothing is lost of what was written.
	status, page, _ := d.run("ask", map[string]string{"phone": "0612345678", "count": "12"})
	assert.Equal(t, http.StatusUnprocessableEntity, status)
	assert.Contains(t, page, `value="0612345678"`)
	assert.Contains(t, page, `id="in-phone-bad"`)
	assert.Contains(t, page, `id="in-count-bad"`)
	_, page, _ = d.run("ask", map[string]string{"phone": "+33536490010"})
	assert.Contains(t, page, `id="in-count-bad"`, "it is missing")

	// A run goes to the phone, is read there, and answered.
	status, _, query := d.run("ask", map[string]string{"phone": "+33536490010", "count": "2"})
	require.Equal(t, http.StatusOK, status)
	d.log.Wait(t, `run  run \S+  flow ask  status succeeded`)
	page = d.get("/dev/live" + query)
	assert.Contains(t, page, `<span class="status succeeded">succeeded</span>`)
	assert.Contains(t, page, `<strong>2</strong> colis matin ?`)
	assert.Contains(t, page, `<dt>answer</dt><dd dir="auto">oui</dd>`)
	assert.Contains(t, page, `type="tel" value="&#43;33536490010"`, "it can be run again")
	assert.Contains(t, page, `type="number" value="2"`)
	assert.NotContains(t, page, "selected", "of what is so by default")
	assert.Contains(t, page, d.phone+"/?c=")
	d.log.Wait(t, `message in  from \+33536490010`)

	// A mistake takes its flow away, and shows; the others go on. Corrected, it is back.
	write(t, filepath.Join(dir, "ask.flow.yaml"), strings.Replace(asksName, "inputs.count", "inputs.cuont", 1))
	d.log.Wait(t, `hint: did you mean "count"\?`)
	page = d.get("/?flow=ask")
	assert.Contains(t, page, `inputs has no field &#34;cuont&#34;`)
	assert.Contains(t, page, "1 error")
	assert.Contains(t, page, "This flow has errors and cannot be run")
	status, _, _ = d.run("ask", map[string]string{"phone": "+33536490010", "count": "2"})
	assert.Equal(t, http.StatusUnprocessableEntity, status)
	_, _, query = d.run("other", map[string]string{"phone": "+33536490011", "count": "3"})
	d.log.Wait(t, `flow other  status succeeded`)
	assert.Contains(t, d.get("/"+query), `<dd dir="auto">non</dd>`)
	write(t, filepath.Join(dir, "new", "ask2.flow.yaml"), strings.Replace(asksName, "flow: ask", "flow: ask2", 1))
	write(t, filepath.Join(dir, "ask.flow.yaml"), strings.Replace(asksName, "colis", "paquets", 1))
	d.log.Wait(t, `reloaded  flows 3  errors 0`)
	_, _, query = d.run("ask2", map[string]string{"phone": "+33536490010", "count": "4"})
	d.log.Wait(t, `flow ask2  status succeeded`)
	assert.Contains(t, d.get("/"+query), `<strong>4</strong> colis`)

	// The API is there too. Strangers and other pages are not let in.
	assert.Contains(t, d.get("/v1/flows"), `"ask2"`)
	r, err := http.NewRequest(http.MethodPost, d.url+"/dev/run", strings.NewReader("flow=ask"))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "https://stranger.test")
	resp, err := d.client.Do(r)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, http.StatusForbidden, resp.StatusCode)
	r, err = http.NewRequest(http.MethodGet, d.url+"/", nil)
	require.NoError(t, err)
	r.Host = "stranger.test:80"
	resp, err = d.client.Do(r)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, http.StatusForbidden, resp.StatusCode)

	// Nothing is left behind in the project.
	assert.NoError(t, d.stop(), d.log)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	assert.Equal(t, []string{"ask.flow.yaml", "new", "other.flow.yaml"}, names)
}

// What is filled in with JSON is shown by an example.
func TestFormOfLists(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tell.flow.yaml"), `flow: tell
inputs:
  people:
    type: array
    items:
      type: object
      properties: {phone: {type: string, format: e164}, name: {type: string}, age: {type: integer, minimum: 18}, vip: {type: boolean}}
      required: [phone]
  tags: {type: array, items: {type: string, enum: [new, old]}, default: []}
  rest: {type: object, default: {}}
  any: {type: array}
steps:
  - fail: {code: told, message: "${inputs.people.size()} ${inputs.tags.size()} ${inputs.rest.size()}"}
`)
	page := html.UnescapeString(developingIn(t, dir).get("/"))
	assert.Contains(t, page, `>JSON, such as [{"phone": "+33612345678", "name": "…", "age": 18, "vip": true}]<`)
	assert.Contains(t, page, `>JSON, such as ["new"]; default: []<`)
	assert.Contains(t, page, `>JSON, such as {"…": "…"}; default: {}<`)
	assert.Contains(t, page, `>JSON, such as ["…"]<`)
}

// Each missing input is told beside its field, also where one name is part of another.
func TestMissingInputs(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tell.flow.yaml"), `flow: tell
inputs: {first_name: {type: string}, name: {type: string}}
steps:
  - fail: {code: told, message: "${inputs.first_name + inputs.name}"}
`)
	status, page, _ := developingIn(t, dir).run("tell", nil)
	assert.Equal(t, http.StatusUnprocessableEntity, status)
	assert.Contains(t, page, `id="in-first_name-bad"`)
	assert.Contains(t, page, `id="in-name-bad"`)
}

// What a page hears of, it hears over a stream.
func TestNews(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ask.flow.yaml"), asksName)
	d := developingIn(t, dir)
	ctx, end := context.WithTimeout(t.Context(), 20*time.Second)
	defer end()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/dev/news", nil)
	require.NoError(t, err)
	resp, err := d.client.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	d.run("ask", map[string]string{"phone": "+33536490010", "count": "1"})
	var heard strings.Builder
	buffer := make([]byte, 512)
	for !strings.Contains(heard.String(), "data: changed") {
		n, err := resp.Body.Read(buffer)
		require.NoError(t, err)
		heard.Write(buffer[:n])
	}
}
