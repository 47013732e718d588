// Package dev is a workbench for those who write the flows of a project: a daemon and a
// simulator of the Cloud API in one process, a page on which flows are run, and the project's
// files, which are read again whenever one is saved. "facteur dev" opens one.
//
// Messages only reach the phone of the simulator: every WhatsApp connection points there, with test
// tokens. Runs are stored apart from production's. Whoever reaches the addresses may run flows, so
// the caller must listen on the loopback; requests of other origins, or under names that are not
// the loopback's, are refused.
package dev

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"facteur/actions/whatsapp/simulator"
	"facteur/actions/whatsapp/simulator/livepage"
	"facteur/cmd/facteur/daemon"
	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/plan"
	"facteur/project"
	"facteur/server"

	"github.com/fsnotify/fsnotify"
)

// A Workbench is a daemon and a simulator for a project whose files are being edited.
type Workbench struct {
	opts       Options
	project    *project.Project
	daemon     *daemon.Daemon
	log        *slog.Logger
	api        *simulator.Simulator
	page       string // the address of the page, and of the daemon
	phone      string // that of the simulator
	files      *fsnotify.Watcher
	closers    []func()
	state      atomic.Pointer[projectState] // by the files
	subscribed bool                         // to the simulator's webhooks; for the goroutine of watch
	changes    livepage.Feed[struct{}]      // whenever something is logged
	stopped    chan struct{}                // closed when Run ends
}

// Options are what a workbench works on, and where it is reached.
type Options struct {
	Project *project.Project // for the workbench alone, which changes its data folder
	Data    string           // where runs are stored; "": a temporary folder, until Close
	Flow    string           // that the page shows first; "": the first that can be run
	Page    net.Listener     // of the page and the daemon's API
	Phone   net.Listener     // of the simulator
	Version string

	// Log gets the log, and the diagnostics of the flows.
	Log   io.Writer
	Color bool // of diagnostics

	// Export writes a run as a flow test: see daemon.Options.
	Export func(ctx context.Context, r *host.Report) ([]byte, error)
}

// Open reads the flows, prints their mistakes, and opens all that a workbench works with. Opening
// and background work end with soft; calls under way end with hard. What was opened before an error
// is closed again; the listeners are the caller's.
func Open(soft, hard context.Context, o Options) (*Workbench, error) {
	w := &Workbench{
		opts: o, project: o.Project, page: "http://" + o.Page.Addr().String(), phone: "http://" + o.Phone.Addr().String(),
		stopped: make(chan struct{}),
	}
	w.state.Store(&projectState{})
	w.log = slog.New(&logHandler{mu: &sync.Mutex{}, w: o.Log, notify: func() { w.changes.Publish(struct{}{}) }})
	for _, open := range []func() error{w.openData, w.openPhone, func() error { return w.openDaemon(soft, hard) }, w.openFiles} {
		if err := open(); err != nil {
			w.Close()
			return nil, err
		}
	}
	return w, nil
}

// Close closes what was opened, the last first, once Run has returned.
func (w *Workbench) Close() {
	for _, end := range slices.Backward(w.closers) {
		end()
	}
}

// openData moves the project to a data folder of its own. Of production's it only uses the secrets,
// for http.request and webhooks: only WhatsApp is simulated.
func (w *Workbench) openData() (err error) {
	p := w.project
	secrets := p.Abs(p.Data)
	p.Data, p.Ledger, p.Server.KeysFile = w.opts.Data, project.Ledger{}, ""
	if p.Data == "" {
		if p.Data, err = os.MkdirTemp("", "facteur-dev-"); err != nil {
			return project.SystemError(fmt.Errorf("create a folder for the runs: %w", err), "")
		}
		w.closers = append(w.closers, func() { _ = os.RemoveAll(p.Data) })
	} else if p.Data, err = filepath.Abs(p.Data); err != nil {
		return project.UserError("", "%w", err)
	}
	if p.Data != secrets {
		p.Secrets = secrets
	}
	return nil
}

// openDaemon reads the flows, and opens a daemon that runs those without mistakes.
func (w *Workbench) openDaemon(soft, hard context.Context) error {
	flows, found, err := project.LoadFlows(w.project)
	if err != nil {
		return err
	}
	w.setState(flows, found)
	if err := w.printDiagnostics(found); err != nil {
		return err
	}
	w.daemon, err = daemon.Open(soft, hard, daemon.Options{
		Project: w.project, Flows: flows, Log: w.log, Version: w.opts.Version, Embedded: true, Development: true,
		Settings: project.Server{Listen: w.opts.Page.Addr().String(), ShowPhoneNumbers: true}, Export: w.opts.Export,
	})
	if err != nil {
		return err
	}
	w.closers = append(w.closers, w.daemon.Close)
	return nil
}

// printDiagnostics prints diagnostics to the log's writer.
func (w *Workbench) printDiagnostics(found diag.List) error {
	return diag.Printer{W: w.opts.Log, Color: w.opts.Color}.Print(found)
}

// Run serves, watches the files and logs what happens until soft ends; then it calls cut, which
// ends both contexts that the workbench was opened with. It returns why it could not go on; that
// work was cut off is no error.
func (w *Workbench) Run(soft context.Context, cut func()) error {
	work, end := context.WithCancel(context.WithoutCancel(soft))
	defer end()
	var all sync.WaitGroup
	failed := make(chan error, 3)
	all.Go(func() { failed <- serve(work, w.opts.Page, w.handler(soft)) })
	all.Go(func() { failed <- serve(work, w.opts.Phone, w.api) })
	all.Go(func() {
		if err := w.daemon.Schedules(soft); err != nil {
			failed <- err
		}
	})
	all.Go(func() { w.logPhoneEvents(soft) })
	w.subscribeWebhook(soft) // before watch, which does it too
	all.Go(func() { w.watch(soft) })
	var broken error
	select {
	case <-soft.Done():
	case broken = <-failed:
	}
	close(w.stopped)
	_ = w.daemon.Stop(soft) // nothing real is cut off
	cut()
	end()
	all.Wait()
	if broken != nil {
		return project.SystemError(broken, "")
	}
	return nil
}

// serve serves until ctx ends, and then cuts requests off. There is no write timeout: a page's
// stream of changes has no end.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	return server.Serve(ctx, l, h, server.ServeOptions{WriteTimeout: -1, Drain: 1})
}

// handler is the page, and below it the daemon.
func (w *Workbench) handler(stopping context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", w.daemon.Handler(stopping))
	w.pageRoutes(mux)
	return mux
}

// plan is a flow that can be run now, or nil.
func (w *Workbench) plan(name string) *plan.Plan { return w.daemon.Flows().Plan(name) }
