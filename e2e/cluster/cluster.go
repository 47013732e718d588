// Package cluster runs several daemons of one project, each a process, over one Temporal
// server and one ledger in PostgreSQL, against a simulator of the Cloud API: see Start. Its
// tests kill daemons while they send.
package cluster

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/e2e"
	"facteur/e2e/postgres"
	"facteur/e2e/temporal"
	"facteur/server"

	"github.com/stretchr/testify/require"
)

const (
	connection  = "shop"
	token       = "token-of-the-test"
	verifyToken = "to-be-verified"
)

// A Cluster is a project, its daemons and what they share.
type Cluster struct {
	API      *simulator.Simulator
	Daemons  []*Daemon
	Webhooks *Balancer // delivers webhooks to the daemons

	Temporal, Ledger *e2e.Proxy // between the daemons and these servers

	t        testing.TB
	dir      string // the project
	password string
}

// Start starts the servers and so many daemons; all end with the test.
func Start(t testing.TB, daemons int, flows map[string]string) *Cluster {
	t.Helper()
	c := &Cluster{t: t, dir: t.TempDir()}
	db := postgres.Start(t)
	u, err := url.Parse(db.Database(t))
	require.NoError(t, err)
	c.password, _ = u.User.Password()
	u.User = url.User(u.User.Username())
	c.Ledger = e2e.NewProxy(t, u.Host)
	u.Host = c.Ledger.Address
	namespace := temporal.Start(t).Namespace(t, "cluster")
	c.Temporal = e2e.NewProxy(t, namespace.Address)

	c.API, err = simulator.New(simulator.Options{Seed: 7, Keep: 100_000, Scene: simulator.Scene{Statuses: simulator.Statuses{
		Sent: simulator.Duration(20 * time.Millisecond), Delivered: simulator.Duration(50 * time.Millisecond), Failed: simulator.Duration(20 * time.Millisecond),
	}}})
	require.NoError(t, err)
	t.Cleanup(func() { c.API.Close() })
	graph := httptest.NewServer(c.API)
	t.Cleanup(graph.Close)

	e2e.WriteFile(t, c.dir, "facteur.yaml", fmt.Sprintf(`
connections:
  %s: {app: WHATSAPP, sender_phone_id: "106540352242922", base_url: %q}
server: {engine: temporal, keys_file: keys.json}
temporal: {address: %q, namespace: %s}
ledger: {postgres: %q}
vault: {key_file: vault.key}
`, connection, graph.URL, c.Temporal.Address, namespace.Name, u))
	for name, text := range flows {
		e2e.WriteFile(t, c.dir, name+".flow.yaml", text)
	}
	for n := range daemons {
		c.Daemons = append(c.Daemons, newDaemon(c, n+1))
	}
	key, said, code := c.Daemons[0].Command("keys", "create", "tests", "--scope", "admin")
	require.Zero(t, code, "%s", said)
	for n, d := range c.Daemons {
		d.client.Key = strings.TrimSpace(key)
		if d.Start(); n == 0 {
			require.FileExists(t, filepath.Join(c.dir, "vault.key"), "the first daemon creates the key that all share")
		}
	}
	c.Webhooks = newBalancer(t, c.Daemons)
	require.NoError(t, c.API.Subscribe(t.Context(), simulator.Webhook{URL: c.Webhooks.URL + "/webhooks/whatsapp/" + connection, VerifyToken: verifyToken}))
	return c
}

// A Daemon is one process of facteur serve, with a data folder of its own.
type Daemon struct {
	*e2e.Process        // the current or the last one
	Listen       string // host:port

	cluster *Cluster
	client  *server.Client
	name    string
}

func newDaemon(c *Cluster, n int) *Daemon {
	d := &Daemon{cluster: c, name: fmt.Sprint("daemon", n), Listen: e2e.FreeAddress(c.t)}
	d.client = &server.Client{URL: "http://" + d.Listen, HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	return d
}

// Client returns a client of the daemon's API.
func (d *Daemon) Client() *server.Client { return d.client }

// Start starts the daemon, and returns once it is ready.
func (d *Daemon) Start() {
	t := d.cluster.t
	t.Helper()
	d.Process = e2e.Start(t, e2e.Command(t, d.cluster.dir, d.env(), "serve", "--listen", d.Listen, "--show-phone-numbers"))
	t.Cleanup(d.Kill)
	d.Ready(t)
}

func (d *Daemon) env() []string {
	return []string{
		"PGPASSWORD=" + d.cluster.password, "FACTEUR_DATA=" + filepath.Join(d.cluster.dir, d.name),
		"FACTEUR_CONNECTION_SHOP_TOKEN=" + token, "FACTEUR_CONNECTION_SHOP_APP_SECRET=" + simulator.DefaultAppSecret,
		"FACTEUR_CONNECTION_SHOP_VERIFY_TOKEN=" + verifyToken,
	}
}

// Kill ends the daemon by SIGKILL.
func (d *Daemon) Kill() { d.SignalAndWait(syscall.SIGKILL) }

// Stop shuts the daemon down by SIGTERM, and waits until it has exited.
func (d *Daemon) Stop() { d.SignalAndWait(syscall.SIGTERM) }

// Command runs a facteur command in the project, with the daemon's environment.
func (d *Daemon) Command(args ...string) (stdout, stderr string, code int) {
	return d.CommandWith(nil, args...)
}

// CommandWith is Command with more environment variables. It kills the command after a minute.
func (d *Daemon) CommandWith(env []string, args ...string) (stdout, stderr string, code int) {
	t := d.cluster.t
	t.Helper()
	var out, said bytes.Buffer
	cmd := e2e.Command(t, d.cluster.dir, append(d.env(), env...), args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	require.NoError(t, cmd.Start())
	kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	_ = cmd.Wait()
	return out.String(), said.String(), cmd.ProcessState.ExitCode()
}

// A Balancer forwards webhooks to the daemons round-robin, and retries with the next daemon
// until one answers with 200, as Meta and a load balancer do together.
type Balancer struct {
	URL string

	daemons   []*Daemon
	next      atomic.Int64
	held      atomic.Bool
	waiting   atomic.Int64
	delivered atomic.Int64
	done      chan struct{}
}

func newBalancer(t testing.TB, daemons []*Daemon) *Balancer {
	p := &Balancer{daemons: daemons, done: make(chan struct{})}
	s := httptest.NewServer(p)
	p.URL = s.URL
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(p.done) })
	return p
}

// Hold starts or stops holding webhooks back.
func (p *Balancer) Hold(held bool) { p.held.Store(held) }

// Waiting returns how many webhooks no daemon has answered with 200 yet.
func (p *Balancer) Waiting() int { return int(p.waiting.Load()) }

// Delivered returns how many webhooks a daemon has answered with 200.
func (p *Balancer) Delivered() int { return int(p.delivered.Load()) }

// ServeHTTP implements http.Handler.
func (p *Balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.Method == http.MethodGet {
		answer, err := http.Get("http://" + p.pick().Listen + r.URL.RequestURI())
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, answer.Body)
		return
	}
	p.waiting.Add(1)
	go func() {
		defer p.waiting.Add(-1)
		for p.held.Load() || !p.forward(r.URL.RequestURI(), r.Header.Clone(), body) {
			select {
			case <-p.done:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
		p.delivered.Add(1)
	}()
}

func (p *Balancer) pick() *Daemon { return p.daemons[int(p.next.Add(1))%len(p.daemons)] }

func (p *Balancer) forward(path string, header http.Header, body []byte) bool {
	req, _ := http.NewRequest(http.MethodPost, "http://"+p.pick().Listen+path, bytes.NewReader(body))
	req.Header = header
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode == http.StatusOK
}
