// Package cluster runs several daemons of one project, as processes of their own, over one
// Temporal server and one ledger in PostgreSQL, with a simulator of the Cloud API in front:
// see Start. Its tests kill daemons while they send.
package cluster

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
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

// A Cluster is a project and all that its daemons share.
type Cluster struct {
	API     *simulator.Simulator
	Daemons []*Daemon
	Hooks   *Post // the way of webhooks to the daemons

	Temporal, Ledger *e2e.Proxy // the ways of the daemons to their servers

	t        testing.TB
	dir      string // the project
	space    string // the namespace
	password string
}

// Start starts the servers and so many daemons, that end with the test.
func Start(t testing.TB, daemons int, flows map[string]string) *Cluster {
	t.Helper()
	c := &Cluster{t: t, dir: t.TempDir(), space: "cluster"}
	db := postgres.Start(t)
	u, err := url.Parse(db.Database(t))
	require.NoError(t, err)
	c.password, _ = u.User.Password()
	u.User = url.User(u.User.Username())
	c.Ledger = e2e.NewProxy(t, u.Host)
	u.Host = c.Ledger.Address
	server := temporal.Start(t)
	server.Namespace(t, c.space)
	c.Temporal = e2e.NewProxy(t, server.Address)

	c.API, err = simulator.New(simulator.Options{Seed: 7, Keep: 100_000, Scene: simulator.Scene{Statuses: simulator.Statuses{
		Sent: simulator.Duration(20 * time.Millisecond), Delivered: simulator.Duration(50 * time.Millisecond), Failed: simulator.Duration(20 * time.Millisecond),
	}}})
	require.NoError(t, err)
	t.Cleanup(func() { c.API.Close() })
	graph := httptest.NewServer(c.API)
	t.Cleanup(graph.Close)

	c.write("facteur.yaml", fmt.Sprintf(`
connections:
  %s: {app: WHATSAPP, sender_phone_id: "106540352242922", base_url: %q}
server: {engine: temporal, keys_file: keys.json}
temporal: {address: %q, namespace: %s}
ledger: {postgres: %q}
vault: {key_file: vault.key}
`, connection, graph.URL, c.Temporal.Address, c.space, u))
	for name, text := range flows {
		c.write(name+".flow.yaml", text)
	}
	for n := range daemons {
		c.Daemons = append(c.Daemons, newDaemon(c, n+1))
	}
	key, said, code := c.Daemons[0].Command("keys", "create", "tests", "--scope", "admin")
	require.Zero(t, code, "%s", said)
	for n, d := range c.Daemons {
		d.client.Key = strings.TrimSpace(key)
		if d.Start(); n == 0 {
			require.FileExists(t, filepath.Join(c.dir, "vault.key"), "the first makes the key that all have")
		}
	}
	c.Hooks = newPost(t, c.Daemons)
	require.NoError(t, c.API.Subscribe(t.Context(), simulator.Webhook{URL: c.Hooks.URL + "/webhooks/whatsapp/" + connection, VerifyToken: verifyToken}))
	return c
}

func (c *Cluster) write(name, text string) {
	require.NoError(c.t, os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600))
}

func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// A Daemon is one process of facteur serve, with a data folder of its own.
type Daemon struct {
	*e2e.Process        // the last
	Listen       string // host:port

	cluster *Cluster
	client  *server.Client
	name    string
}

func newDaemon(c *Cluster, n int) *Daemon {
	d := &Daemon{cluster: c, name: fmt.Sprint("daemon", n), Listen: freeAddress(c.t)}
	d.client = &server.Client{URL: "http://" + d.Listen, HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	return d
}

// Client asks the daemon's API.
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

// Kill ends the daemon without any order.
func (d *Daemon) Kill() { d.End(syscall.SIGKILL) }

// Stop asks the daemon to end in order, and returns once it has.
func (d *Daemon) Stop() { d.End(syscall.SIGTERM) }

// Command runs a command for people, as whoever works at the daemon would.
func (d *Daemon) Command(args ...string) (stdout, stderr string, code int) {
	return d.CommandWith(nil, args...)
}

// CommandWith is Command with more in the environment, for a minute at most.
func (d *Daemon) CommandWith(env []string, args ...string) (stdout, stderr string, code int) {
	t := d.cluster.t
	t.Helper()
	var out, said bytes.Buffer
	cmd := e2e.Command(t, d.cluster.dir, append(d.env(), env...), args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	require.NoError(t, cmd.Start())
	late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	_ = cmd.Wait()
	return out.String(), said.String(), cmd.ProcessState.ExitCode()
}

// A Post carries webhooks to the daemons by turns, to another one when one does not answer
// with 200, and tries again until one does, as Meta and a load balancer do together.
type Post struct {
	URL string

	daemons []*Daemon
	turn    atomic.Int64
	held    atomic.Bool
	waiting atomic.Int64
	told    atomic.Int64
	over    chan struct{}
}

func newPost(t testing.TB, daemons []*Daemon) *Post {
	p := &Post{daemons: daemons, over: make(chan struct{})}
	s := httptest.NewServer(p)
	p.URL = s.URL
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(p.over) })
	return p
}

// Hold keeps webhooks back, or lets them go on.
func (p *Post) Hold(held bool) { p.held.Store(held) }

// Waiting is how many webhooks were not taken by a daemon yet.
func (p *Post) Waiting() int { return int(p.waiting.Load()) }

// Told is how many were.
func (p *Post) Told() int { return int(p.told.Load()) }

// ServeHTTP implements http.Handler.
func (p *Post) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.Method == http.MethodGet {
		answer, err := http.Get("http://" + p.next().Listen + r.URL.RequestURI())
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
		for p.held.Load() || !p.carry(r.URL.RequestURI(), r.Header.Clone(), body) {
			select {
			case <-p.over:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
		p.told.Add(1)
	}()
}

func (p *Post) next() *Daemon { return p.daemons[int(p.turn.Add(1))%len(p.daemons)] }

func (p *Post) carry(path string, header http.Header, body []byte) bool {
	req, _ := http.NewRequest(http.MethodPost, "http://"+p.next().Listen+path, bytes.NewReader(body))
	req.Header = header
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode == http.StatusOK
}
