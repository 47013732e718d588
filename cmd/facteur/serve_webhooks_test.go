package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/simulator"
	"facteur/cmd/facteur/daemon"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/project"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const answersHello = `
flow: answers
inputs: {phone: {type: string, format: e164}}
triggers:
  - whatsapp_message: {when: 'event.text == "hi"', inputs: {phone: "${event.from}"}}
steps:
  - id: notify
    action: whatsapp.send_message
    connection: shop
    with: {recipient: "${inputs.phone}", message_type: text, message: {body: "Bonjour"}, reply_to: ""}
  - id: reply
    wait_for: {event: whatsapp.message, from: "${inputs.phone}", timeout: 1h}
outputs: {text: "${steps.reply.outputs.text}"}
`

const tellsOrders = `
flow: orders
inputs: {order: {type: string}, phone: {type: string, format: e164}}
triggers:
  - webhook: {path: /orders, connection: orders, dedupe: "${event.body.id}", inputs: {order: "${string(event.body.id)}", phone: "${event.body.phone}"}}
steps:
  - id: notify
    action: whatsapp.send_message
    connection: shop
    with: {recipient: "${inputs.phone}", message_type: text, message: {body: "n° ${inputs.order}"}}
`

// waitRuns waits until n runs of a flow have ended.
func (r *testDaemon) waitRuns(flow string, status machine.Status, n int) []server.Run {
	r.t.Helper()
	var found []server.Run
	require.Eventually(r.t, func() bool {
		list, err := r.client.Runs(r.t.Context(), host.Filter{Flow: flow, Status: status})
		if err == nil {
			found = list.Runs
		}
		return len(found) == n
	}, 20*time.Second, 5*time.Millisecond, "%s: %v", flow, found)
	return found
}

// A message starts a run, which receives the next message; a webhook starts another run, once.
func TestTriggers(t *testing.T) {
	dir, api := simulated(t, "", answersHello, tellsOrders)
	t.Setenv("FACTEUR_CONNECTION_ORDERS_SECRET", "secret+of/the=orders")
	text, err := os.ReadFile(filepath.Join(dir, project.FileName))
	require.NoError(t, err)
	write(t, filepath.Join(dir, project.FileName), strings.Replace(string(text), "connections: {", "connections: {orders: {app: WEBHOOK, type: hmac}, ", 1))
	r := startTestDaemon(t, dir, api)

	say := func(text string) {
		_, err := api.Send(simulator.Inbound{From: grace, To: "106540352242922", Name: "Grace", Text: text})
		require.NoError(t, err)
		require.NoError(t, api.Idle(t.Context()))
	}
	say("hello")
	say("hi")
	waitingRun := r.waitRuns("answers", "waiting", 1)[0]
	assert.Equal(t, "message", waitingRun.By)
	say("hi") // for the run that waits: it starts no other
	assert.Equal(t, "hi", r.detail(waitingRun.RunID).Outputs["text"])
	r.waitRuns("answers", "", 1)

	post := func(path, body, signature string) int {
		req, err := http.NewRequest(http.MethodPost, r.url+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		if signature != "" {
			req.Header.Set("X-Hub-Signature-256", signature)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	body := `{"id": 7, "phone": "` + grace + `"}`
	mac := hmac.New(sha256.New, []byte("secret+of/the=orders"))
	mac.Write([]byte(body))
	signature := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	assert.Equal(t, http.StatusUnauthorized, post("/hooks/orders", body, ""))
	assert.Equal(t, http.StatusNotFound, post("/hooks/nothing", body, signature))
	assert.Equal(t, http.StatusAccepted, post("/hooks/orders", body, signature))
	assert.Equal(t, http.StatusAccepted, post("/hooks/orders", body, signature))
	assert.Equal(t, "webhook /orders", r.waitRuns("orders", "succeeded", 1)[0].By)
	assert.Equal(t, 2, api.Counts().Accepted)

	code, stdout, stderr := facteur(t, dir, "", "webhook", "check", "shop", "--public-url", r.url)
	assert.Equal(t, 0, code, stdout+stderr)
	assert.Regexp(t, `ok    handshake`, stdout)
	assert.Regexp(t, `ok    signature`, stdout)
	r.stop()
	code, stdout, _ = facteur(t, dir, "", "webhook", "check", "shop", "--public-url", r.url)
	assert.Equal(t, exitSystem, code)
	assert.Contains(t, stdout, "fail")
	code, _, stderr = facteur(t, dir, "", "webhook", "check", "shop")
	assert.Equal(t, exitUser, code)
	assert.Contains(t, stderr, "the daemon's public URL is not known")
}

// A self-test at the public URL is logged, good or bad.
func TestSelfTest(t *testing.T) {
	dir, api := simulated(t, "", sendsHello)
	r := startTestDaemon(t, dir, api, "--public-url", "http://127.0.0.1:9")
	r.log.Wait(t, `(?s)self-test: Meta's webhooks do not reach this daemon.*connection=shop check=handshake`)
	assert.Contains(t, r.log.String(), "callback=http://127.0.0.1:9/webhooks/whatsapp/shop")
	assert.Contains(t, r.log.String(), "the API refuses every HTTP request")
	over := &server.Client{URL: r.url}
	_, err := over.Runs(t.Context(), host.Filter{})
	assert.Error(t, err)
}

// The log distinguishes the self-test's invalid request from those of others.
func TestSelfTestIsRecognised(t *testing.T) {
	dir, api := simulated(t, "", sendsHello)
	started := make(chan *url.URL, 1)
	there := sync.OnceValue(func() *url.URL { return <-started })
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httputil.NewSingleHostReverseProxy(there()).ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	r := startTestDaemon(t, dir, api, "--public-url", front.URL)
	u, err := url.Parse(r.url)
	require.NoError(t, err)
	started <- u
	r.log.Wait(t, `msg=self-test connection=shop check=signature`)
	assert.Regexp(t, `a WhatsApp webhook was refused.*status=401.*agent="facteur webhook check"`, r.log.String())
}

// A daemon that listens on all addresses prints one by which this machine can reach it.
func TestServeOnAllAddresses(t *testing.T) {
	dir, _ := simulated(t, "", sendsHello)
	code, _, stderr := facteur(t, dir, "", "keys", "create", "tester", "--scope", "admin")
	require.Zero(t, code, stderr)
	r := startTestDaemon(t, dir, nil, "--listen", "0.0.0.0:0")
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+$`, r.url)
	resp, err := http.Get(r.url + "/healthz")
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, http.StatusOK, resp.StatusCode)
}

// Webhooks about other numbers of the account are ignored.
func TestOtherNumbers(t *testing.T) {
	dir, api := simulated(t, "", answersHello)
	r := startTestDaemon(t, dir, api)
	_, err := api.Send(simulator.Inbound{From: grace, To: "999999999999999", Text: "hi"})
	require.NoError(t, err)
	require.NoError(t, api.Idle(t.Context()))
	r.log.Wait(t, "999999999999999")
	_, err = api.Send(simulator.Inbound{From: grace, To: "106540352242922", Text: "hi"})
	require.NoError(t, err)
	r.waitRuns("answers", "", 1)
}

// postAs posts a webhook as Meta signs it.
func (r *testDaemon) postAs(secret, body string) int {
	r.t.Helper()
	code, err := r.tryAs(secret, body)
	require.NoError(r.t, err)
	return code
}

// tryAs is postAs to a daemon that may be down.
func (r *testDaemon) tryAs(secret, body string) (int, error) {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	req, err := http.NewRequest(http.MethodPost, r.url+daemon.WebhookPath("shop"), strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set(inbound.SignatureHeader, "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// Account webhooks that no run waits for are logged once. Webhooks of every shape are accepted,
// and the log shows no phone numbers.
func TestAccountWebhooks(t *testing.T) {
	dir, _ := simulated(t, "", sendsHello)
	r := startTestDaemon(t, dir, nil)
	files, err := filepath.Glob("../../testdata/webhooks/*.json")
	require.NoError(t, err)
	require.Greater(t, len(files), 100)
	for range 2 {
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, http.StatusOK, r.postAs(simulator.DefaultAppSecret, string(text)), file)
		}
	}
	log := r.log.String()
	assert.Equal(t, 1, strings.Count(log, "about=message_template_status_update status=REJECTED"), log)
	assert.Equal(t, 1, strings.Count(log, "about=phone_number_quality_update status=FLAGGED"))
	assert.Regexp(t, `level=WARN msg="Meta reports a change" connection=shop about=account_update status=\w+ details="\{`, log)
	assert.Regexp(t, `level=INFO msg="Meta reports a change" connection=shop about=message_template_status_update status=APPROVED`, log, "what is good is no warning")
	assert.NotRegexp(t, `level=WARN [^\n]* status=(APPROVED|GREEN|ACCOUNT_RECONNECTED)`, log)
	assert.NotContains(t, log, "33612345678")
	assert.NotContains(t, log, "panic")
	assert.EqualValues(t, "succeeded", r.start("hello", map[string]any{"phone": "+33611112222"}).Status, "it works on")
}
