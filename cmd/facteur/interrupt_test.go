package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/cmd/facteur/logtest"
	"facteur/flow/journal"
	"facteur/project"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const interruptible = `
flow: sends
steps:
  - try:
      - id: first
        action: whatsapp.send_message
        connection: shop
        with: {recipient: "+33612345678", message_type: text, message: {body: one}}
      - id: second
        action: whatsapp.send_message
        connection: shop
        with: {recipient: "+33612345678", message_type: text, message: {body: two}}
    finally:
      - id: tell
        action: http.request
        with: {method: PUT, url: "${settings.done}"}
`

// runInterrupted runs the flow against a server that calls during while it answers the first
// message. interrupt returns when the command's output matches says.
func runInterrupted(t *testing.T, during func(r *http.Request, interrupt func(says string))) (code int, stderr string, asked []string) {
	t.Helper()
	var signals chan<- os.Signal
	ready := make(chan struct{})
	errs := &logtest.Lines{}
	a := &app{stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: errs, notifyInterrupts: func(c chan<- os.Signal) func() {
		if signals == nil {
			signals = c
			close(ready)
		}
		return func() {}
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else nobody sees that the client has gone
		asked = append(asked, r.Method+" "+r.URL.Path)
		if len(asked) == 1 {
			<-ready
			during(r, func(says string) {
				signals <- os.Interrupt
				errs.Wait(t, says)
			})
		}
		fmt.Fprint(w, `{"messages":[{"id":"wamid.1"}]}`)
	}))
	defer server.Close()
	dir := shopProject(t, interruptible, server.URL)
	t.Setenv("FACTEUR_SETTINGS_DONE", server.URL+"/done")
	text, err := os.ReadFile(filepath.Join(dir, project.FileName))
	require.NoError(t, err)
	write(t, filepath.Join(dir, project.FileName), string(text)+"settings: {done: x}\n")
	t.Chdir(dir)
	code = a.run(t.Context(), []string{"run", "sends.flow.yaml"})
	return code, errs.String(), asked
}

// The first interrupt lets the call in progress finish, starts no other, and runs the finally
// steps.
func TestFirstInterrupt(t *testing.T) {
	code, stderr, asked := runInterrupted(t, func(_ *http.Request, interrupt func(string)) { interrupt("interrupted: .*\n") })
	assert.Equal(t, exitFailed, code, stderr)
	assert.Contains(t, stderr, "interrupted: calls in progress finish; interrupt again to cut them off\n")
	assert.Contains(t, stderr, "✓ first  action")
	assert.NotContains(t, stderr, "may have been sent")
	assert.Contains(t, stderr, "sends cancelled")
	assert.Equal(t, []string{"POST /v23.0/106540352242922/messages", "PUT /done"}, asked)
}

// The second interrupt cuts the call off; the outcome is reported as unknown.
func TestSecondInterrupt(t *testing.T) {
	code, stderr, _ := runInterrupted(t, func(r *http.Request, interrupt func(string)) {
		interrupt("interrupted: .*\n")
		interrupt("")
		<-r.Context().Done()
	})
	assert.Equal(t, exitFailed, code, stderr)
	assert.Contains(t, stderr, "it may have been sent")
}

// Concurrent commands have journals of their own.
func TestJournalBesideAnother(t *testing.T) {
	server := httptest.NewServer(&cloudAPI{})
	defer server.Close()
	dir := shopProject(t, sends, server.URL)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "data"), 0o700))
	other, err := journal.OpenSQLite(filepath.Join(dir, "data", "foreground.db"))
	require.NoError(t, err)
	defer other.Close()
	code, _, stderr := facteur(t, dir, "", "run", "sends.flow.yaml")
	require.Equal(t, 0, code, stderr)
	assert.FileExists(t, filepath.Join(dir, "data", "foreground-2.db"))
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, os.ErrClosed }

// A run whose result cannot be written still ends, and the error says how it ended.
func TestClosedPipe(t *testing.T) {
	api := &cloudAPI{}
	server := httptest.NewServer(api)
	defer server.Close()
	dir := shopProject(t, sends, server.URL)
	t.Chdir(dir)
	var errs bytes.Buffer
	for _, args := range [][]string{{"run", "sends.flow.yaml"}, {"run", "sends.flow.yaml", "--json"}} {
		a := &app{stdin: strings.NewReader(""), stdout: brokenPipe{}, stderr: &errs}
		assert.Equal(t, exitSystem, a.run(t.Context(), args))
		assert.Contains(t, errs.String(), "error: the result could not be written")
		assert.Regexp(t, `hint: the run [0-9a-v]+ succeeded nevertheless`, errs.String())
	}
	a := &app{stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: brokenPipe{}}
	assert.Equal(t, 0, a.run(t.Context(), []string{"run", "sends.flow.yaml"}), "what is told on the way does not matter")
	assert.Len(t, api.bodies, 3)
}
