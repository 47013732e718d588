package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/cmd/facteur/daemon"
	"facteur/cmd/facteur/logtest"
	"facteur/flow/host"
	"facteur/project"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A testDaemon is a daemon in this process, with a simulator.
type testDaemon struct {
	t      *testing.T
	dir    string
	api    *simulator.Simulator
	url    string // of the daemon
	log    *logtest.Lines
	stop   func() (code int)
	cut    func() // interrupts it once more
	hangup func()
	client *server.Client
}

const (
	simulatedToken  = "EAAGsimulated+token/of=the+shop"
	simulatedVerify = "verify+this/token=please"
)

// simulated writes a project whose connection is a simulator's.
func simulated(t *testing.T, more string, flows ...string) (dir string, api *simulator.Simulator) {
	t.Helper()
	api, err := simulator.New(simulator.Options{Seed: 7, Scene: simulator.Scene{Statuses: simulator.Statuses{
		Sent: simulator.Duration(time.Millisecond), Delivered: simulator.Duration(2 * time.Millisecond), Failed: simulator.Duration(time.Millisecond),
	}, People: []simulator.Person{{Phone: barbara, UserID: barbaraID}}}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = api.Close() })
	graph := httptest.NewServer(api)
	t.Cleanup(graph.Close)
	dir = t.TempDir()
	t.Setenv("FACTEUR_CONNECTION_SHOP_TOKEN", simulatedToken)
	t.Setenv("FACTEUR_CONNECTION_SHOP_APP_SECRET", simulator.DefaultAppSecret)
	t.Setenv("FACTEUR_CONNECTION_SHOP_VERIFY_TOKEN", simulatedVerify)
	write(t, filepath.Join(dir, project.FileName), fmt.Sprintf("connections: {shop: {app: WHATSAPP, sender_phone_id: \"106540352242922\", base_url: %q}}\nhttp: {allow_private: true}\n%s", graph.URL, more))
	for i, text := range flows {
		write(t, filepath.Join(dir, fmt.Sprintf("flow%d.flow.yaml", i)), text)
	}
	return dir, api
}

// startTestDaemon runs the daemon of a project until the test ends.
func startTestDaemon(t *testing.T, dir string, api *simulator.Simulator, args ...string) *testDaemon {
	t.Helper()
	r := &testDaemon{t: t, dir: dir, api: api, log: &logtest.Lines{}}
	signals, hangups := make(chan chan<- os.Signal, 1), make(chan chan<- os.Signal, 1)
	a := &app{stdin: strings.NewReader(""), stdout: r.log, stderr: r.log,
		notifyInterrupts: func(c chan<- os.Signal) func() {
			signals <- c
			return func() {}
		},
		notifyHangups: func(c chan<- os.Signal) func() {
			hangups <- c
			return func() {}
		},
	}
	r.hangup = func() {
		c := <-hangups
		c <- syscall.SIGHUP
		hangups <- c
	}
	interrupt := sync.OnceValue(func() chan<- os.Signal { return <-signals })
	r.cut = func() { interrupt() <- os.Interrupt }
	ended := make(chan int, 1)
	go func() {
		ended <- a.run(context.Background(), append([]string{"serve", dir, "--listen", "127.0.0.1:0"}, args...))
	}()
	r.stop = sync.OnceValue(func() int {
		select {
		case code := <-ended:
			return code
		default:
			r.cut()
		}
		return <-ended
	})
	t.Cleanup(func() { r.stop() })
	r.url = r.log.Wait(t, `msg=ready url=(\S+)`)
	plate, ok := daemon.Find(filepath.Join(dir, "data"))
	require.True(t, ok)
	r.client = plate.Client()
	if api != nil {
		require.NoError(t, api.Subscribe(t.Context(), simulator.Webhook{URL: r.url + daemon.WebhookPath("shop"), VerifyToken: simulatedVerify}))
	}
	return r
}

// start starts a run, and waits for its end.
func (r *testDaemon) start(flow string, inputs map[string]any) *server.Started {
	r.t.Helper()
	started, err := r.client.Start(r.t.Context(), flow, server.StartRequest{Inputs: inputs}, server.StartOption{Wait: 20 * time.Second})
	require.NoError(r.t, err)
	return started
}

func (r *testDaemon) detail(run string) *server.Detail {
	r.t.Helper()
	d, err := r.client.Run(r.t.Context(), run, 20*time.Second)
	require.NoError(r.t, err)
	return d
}

const sendsHello = `
flow: hello
inputs:
  phone: {type: string, format: e164}
  name: {type: string, default: Aïcha}
steps:
  - id: notify
    action: whatsapp.send_message
    connection: shop
    with: {recipient: "${inputs.phone}", message_type: text, message: {body: "Bonjour ${inputs.name}"}}
outputs: {message_id: "${steps.notify.outputs.message_id}"}
`

// A run started over HTTP is executed, and the commands show it: from the daemon, and from the
// data folder when the daemon has stopped.
func TestServe(t *testing.T) {
	dir, api := simulated(t, "", sendsHello)
	r := startTestDaemon(t, dir, api)
	over := &server.Client{URL: r.url}
	started, err := over.Start(t.Context(), "hello", server.StartRequest{Inputs: map[string]any{"phone": "+33612345678"}}, server.StartOption{Key: "order 7", Wait: 20 * time.Second})
	require.NoError(t, err)
	assert.EqualValues(t, "succeeded", started.Status)
	again, err := over.Start(t.Context(), "hello", server.StartRequest{Inputs: map[string]any{"phone": "+33612345678"}}, server.StartOption{Key: "order 7"})
	require.NoError(t, err)
	assert.True(t, again.Repeated)
	assert.Equal(t, started.RunID, again.RunID)
	require.Eventually(t, func() bool {
		sent := api.Accepted(simulator.Filter{})
		return len(sent) == 1 && sent[0].State == "delivered"
	}, 20*time.Second, time.Millisecond)
	require.NoError(t, api.Idle(t.Context()))

	look := func() {
		code, stdout, stderr := facteur(t, dir, "", "runs", "list")
		assert.Equal(t, 0, code, stderr)
		assert.Regexp(t, started.RunID+` +hello +succeeded +20`, stdout)
		code, stdout, stderr = facteur(t, dir, "", "runs", "list", "--recipient", "+33612345678", "--json")
		assert.Equal(t, 0, code, stderr)
		assert.Contains(t, stdout, started.RunID)
		_, stdout, _ = facteur(t, dir, "", "runs", "list", "--recipient", "+33612345679", "--json")
		assert.NotContains(t, stdout, started.RunID)
		code, stdout, stderr = facteur(t, dir, "", "runs", "show", started.RunID)
		assert.Equal(t, 0, code, stderr)
		assert.Regexp(t, `(?s)status +succeeded\n.*✓ notify  action  .*status 200  wamid\.\S+  delivered`, stdout)
		assert.NotContains(t, stdout, "33612345678")
		code, stdout, stderr = facteur(t, dir, "", "runs", "events", started.RunID)
		assert.Equal(t, 0, code, stderr)
		assert.Regexp(t, `(?s)start .*taken .*answered `, stdout)
		assert.NotContains(t, stdout, "seed")
	}
	look()
	code, stdout, stderr := facteur(t, dir, "", "health")
	assert.Equal(t, 0, code, stderr)
	assert.Equal(t, "ok    journal    \nok    ledger     \nok    vault      \n", stdout)

	assert.Equal(t, 0, r.stop())
	assert.Contains(t, r.log.String(), "msg=stopped")
	look()
	for _, args := range [][]string{{"health"}, {"holds"}, {"runs", "retry", "x"}, {"pause", "all"}} {
		code, _, stderr := facteur(t, dir, "", args...)
		assert.Equal(t, exitSystem, code)
		assert.Contains(t, stderr, "error: no daemon is running for this project")
	}
}

// A daemon refuses to start where that is not safe.
func TestServeRefuses(t *testing.T) {
	dir, api := simulated(t, "", sendsHello)
	refused := func(want string, args ...string) {
		t.Helper()
		code, _, stderr := facteur(t, dir, "", append([]string{"serve"}, args...)...)
		assert.NotZero(t, code)
		assert.Contains(t, stderr, want)
		assert.Contains(t, stderr, "hint: ")
	}
	refused("anybody who can reach 0.0.0.0:0 could send messages", "--listen", "0.0.0.0:0")
	refused("a certificate needs its key", "--tls-cert", "cert.pem")
	refused("is not an address and a port", "--listen", "nowhere")
	refused("is not the address of a server", "--public-url", "facteur.shop.test")
	secret := os.Getenv("FACTEUR_CONNECTION_SHOP_APP_SECRET")
	t.Setenv("FACTEUR_CONNECTION_SHOP_APP_SECRET", "")
	refused("the connection shop has no app_secret", "--listen", "127.0.0.1:0")
	t.Setenv("FACTEUR_CONNECTION_SHOP_APP_SECRET", secret)

	r := startTestDaemon(t, dir, api)
	code, _, stderr := facteur(t, dir, "", "serve", "--listen", "127.0.0.1:0")
	assert.Equal(t, exitSystem, code)
	assert.Regexp(t, `error: the daemon with the process id \d+, at http://127\.0\.0\.1:\d+, is already using the data folder data`, stderr)
	r.stop()

	write(t, filepath.Join(dir, "flow0.flow.yaml"), strings.Replace(sendsHello, "inputs.phone", "inputs.phon", 1))
	code, _, stderr = facteur(t, dir, "", "serve", "--listen", "127.0.0.1:0")
	assert.Equal(t, exitUser, code)
	assert.Contains(t, stderr, `did you mean "phone"?`)
}

// Once there are API keys, requests need one, except those of commands on this machine.
func TestServeWithKeys(t *testing.T) {
	dir, api := simulated(t, "", sendsHello)
	code, stdout, stderr := facteur(t, dir, "", "keys", "create", "web shop", "--scope", "read")
	require.Equal(t, 0, code, stderr)
	key := strings.TrimSpace(stdout)
	write(t, filepath.Join(dir, "read.key"), stdout)
	r := startTestDaemon(t, dir, api)
	assert.NotContains(t, r.log.String(), "there is no API key")

	code, _, stderr = facteur(t, dir, "", "runs", "list", "--server", r.url)
	assert.Equal(t, exitSystem, code)
	assert.Contains(t, stderr, "an API key is required")
	code, _, stderr = facteur(t, dir, "", "runs", "list", "--server", r.url, "--key-file", "read.key")
	assert.Equal(t, 0, code, stderr)
	code, _, stderr = facteur(t, dir, "", "pause", "all", "--server", r.url, "--key-file", "read.key")
	assert.Equal(t, exitSystem, code)
	assert.Contains(t, stderr, "use a key with the scope admin")
	code, _, stderr = facteur(t, dir, "", "runs", "list")
	assert.Equal(t, 0, code, "the socket needs none: "+stderr)

	code, stdout, _ = facteur(t, dir, "", "keys", "list")
	assert.Equal(t, 0, code)
	id := regexp.MustCompile(`(?m)^(\S+) +web shop +read`).FindStringSubmatch(stdout)
	require.NotNil(t, id, stdout)
	code, _, stderr = facteur(t, dir, "", "keys", "revoke", id[1])
	assert.Equal(t, 0, code, stderr)
	t.Setenv("FACTEUR_API_KEY", key)
	code, _, stderr = facteur(t, dir, "", "runs", "list", "--server", r.url)
	assert.Equal(t, exitSystem, code)
	assert.Contains(t, stderr, "not valid or was revoked")
	assert.NotContains(t, r.log.String()+stderr, key)
}

// Paused calls are held back visibly, and continue after a resume.
func TestPauseAndResume(t *testing.T) {
	dir, api := simulated(t, "", sendsHello)
	r := startTestDaemon(t, dir, api)
	code, _, stderr := facteur(t, dir, "", "pause", "connection", "shop", "--reason", "wrong template")
	require.Equal(t, 0, code, stderr)
	started, err := r.client.Start(t.Context(), "hello", server.StartRequest{Inputs: map[string]any{"phone": "+33612345678"}}, server.StartOption{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		d, err := r.client.Run(t.Context(), started.RunID, 0)
		return err == nil && len(d.Held) == 1
	}, 10*time.Second, 5*time.Millisecond)
	_, stdout, _ := facteur(t, dir, "", "runs", "show", started.RunID)
	assert.Regexp(t, `… notify  held back: .*wrong template`, stdout)
	_, stdout, _ = facteur(t, dir, "", "holds")
	assert.Regexp(t, `connection shop +20\S+ \S+ +1 +wrong template`, stdout)
	code, _, stderr = facteur(t, dir, "", "resume", "connection", "shop")
	require.Equal(t, 0, code, stderr)
	assert.EqualValues(t, "succeeded", r.detail(started.RunID).Status)
	_, _, stderr = facteur(t, dir, "", "holds")
	assert.Contains(t, stderr, "nothing is held back")
	code, _, stderr = facteur(t, dir, "", "pause", "connection", "shopp")
	assert.Equal(t, exitUser, code)
	assert.Contains(t, stderr, `there is no connection "shopp"`)
	assert.Contains(t, stderr, `did you mean "shop"?`)
	for _, args := range [][]string{{"pause"}, {"pause", "shop"}, {"pause", "connection"}, {"resume", "all", "of it"}} {
		code, _, stderr := facteur(t, dir, "", args...)
		assert.Equal(t, exitUser, code, stderr)
	}
}

// A reload replaces the flows if all are valid; otherwise it changes nothing.
func TestReload(t *testing.T) {
	dir, api := simulated(t, "", sendsHello)
	r := startTestDaemon(t, dir, api)
	write(t, filepath.Join(dir, "other.flow.yaml"), strings.Replace(sendsHello, "flow: hello", "flow: other", 1))
	done, err := r.client.Reload(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"other"}, done.Added)

	write(t, filepath.Join(dir, "other.flow.yaml"), strings.Replace(sendsHello, "flow: hello", "flow: changed", 1))
	write(t, filepath.Join(dir, "flow0.flow.yaml"), strings.Replace(sendsHello, "inputs.phone", "inputs.phon", 1))
	_, err = r.client.Reload(t.Context())
	var problem *server.Problem
	require.ErrorAs(t, err, &problem)
	assert.Equal(t, server.InvalidFlows, problem.Kind())
	require.NotEmpty(t, problem.Diagnostics)
	assert.Contains(t, problem.Diagnostics[0].Hint, `did you mean "phone"?`)
	flows, err := r.client.Flows(t.Context())
	require.NoError(t, err)
	names, _ := json.Marshal([]string{flows.Flows[0].Flow, flows.Flows[1].Flow})
	assert.Equal(t, `["hello","other"]`, string(names), "the old ones are there")
	r.hangup()
	r.log.Wait(t, `(?s)the flows have mistakes; they stay as they were.*flow0\.flow\.yaml:\d+:\d+: error: .*\^\^\^`)
	write(t, filepath.Join(dir, "flow0.flow.yaml"), sendsHello)
	r.hangup()
	r.log.Wait(t, `msg=reloaded flows=2`)
	assert.EqualValues(t, "succeeded", r.start("hello", map[string]any{"phone": "+33612345678"}).Status)
}

// Rotating the key while the daemon runs does not affect stored data: runs are readable, and
// found by recipient and by idempotency key. Without the key they are not, and the daemon says
// so.
func TestRotatedKey(t *testing.T) {
	dir, api := simulated(t, "", sendsHello)
	begin := func(r *testDaemon, key string) *server.Started {
		started, err := r.client.Start(t.Context(), "hello", server.StartRequest{Inputs: map[string]any{"phone": grace}}, server.StartOption{Key: key, Wait: 20 * time.Second})
		require.NoError(t, err)
		require.EqualValues(t, "succeeded", started.Status)
		return started
	}
	r := startTestDaemon(t, dir, api)
	before := begin(r, "order 7")
	code, _, stderr := facteur(t, dir, "", "vault", "rotate-key")
	require.Equal(t, 0, code, stderr)
	after := begin(r, "order 8")
	r.stop()

	r = startTestDaemon(t, dir, api)
	for key, run := range map[string]string{"order 7": before.RunID, "order 8": after.RunID} {
		again := begin(r, key)
		assert.True(t, again.Repeated)
		assert.Equal(t, run, again.RunID)
		assert.Equal(t, "notify", r.detail(run).Steps[0].Path)
	}
	list, err := r.client.Runs(t.Context(), host.Filter{Recipient: grace})
	require.NoError(t, err)
	assert.Len(t, list.Runs, 2)
	assert.Equal(t, 2, api.Counts().Accepted)
	r.stop()

	require.NoError(t, os.Rename(filepath.Join(dir, "data", "vault.key"), filepath.Join(dir, "kept.key")))
	code, _, stderr = facteur(t, dir, "", "serve", "--listen", "127.0.0.1:0")
	assert.Equal(t, exitSystem, code)
	assert.Contains(t, stderr, "put the key file back")
	code, _, stderr = facteur(t, dir, "", "runs", "list")
	assert.Equal(t, exitSystem, code)
	assert.Contains(t, stderr, "put the key file back")
}
