package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const sendsOnce = `
flow: sends
inputs: {key: {type: string}}
steps:
  - id: notify
    action: whatsapp.send_message
    connection: shop
    with: {recipient: "+33612345678", message_type: text, message: {body: Bonjour}, once: {key: "${inputs.key}"}}
outputs: {repeats: "${steps.notify.outputs.?repeats.orValue(\"\")}"}
`

// With `once`, a message that one run has sent is not sent by another: sequentially,
// concurrently, and while the outcome of the first is unknown.
func TestOnceAcrossRuns(t *testing.T) {
	var requests atomic.Int64
	var lost atomic.Bool
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := requests.Add(1)
		if lost.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, `{"messages":[{"id":"wamid.%d"}]}`, n)
	}))
	defer api.Close()
	dir := shopProject(t, sendsOnce, api.URL)

	code, first, stderr := runJSONOf(t, dir, "--input", "key=a")
	require.Equal(t, 0, code, stderr)
	assert.Equal(t, "", first.Outputs["repeats"])
	code, second, stderr := runJSONOf(t, dir, "--input", "key=a")
	require.Equal(t, 0, code, stderr)
	assert.Equal(t, "wamid.1", second.Outputs["repeats"])
	assert.EqualValues(t, 0, second.Steps[0].Outputs["status_code"])

	lost.Store(true)
	_, unknown, _ := runJSONOf(t, dir, "--input", "key=b")
	assert.Equal(t, "outcome_unknown", unknown.Error["code"])
	_, refused, _ := runJSONOf(t, dir, "--input", "key=b")
	assert.Equal(t, "once_unsettled", refused.Error["code"])
	assert.EqualValues(t, 2, requests.Load())

	lost.Store(false)
	var all sync.WaitGroup
	for range 6 {
		// The folder is the test's already; it is not changed from several goroutines.
		all.Go(func() {
			a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
			a.run(t.Context(), []string{"run", "sends.flow.yaml", "--input", "key=c"})
		})
	}
	all.Wait()
	assert.EqualValues(t, 3, requests.Load(), "one of six")
}
