// Package daemon runs a project: its stores, the host of its runs, its API and its webhooks.
// "facteur serve" opens a daemon and runs it; package dev embeds one in a process that listens
// itself.
//
// Open locks the data folder against a second daemon and opens the stores in it; then it listens
// at the address, so that nothing starts if that is in use; then it opens the actions and checks
// the connections that they use; then the socket for commands on this machine; last the host,
// which at once resumes the runs that had not ended. Run serves until it is told to stop, and
// lets what is under way finish. Close closes all in reverse order.
//
// The daemon reports to people by its log, and by Options.Show about mistakes in reloaded flows;
// to systemd that it is ready, reloads and stops; to commands on the same machine where it
// listens, by an Endpoint in the data folder. An error that ends it is a project.Error if there
// is a hint.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"
	"facteur/actions/whatsapp/templates"
	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/trigger"
	"facteur/project"
	"facteur/server"
	"facteur/sqlitefile"
	"facteur/vault"
)

// A Daemon runs a project: its stores, the host of its runs, its API and its webhooks.
type Daemon struct {
	opts    Options
	project *project.Project
	config  project.Server
	dir     string // the data folder
	log     *slog.Logger
	view    server.View

	engine         engine
	vault          *vault.Vault
	ledger         ledger.Ledger
	keys           *server.Keys
	flows          *flowSet
	actions        *actions.Set
	metrics        *server.Metrics
	starter        *trigger.Starter
	silence        inbound.SilenceMonitor
	checked        sync.Map      // the connections that were resolved once, by name
	accountChanged chan struct{} // a webhook told of a change of the account
	host           stoppableHost
	hostReady      chan struct{} // closed once host is set: the runs that it resumes may need it before
	listeners      *listeners    // nil where it is embedded
	closers        []func()
}

// Options are what a daemon works on, and how.
type Options struct {
	Project  *project.Project
	Settings project.Server // with defaults filled in, and checked
	Flows    *project.Flows // at the start
	Log      *slog.Logger
	Version  string    // for the metrics
	Began    time.Time // when the process did: the log says how long it took to be ready

	// Restored says that the data folder is from a backup: runs that had not ended are held.
	Restored bool
	// Embedded leaves listening to the caller, with Handler: the daemon has no address, no
	// socket and no Endpoint, and does not check connections first. Run must not be called.
	Embedded bool
	// Development helps people who write flows on this machine: answers to webhooks say why
	// they are refused, and the log says which triggers started no run.
	Development bool

	// Show prints the mistakes in flows that were reloaded at a hang-up.
	Show func(diag.List)
	// Hangups brings the signal that asks to reload the flows. nil: there is none.
	Hangups <-chan os.Signal
	// Export writes a run as a flow test. That the run, or its flow, cannot be exported is a
	// *host.StateError.
	Export func(ctx context.Context, r *host.Report) ([]byte, error)
}

// Open opens all that a daemon works with, and last resumes the runs that had not ended. Opening,
// and the daemon's own requests, end with soft; calls under way end with hard. What was opened
// before an error is closed again.
func Open(soft, hard context.Context, o Options) (*Daemon, error) {
	kind, err := engineOf(o.Project, o.Settings, o.Restored)
	if err != nil {
		return nil, err
	}
	d := &Daemon{
		opts: o, project: o.Project, config: o.Settings, log: o.Log, view: server.View{Numbers: o.Settings.ShowPhoneNumbers},
		engine: kind, flows: &flowSet{root: o.Project.Root}, accountChanged: make(chan struct{}, 1), hostReady: make(chan struct{}),
	}
	d.flows.set(o.Flows)
	stores, host := func() error { return d.openStores(soft) }, func() error { return d.openHost(soft, hard) }
	steps := []func() error{
		stores, d.openTCP, d.openActions, func() error { return d.checkConnections(soft) }, d.openSocket, host,
	}
	if o.Embedded {
		steps = []func() error{stores, d.openActions, host}
	}
	for _, open := range steps {
		if err := open(); err != nil {
			d.Close()
			return nil, err
		}
	}
	return d, nil
}

// Close closes what was opened, the last first, once Run or Stop has returned.
func (d *Daemon) Close() {
	for _, end := range slices.Backward(d.closers) {
		end()
	}
}

// addCloser has Close call end, and log its error.
func (d *Daemon) addCloser(what string, end func() error) {
	d.closers = append(d.closers, func() {
		if err := end(); err != nil {
			d.log.Error("closing failed", "what", what, "error", err)
		}
	})
}

// Host returns the host of the runs.
func (d *Daemon) Host() host.Host { return d.host }

// Flows returns the current flows; none of them has mistakes.
func (d *Daemon) Flows() server.Flows { return d.flows }

// SetFlows replaces the current flows. Runs that have started keep theirs.
func (d *Daemon) SetFlows(flows *project.Flows) { d.flows.set(flows) }

// openStores first locks the data folder, which no second daemon may use.
func (d *Daemon) openStores(ctx context.Context) (err error) {
	if d.dir, err = d.project.DataFolder(); err != nil {
		return err
	}
	if err := d.engine.lock(d); err != nil {
		return d.inUse(err)
	}
	if d.vault, err = d.project.DaemonVault(); err != nil {
		return err
	}
	d.addCloser("vault", d.vault.Close)
	if d.ledger, err = d.project.OpenLedger(ctx, d.vault); err != nil {
		return err
	}
	d.addCloser("ledger", d.ledger.Close)
	if d.keys, err = server.OpenKeys(d.project.KeysFile()); err != nil {
		return project.SystemError(err, "")
	}
	return nil
}

// inUse is the error that another daemon uses the data folder.
func (d *Daemon) inUse(err error) error {
	if !errors.Is(err, sqlitefile.ErrInUse) {
		return project.SystemError(err, "")
	}
	who := "another daemon"
	if e, ok := Find(d.dir); ok {
		who = fmt.Sprintf("the daemon with the process id %d, at %s,", e.PID, e.URL)
	}
	return project.SystemError(fmt.Errorf("%s is already using the data folder %s", who, project.RelPath(d.dir)), "stop it first, or give this daemon another folder with data: in "+project.FileName)
}

// openActions wires the actions to the network and to what the ledger knows.
func (d *Daemon) openActions() (err error) {
	known := ledger.Wire(d.ledger, whatsapp.Options{Templates: d.templates, Rate: d.project.Rate, Recipients: d.project.Recipients}, d.receive)
	known.Once = d.claim
	told := known.OnAnswer
	known.OnAnswer = func(ctx context.Context, a whatsapp.Answer) {
		if a.MessageID != "" {
			d.silence.Sent(a.Sender, a.MessageID, time.Now())
		}
		told(ctx, a)
	}
	d.actions, err = project.NewCatalog(d.vault, nil, d.project.Policy(), known)
	if err != nil {
		return err
	}
	d.actions.Panicked = d.panicked
	return nil
}

// templates returns the templates that the current flows were checked with.
func (d *Daemon) templates() (*templates.Set, error) {
	return d.flows.current.Load().Project.Templates.Templates()
}
