package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"facteur/actions"
	"facteur/actions/httpcall"
	"facteur/actions/whatsapp"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/plan"
	"facteur/flow/record"
	"facteur/flow/suite"
	"facteur/vault"
)

// A world is what a run meets: the real one, a recording, or a dry run.
type world struct {
	do         call.Do
	journal    journal.Journal
	clock      host.Clock
	virtual    bool // time is virtual, and calls are made one at a time
	feed       []local.Feed
	seal, open func(plain, context []byte) ([]byte, error)
	hard       context.Context // ends on the second interrupt
	player     *record.Player  // of a recording
	closers    []func()
}

func (w *world) close() {
	for i := len(w.closers) - 1; i >= 0; i-- {
		w.closers[i]()
	}
}

// testToken is the token of every connection that is not real.
const testToken = "test-token"

func (a *app) newWorld(p *project, compiled *plan.Plan, f runFlags) (*world, error) {
	w := &world{journal: &journal.Memory{}, clock: host.System{}, hard: context.Background()}
	var transport http.RoundTripper
	var fixed map[string]vault.Connection
	switch {
	case f.recording != "":
		text, err := a.readFile(f.recording)
		if err != nil {
			return nil, err
		}
		exchanges, diags := record.Parse(shown(f.recording), text)
		if err := a.diagnose(diags); err != nil {
			return nil, err
		}
		clock := host.NewVirtual(time.Now())
		w.clock, w.virtual = clock, true
		w.player = record.NewPlayer(exchanges, record.PlayerOptions{Sleep: clock.Sleep})
		transport = w.player
	case f.dryRun:
		w.clock, w.virtual = host.NewVirtual(time.Now()), true
		transport = &dryRun{app: a}
	}
	if transport != nil {
		var err error
		if fixed, err = p.testConnections(compiled.Connections, nil); err != nil {
			return nil, err
		}
	}
	if f.events != "" {
		text, err := a.readFile(f.events)
		if err != nil {
			return nil, err
		}
		catalog, err := descriptions()
		if err != nil {
			return nil, err
		}
		feed, diags := suite.Events(shown(f.events), text, compiled, catalog, w.clock.Now())
		if err := a.diagnose(diags); err != nil {
			return nil, err
		}
		w.feed = feed
	}
	v, err := p.vault(fixed)
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, func() { _ = v.Close() })
	set, err := newCatalog(v, transport, p.policy(), whatsapp.Options{})
	if err != nil {
		return nil, err
	}
	w.do = w.known(set)
	if transport == nil {
		err = w.keep(p, v)
	}
	return w, err
}

// policy is what the project file says that http.request may reach.
func (p *project) policy() httpcall.Policy {
	policy := httpcall.Policy{AllowHosts: p.HTTP.AllowHosts, AllowPrivate: p.HTTP.AllowPrivate}
	if p.HTTP.MaxBody > 0 {
		policy.MaxBody = int64(p.HTTP.MaxBody)
	}
	return policy
}

// testConnections makes connections with test values in the place of secrets.
func (p *project) testConnections(names []string, given map[string]map[string]string) (map[string]vault.Connection, error) {
	out := map[string]vault.Connection{}
	for _, name := range names {
		c := vault.Connection{Name: name, App: vault.WhatsApp, Setup: map[string]string{}, Secrets: map[string]vault.Secret{}, Version: "test"}
		if declared, ok := p.Connections[name]; ok {
			c.App, c.Setup = vault.App(declared.App), declared.setup()
		}
		for _, field := range vault.Fields(c.App) {
			value, ok := given[name][field.Name]
			switch {
			case ok && field.Secret:
				c.Secrets[field.Name] = vault.NewSecret(value)
			case ok:
				c.Setup[field.Name] = value
			case field.Secret && (field.For == "" || field.For == c.Setup["type"]):
				c.Secrets[field.Name] = vault.NewSecret(testToken)
			}
		}
		for key := range given[name] {
			if !hasField(c.App, key) {
				return nil, wrong("", "connection %s: an app %s connection has no field %q", name, c.App, key)
			}
		}
		out[name] = c
	}
	return out, nil
}

func hasField(app vault.App, name string) bool {
	for _, f := range vault.Fields(app) {
		if f.Name == name {
			return true
		}
	}
	return false
}

// known tells the transport which step each request belongs to, and ends a run whose
// recording does not fit: a request that no exchange matches is no error of the API.
func (w *world) known(set *actions.Set) call.Do {
	return func(ctx context.Context, c call.Call) call.Outcome {
		return withInfo(ctx, set, c, w.player)
	}
}

func withInfo(ctx context.Context, set *actions.Set, c call.Call, player *record.Player) call.Outcome {
	var volatile []string
	if sig := set.Action(c.Action); sig != nil {
		volatile = sig.Volatile
	}
	info := record.InfoOf(c, volatile)
	before := 0
	if player != nil {
		before = len(player.Mismatches())
	}
	o := set.Do(record.WithInfo(ctx, info), c)
	if player != nil {
		if bad := player.Mismatches(); len(bad) > before {
			o.Status, o.Retryable = call.Failed, false
			o.Error = &call.Error{Code: "not_recorded", Class: "recording", Message: bad[before].String()}
		}
	}
	return o
}

// keep stores the run in the project's data folder, sealed.
func (w *world) keep(p *project, v *vault.Vault) error {
	dir := p.at(p.Data)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return surroundings(fmt.Errorf("the data folder: %w", err), "see data: in "+projectName)
	}
	j, err := openJournal(dir)
	if err != nil {
		return surroundings(err, "")
	}
	w.journal, w.seal, w.open = j, v.Seal, v.Open
	w.closers = append(w.closers, func() { _ = j.Close() })
	return nil
}

// openJournal opens the first journal of a data folder that no other process writes, so
// that runs beside each other do not wait for one another.
func openJournal(dir string) (*journal.SQLite, error) {
	const most = 100
	for n := 1; ; n++ {
		name := "journal.db"
		if n > 1 {
			name = fmt.Sprintf("journal-%d.db", n)
		}
		j, err := journal.OpenSQLite(filepath.Join(dir, name))
		if n == most || !errors.Is(err, journal.ErrInUse) {
			return j, err
		}
	}
}

// dryRun prints requests instead of sending them. What it answers is made up.
type dryRun struct {
	app *app
	n   int
}

func (d *dryRun) RoundTrip(req *http.Request) (*http.Response, error) {
	d.n++
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		_ = req.Body.Close()
	}
	out := d.app.stdout
	fmt.Fprintf(out, "%s %s\n", req.Method, req.URL.Redacted())
	for _, name := range sortedNames(req.Header) {
		value := strings.Join(req.Header[name], ", ")
		if strings.Contains(value, testToken) {
			value = strings.ReplaceAll(value, testToken, "[secret]")
		}
		if name == "Authorization" || name == "Cookie" {
			value = "[secret]"
		}
		fmt.Fprintf(out, "%s: %s\n", name, value)
	}
	if len(body) > 0 {
		var pretty bytes.Buffer
		if json.Indent(&pretty, body, "", "  ") == nil {
			body = pretty.Bytes()
		}
		fmt.Fprintf(out, "\n%s\n", bytes.ReplaceAll(body, []byte(testToken), []byte("[secret]")))
	}
	fmt.Fprintln(out)
	answer := "{}"
	if strings.HasSuffix(req.URL.Path, "/messages") {
		answer = fmt.Sprintf(`{"messaging_product":"whatsapp","success":true,"messages":[{"id":"wamid.dry-run-%d"}]}`, d.n)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(answer)), ContentLength: int64(len(answer)),
	}, nil
}
