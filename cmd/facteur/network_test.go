package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"facteur/project"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sends is a flow that retries whatever may be retried, and that has finally steps.
const sends = `
flow: sends
inputs: {phone: {type: string, format: e164, default: "+33612345678"}}
steps:
  - try:
      - id: notify
        action: whatsapp.send_message
        connection: shop
        with: {recipient: "${inputs.phone}", message_type: text, message: {body: Bonjour}}
        retry: {attempts: 3, delay: 1ms}
        timeout: 300ms
    finally:
      - {id: tidied, set: {tidied: true}}
outputs: {status_code: "${steps.notify.outputs.status_code}"}
`

const shopToken = "EAAGm0PX4ZCpsBAtoken"

// shopProject writes a project whose connection has that address.
func shopProject(t *testing.T, flow, address string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	t.Setenv("FACTEUR_CONNECTION_SHOP_TOKEN", shopToken)
	write(t, filepath.Join(dir, project.FileName), fmt.Sprintf("connections: {shop: {app: WHATSAPP, sender_phone_id: \"106540352242922\", base_url: %q}}\nhttp: {allow_private: true}\n", address))
	write(t, filepath.Join(dir, "sends.flow.yaml"), flow)
	return dir
}

// A runResult is the output of run --json.
type runResult struct {
	Status  string
	Outputs map[string]any
	Steps   []struct {
		ID, Path, Status string
		Attempts         int
		Outputs          map[string]any
		Error            map[string]any
	}
	Error map[string]any
}

func (r runResult) step(id string) (status string, attempts int) {
	for _, s := range r.Steps {
		if s.ID == id {
			return s.Status, s.Attempts
		}
	}
	return "", 0
}

func runJSONOf(t *testing.T, dir string, args ...string) (code int, r runResult, stderr string) {
	t.Helper()
	code, stdout, stderr := facteur(t, dir, "", append([]string{"run", "sends.flow.yaml", "--json"}, args...)...)
	d := json.NewDecoder(strings.NewReader(stdout))
	require.NoError(t, d.Decode(&r), stderr)
	_, err := d.Token()
	require.ErrorIs(t, err, io.EOF, "only JSON is on standard output")
	assert.NotContains(t, stdout+stderr, shopToken)
	return code, r, stderr
}

// An answer that does not say whether the message was accepted makes the outcome unknown: the
// message is not sent again, whatever the flow's retry says, and the output says so.
func TestUnknownOutcomes(t *testing.T) {
	release := make(chan struct{})
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		status float64
		want   string
	}{
		{"HTML in place of the API", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>Welcome to the hotel</html>")
		}, 200, "not from the WhatsApp API"},
		{"a long answer", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"messages":[{"id":"wamid.1"}],"x":"` + strings.Repeat("x", 5<<20) + `"}`))
		}, 200, "longer than 1 MiB"},
		{"an answer that breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"messages":[{"id":`))
		}, 200, "broke off after 19 bytes"},
		{"half an answer of JSON", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"messages":[{"id":`))
		}, 200, "not from the WhatsApp API"},
		{"a gateway that gave up", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, 502, "not from the WhatsApp API"},
		{"a connection that breaks", func(w http.ResponseWriter, _ *http.Request) {
			c, _, _ := w.(http.Hijacker).Hijack()
			_ = c.Close()
		}, 0, "broke before an answer came"},
		{"no answer in time", func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}, 0, "within the time-out, so whether"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				asked.Add(1)
				tt.answer(w, r)
			}))
			defer server.Close()
			dir := shopProject(t, sends, server.URL)

			code, r, stderr := runJSONOf(t, dir)
			assert.Equal(t, exitFailed, code, stderr)
			assert.EqualValues(t, 1, asked.Load(), "it is not sent again")
			assert.Equal(t, "failed", r.Status)
			assert.Equal(t, "outcome_unknown", r.Error["code"])
			assert.Contains(t, r.Error["message"], tt.want)
			assert.Equal(t, tt.status, r.Outputs["status_code"])
			status, attempts := r.step("notify")
			assert.Equal(t, "failed", status)
			assert.Equal(t, 1, attempts)
			status, _ = r.step("tidied")
			assert.Equal(t, "succeeded", status, "finally runs")

			code, _, stderr = facteur(t, dir, "", "run", "sends.flow.yaml")
			assert.Equal(t, exitFailed, code)
			assert.Contains(t, stderr, tt.want)
			assert.Contains(t, stderr, "it may have been sent and is not sent again")
			assert.Regexp(t, `biz_opaque_callback_data f1\.[0-9a-v]+\.1\n`, stderr)
		})
	}
	close(release)
}

// A message that cannot be sent at all is an error of the environment: exit code 3.
func TestUnsentMessages(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	quiet := log.New(io.Discard, "", 0)
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = quiet
	untrusted.StartTLS()
	defer untrusted.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	plain.Config.ErrorLog = quiet
	defer plain.Close()
	for _, tt := range []struct{ name, address, want, hint string }{
		{"a name that does not exist", "http://nowhere.invalid", "cannot reach nowhere.invalid: ", "DNS"},
		{"nobody listens", "http://" + gone.Addr().String(), "cannot reach " + gone.Addr().String() + ": the connection was refused", "check the port"},
		{"a certificate that nobody vouches for", untrusted.URL, "cannot trust " + untrusted.Listener.Addr().String() + ": its certificate is signed by an unknown authority", "SSL_CERT_FILE"},
		{"no TLS", "https://" + plain.Listener.Addr().String(), plain.Listener.Addr().String() + " does not speak TLS there", "http://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := shopProject(t, sends, tt.address)
			code, r, stderr := runJSONOf(t, dir)
			assert.Equal(t, exitSystem, code, stderr)
			assert.Equal(t, "network", r.Error["code"])
			assert.Contains(t, r.Error["message"], tt.want)
			_, attempts := r.step("notify")
			assert.Equal(t, 3, attempts, "what surely was not sent may be tried again")

			code, _, stderr = facteur(t, dir, "", "run", "sends.flow.yaml")
			assert.Equal(t, exitSystem, code)
			assert.Contains(t, stderr, tt.want)
			assert.Contains(t, stderr, tt.hint)
			assert.NotContains(t, stderr, "may have been sent")
		})
	}
}

// An error of the API is reported with its class and a hint.
func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		code, http, exit int
		class            string
		attempts         int
	}{
		{10, 403, exitSystem, "auth", 1},
		{190, 401, exitSystem, "auth", 1},
		{200, 403, exitSystem, "auth", 1},
		{131026, 400, exitFailed, "recipient", 1},
		{131047, 400, exitFailed, "needs-template", 1},
		{100, 400, exitFailed, "permanent", 1},
		{130429, 400, exitFailed, "throttle-number", 3},
	} {
		t.Run(fmt.Sprint(tt.code), func(t *testing.T) {
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(tt.http)
				fmt.Fprintf(w, `{"error":{"code":%d,"message":"(#%d) no, not with %s","fbtrace_id":"A1"}}`, tt.code, tt.code, r.Header.Get("Authorization"))
			}))
			defer server.Close()
			dir := shopProject(t, sends, server.URL)
			code, r, stderr := runJSONOf(t, dir)
			assert.Equal(t, tt.exit, code, stderr)
			assert.EqualValues(t, tt.attempts, asked.Load())
			assert.Equal(t, fmt.Sprint(tt.code), r.Error["code"])
			assert.EqualValues(t, tt.code, r.Error["meta_code"])
			assert.Equal(t, tt.class, r.Error["class"])
			assert.EqualValues(t, tt.http, r.Outputs["status_code"])

			code, _, stderr = facteur(t, dir, "", "run", "sends.flow.yaml")
			assert.Equal(t, tt.exit, code)
			assert.Contains(t, stderr, fmt.Sprintf("hint: facteur explain %d\n", tt.code))
		})
	}
}

// A journal that cannot be written is reported before anything is sent.
func TestNothingIsSentWithoutAJournal(t *testing.T) {
	api := &cloudAPI{}
	server := httptest.NewServer(api)
	defer server.Close()
	for _, tt := range []struct {
		name  string
		spoil func(dir string) error
		want  string
	}{
		{"the data folder is a file", func(dir string) error { return os.WriteFile(filepath.Join(dir, "data"), nil, 0o600) }, "the data folder: "},
		{"the journal is a folder", func(dir string) error { return os.MkdirAll(filepath.Join(dir, "data", "foreground.db"), 0o700) }, "foreground.db: "},
		{"the journal is something else", func(dir string) error {
			return writeIn(filepath.Join(dir, "data"), "foreground.db", strings.Repeat("this is no journal. ", 500))
		}, "it is not a journal"},
		{"the key is damaged", func(dir string) error { return writeIn(filepath.Join(dir, "data"), "vault.key", "no key") }, "vault.key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := shopProject(t, sends, server.URL)
			require.NoError(t, tt.spoil(dir))
			code, stdout, stderr := facteur(t, dir, "", "run", "sends.flow.yaml")
			assert.Equal(t, exitSystem, code, stderr)
			assert.Contains(t, stderr, tt.want)
			assert.Contains(t, stderr, "hint: ")
			assert.Empty(t, stdout)
			assert.Empty(t, api.bodies)
		})
	}
}

func writeIn(dir, name, text string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)
}
