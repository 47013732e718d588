package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/cmd/facteur/logtest"
	"facteur/project"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A flow sends to the simulator through its connection's address, webhooks are posted, the faults
// of the file occur, and an interrupt ends the simulator.
func TestSimulate(t *testing.T) {
	told := make(chan string, 16)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			if r.FormValue("hub.verify_token") == "hello" {
				_, _ = io.WriteString(w, r.FormValue("hub.challenge"))
			}
			return
		}
		body, _ := io.ReadAll(r.Body)
		told <- r.Header.Get("X-Hub-Signature-256") + string(body)
	}))
	defer hook.Close()
	dir := t.TempDir()
	write(t, filepath.Join(dir, project.FileName), `connections: {shop: {app: WHATSAPP, sender_phone_id: "106540352242922"}}`)
	write(t, filepath.Join(dir, "faults.json"), `[{"recipient": "+33612345679", "do": "error", "code": 131053}]`)
	write(t, filepath.Join(dir, "hello.flow.yaml"), sendsHello)

	log, signals, ended := &logtest.Lines{}, make(chan chan<- os.Signal, 1), make(chan int, 1)
	a := &app{stdin: strings.NewReader(""), stdout: log, stderr: log, notifyInterrupts: func(c chan<- os.Signal) func() {
		signals <- c
		return func() {}
	}}
	go func() {
		ended <- a.run(context.Background(), []string{"simulate", dir, "--listen", "127.0.0.1:0", "--webhook", hook.URL, "--verify-token", "hello", "--app-secret", "s3cret", "--faults", filepath.Join(dir, "faults.json")})
	}()
	address := log.Wait(t, `(http://127\.0\.0\.1:\d+)\n`)
	log.Wait(t, `FACTEUR_CONNECTION_SHOP_BASE_URL=http`)
	log.Wait(t, `FACTEUR_CONNECTION_SHOP_APP_SECRET=… FACTEUR_CONNECTION_SHOP_VERIFY_TOKEN=hello facteur serve`)
	log.Wait(t, `webhooks are sent to`)

	t.Setenv("FACTEUR_CONNECTION_SHOP_BASE_URL", address)
	t.Setenv("FACTEUR_CONNECTION_SHOP_TOKEN", "any")
	code, _, stderr := facteur(t, dir, "", "run", "hello.flow.yaml", "--input", "phone=+33612345678")
	require.Equal(t, 0, code, stderr)
	select {
	case body := <-told:
		assert.Regexp(t, `^sha256=[0-9a-f]{64}`, body)
		assert.Contains(t, body, `"status":"sent"`)
	case <-time.After(20 * time.Second):
		t.Fatal("no webhook came")
	}
	code, _, stderr = facteur(t, dir, "", "run", "hello.flow.yaml", "--input", "phone=+33612345679")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, "131053")

	(<-signals) <- os.Interrupt
	assert.Zero(t, <-ended, log)
}

func TestSimulateRefuses(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "faults.json"), `[{"do": "explode"}]`)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--clock", "noon"}, exitUser, `"noon" is not a time`},
		{[]string{"--faults", "faults.json"}, exitUser, "faults.json: "},
		{[]string{"--faults", "none.json"}, exitUser, "none.json"},
		{[]string{"missing"}, exitUser, "missing"},
		{[]string{"--listen", "127.0.0.1:999999"}, exitSystem, "choose another address with --listen"},
		{[]string{"--listen", taken.Addr().String()}, exitSystem, "error: cannot listen on " + taken.Addr().String() + ": address already in use"},
	} {
		code, _, stderr := facteur(t, dir, "", append([]string{"simulate"}, tt.args...)...)
		assert.Equal(t, tt.code, code, stderr)
		assert.Contains(t, stderr, tt.want)
	}
}
