// Package daemon is a project at work, as "facteur serve" runs it: what it stores, the host
// that carries its runs, and what reaches these from outside.
//
// Open takes the data folder first, which no second daemon may have, and what is stored; then
// the address, so that nothing begins where it is taken; then the actions, and the connections
// that they use; last the host, which goes on at once with the runs that had not ended. Run
// answers and works until it is told to stop, lets what is under way finish, and Close closes
// all in the reverse order.
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
	"sync"
	"time"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/ledger"
	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/plan"
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
	silence whatsapp.Silence
	looked  sync.Map      // the connections that were looked at, by name
	changed chan struct{} // Meta told of a change of the account
	host    carrier
	door    *entrance // nil where it is embedded
	closers []func()
}

// Options are what a daemon works on, and how.
type Options struct {
	Project  *project.Project
	Settings project.Server // all of them are given
	Flows    *project.Flows // that it runs to begin with
	Log      *slog.Logger
	Version  string
	Began    time.Time // when the process did, for the log

	// Restored says that the data folder is from a backup: what had not ended is held.
	Restored bool
	// Embedded leaves it to the caller to listen: the daemon has no address and no socket,
	// and looks at no connection before it begins. It is not for Run.
	Embedded bool
	// Candid tells those who send webhooks why they are not taken, and logs what starts no
	// run: for who writes flows on this machine.
	Candid bool

	// Show shows people what is wrong with flows that are read again.
	Show func(diag.List)
	// Hangups makes a channel hear of the signal that asks to read the flows again. nil:
	// there is none.
	Hangups func(chan<- os.Signal) (forget func())
	// Export writes a run as a flow test. What is wrong with the run, or its flow, is a
	// *host.StateError.
	Export func(ctx context.Context, r *host.Report) ([]byte, error)
}

// Open opens all that a daemon works with, each part with what was opened before it, and
// takes up the runs that had not ended at last. What goes on in it ends when soft does, calls
// that are under way when hard does.
func Open(soft, hard context.Context, o Options) (*Daemon, error) {
	kind, err := engineOf(o.Project, o.Settings, o.Restored)
	if err != nil {
		return nil, err
	}
	d := &Daemon{
		opts: o, project: o.Project, config: o.Settings, log: o.Log, view: server.View{Numbers: o.Settings.ShowPhoneNumbers},
		engine: kind, flows: &flowSet{root: o.Project.Root}, changed: make(chan struct{}, 1),
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

// Close closes what was opened, the last first. Runs are to have stopped.
func (d *Daemon) Close() {
	for i := len(d.closers) - 1; i >= 0; i-- {
		d.closers[i]()
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

// Host carries the runs.
func (d *Daemon) Host() host.Host { return d.host }

// Flows are those that run now.
func (d *Daemon) Flows() server.Flows { return d.flows }

// Take swaps the flows: runs that began before go on with what they began with.
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
func (d *Daemon) templates() (*whatsapp.Templates, error) {
	return d.flows.current.Load().Project.Templates.Look()
}

func (d *Daemon) openHost(ctx, hard context.Context) (err error) {
	d.metrics = server.NewMetrics(server.MetricsOptions{Version: d.opts.Version})
	d.starter = trigger.New(nil, trigger.Options{Log: d.log, Count: func(flow, kind string, v trigger.Verdict) {
		d.metrics.Trigger(flow, kind, string(v))
		if d.opts.Candid && v == trigger.Repeated {
			d.log.Info("a trigger started no run: there is one of the same dedupe, or of the same event", "flow", flow, "trigger", kind)
		}
	}})
	d.flows.swapped = func(plans []*plan.Plan) {
		d.starter.Set(plans)
		d.log.Info("reloaded", "flows", len(plans))
		d.usable(ctx)
	}
	d.starter.Set(d.flows.Plans())
	steps, runs := d.view.StepLog(d.log), server.RunLog(d.log)
	d.host, err = d.engine.open(ctx, d, work{
		do: d.metrics.Do(host.Finishing(hard, d.actions.Do)), hard: hard,
		onStep: func(run string, s *machine.Step, sensitive []any) {
			steps(run, s, sensitive)
			d.metrics.Step(run, s, sensitive)
		},
		onEnd: func(r *host.Result) {
			d.metrics.RunEnded(r.Flow, r.Status)
			runs(r)
		},
	})
	if err != nil {
		return err
	}
	d.starter.Notes = d.engine.notes()
	d.starter.Serve(d.host)
	return d.metrics.Watch(d.host)
}

// receive takes a receipt that came before it was known whose it is.
func (d *Daemon) receive(r call.Receipt) {
	if err := d.host.Receive(context.Background(), r); err != nil {
		d.log.Error("a receipt could not be stored; it is in the ledger", "call", r.Key, "error", err)
	}
}

func (d *Daemon) panicked(c call.Call, _ any, stack []byte) {
	d.log.Error("a fault of the program; please report it", "run", c.Run, "step", c.Step, "action", c.Action, "stack", string(stack))
}

func (d *Daemon) restore(name string, sources map[string]string) (*plan.Plan, error) {
	p, err := d.flows.current.Load().Restore(name, sources)
	if err == nil {
		d.starter.Keep(p) // what its runs wait for goes on to reach them
	}
	return p, err
}

// ready tells whether a connection can be used, and which version of its secrets there is.
func (d *Daemon) ready(ctx context.Context, connection string) (version string, err error) {
	c, err := d.vault.Resolve(ctx, connection)
	if e, ok := errors.AsType[*vault.BackendError](err); err != nil && ctx.Err() == nil && !(ok && e.Unreadable()) {
		return "", nil // the vault can be read: calls are not held for what it says
	}
	return c.Version, err
}

func (d *Daemon) held(h host.Hold, lifted bool) {
	attrs := []any{"scope", string(h.Scope), "name", h.Name, "reason", d.view.Hold(h).Reason}
	if lifted {
		d.log.Info("calls go on", attrs...)
		return
	}
	d.log.Warn("calls are held back", attrs...)
}
