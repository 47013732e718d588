// Package daemon is a project at work: what it stores, the host that carries its runs, and what
// reaches these from outside. "facteur serve" opens one and runs it; package dev embeds one in a
// process that listens itself.
//
// Open takes the data folder first, which no second daemon may have, and what is stored; then
// the address, so that nothing begins where it is in use; then the actions and the connections
// that they use; then the socket for commands on this machine; last the host, which goes on at
// once with the runs that had not ended. Run answers and works until it is told to stop, and
// lets what is under way finish. Close closes all in the reverse order.
//
// People are told by the log, and by Options.Show of mistakes in flows that are read again;
// systemd of when it is ready, when it reads its flows again and when it stops; commands on the
// same machine of where it is, by a Doorplate in the data folder. An error that ends it is a
// project.Error where it is known how to mend it.
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

// A Daemon is a project at work: what it stores, the host that carries its runs, and what
// reaches them from outside.
type Daemon struct {
	opts    Options
	project *project.Project
	config  project.Server
	dir     string // the data folder
	log     *slog.Logger
	view    server.View

	engine  engine
	vault   *vault.Vault
	ledger  ledger.Ledger
	keys    *server.Keys
	flows   *flowSet
	actions *actions.Set
	metrics *server.Metrics
	starter *trigger.Starter
	silence inbound.Silence
	looked  sync.Map      // the connections that were looked at, by name
	changed chan struct{} // Meta told of a change of the account
	host    carrier
	carries chan struct{} // closed once host is there: what it carries may ask for it before
	door    *entrance     // nil where it is embedded
	closers []func()
}

// Options are what a daemon works on, and how.
type Options struct {
	Project  *project.Project
	Settings project.Server // with defaults filled in, and checked
	Flows    *project.Flows // that it runs to begin with
	Log      *slog.Logger
	Version  string    // for the metrics
	Began    time.Time // when the process did: the log says how long it took to be ready

	// Restored says that the data folder is from a backup: what had not ended is held.
	Restored bool
	// Embedded leaves it to the caller to listen, with Handler: the daemon has no address, no
	// socket and no Doorplate, looks at no connection before it begins, and Run is not for it.
	Embedded bool
	// Candid tells those who send webhooks why they are not taken, and the log which triggers
	// started no run: for who writes flows on this machine.
	Candid bool

	// Show shows people what is wrong with flows that were read again at a hang-up.
	Show func(diag.List)
	// Hangups brings the signal that asks to read the flows again. nil: there is none.
	Hangups <-chan os.Signal
	// Export writes a run as a flow test. What is wrong with the run, or with its flow, is a
	// *host.StateError.
	Export func(ctx context.Context, r *host.Report) ([]byte, error)
}

// Open opens all that a daemon works with, and last takes up the runs that had not ended.
// Opening, and what the daemon asks of others by itself, ends with soft; calls that are under
// way end with hard. What was opened before an error is closed again.
func Open(soft, hard context.Context, o Options) (*Daemon, error) {
	kind, err := engineOf(o.Project, o.Settings, o.Restored)
	if err != nil {
		return nil, err
	}
	d := &Daemon{
		opts: o, project: o.Project, config: o.Settings, log: o.Log, view: server.View{Numbers: o.Settings.ShowPhoneNumbers},
		engine: kind, flows: &flowSet{root: o.Project.Root}, changed: make(chan struct{}, 1), carries: make(chan struct{}),
	}
	d.flows.take(o.Flows)
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

// closing closes something at the end, and logs what goes wrong then.
func (d *Daemon) closing(what string, end func() error) {
	d.closers = append(d.closers, func() {
		if err := end(); err != nil {
			d.log.Error("closing failed", "what", what, "error", err)
		}
	})
}

// Host is what carries the runs.
func (d *Daemon) Host() host.Host { return d.host }

// Flows are those that run now, all of them without mistakes.
func (d *Daemon) Flows() server.Flows { return d.flows }

// Take makes flows those that run now. Runs that began before go on with what they began with.
func (d *Daemon) Take(flows *project.Flows) { d.flows.take(flows) }

// openStores takes the data folder first: it is what a second daemon may not have.
func (d *Daemon) openStores(ctx context.Context) (err error) {
	if d.dir, err = d.project.DataFolder(); err != nil {
		return err
	}
	if err := d.engine.take(d); err != nil {
		return d.inUse(err)
	}
	if d.vault, err = d.project.DaemonVault(); err != nil {
		return err
	}
	d.closing("vault", d.vault.Close)
	if d.ledger, err = d.project.OpenLedger(ctx, d.vault); err != nil {
		return err
	}
	d.closing("ledger", d.ledger.Close)
	if d.keys, err = server.OpenKeys(d.project.KeysFile()); err != nil {
		return project.Surroundings(err, "")
	}
	return nil
}

// inUse says who has the data folder.
func (d *Daemon) inUse(err error) error {
	if !errors.Is(err, sqlitefile.ErrInUse) {
		return project.Surroundings(err, "")
	}
	who := "another daemon"
	if plate, ok := Find(d.dir); ok {
		who = fmt.Sprintf("the daemon with the process id %d, at %s,", plate.PID, plate.URL)
	}
	return project.Surroundings(fmt.Errorf("%s works on the data folder %s already", who, project.Shown(d.dir)), "stop it first, or give this one another folder: data: in "+project.FileName)
}

// openActions wires the actions to the network and to what the ledger knows.
func (d *Daemon) openActions() (err error) {
	known := ledger.Wire(d.ledger, whatsapp.Options{Templates: d.templates, Rate: d.project.Rate, Book: d.project.Book}, d.receive)
	known.Once = d.claim
	told := known.Told
	known.Told = func(ctx context.Context, a whatsapp.Answer) {
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

// templates are those that the flows were last read with.
func (d *Daemon) templates() (*templates.Set, error) {
	return d.flows.current.Load().Project.Templates.Look()
}
