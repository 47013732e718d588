// Package dev is a workbench for those who write the flows of a project: a daemon and a
// simulator of the Cloud API in one process, a page on which flows are run, and the project's
// files, which are read again whenever one is saved. "facteur dev" opens one.
//
// Messages reach the phone of the simulator, and nobody else: every connection for WhatsApp
// leads there, with test tokens. Runs are kept apart from those of production. Whoever reaches
// the addresses may run flows, so the caller listens on the loopback; pages of others, and names
// that are none of the loopback, are refused.
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
	"facteur/cmd/facteur/daemon"
	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/plan"
	"facteur/project"
	"facteur/server"

	"github.com/fsnotify/fsnotify"
)

// A Workbench is a project that somebody works on: a daemon and a simulator, and what is
// known of the project's files.
type Workbench struct {
	opts    Options
	project *project.Project
	daemon  *daemon.Daemon
	log     *slog.Logger
	api     *simulator.Simulator
	page    string // the address of the page, and of the daemon
	phone   string // that of the simulator
	files   *fsnotify.Watcher
	closers []func()
	said    atomic.Pointer[said] // by the files
	hooked  bool                 // the simulator knows where webhooks go; of who watches
	news    news
}

// Options are what a workbench works on, and where it is reached.
type Options struct {
	Project *project.Project // which nobody else uses: it gets a data folder of its own
	Data    string           // where runs are kept; "": in a temporary folder, until Close
	Flow    string           // that the page shows first; "": the first that can be run
	Page    net.Listener     // of the page and the daemon's API
	Phone   net.Listener     // of the simulator
	Version string

	// Log is where people read what happens, and what is wrong with the flows.
	Log   io.Writer
	Color bool // in the latter

	// Export writes a run as a flow test: see daemon.Options.
	Export func(ctx context.Context, r *host.Report) ([]byte, error)
}

// Open reads the flows, tells what is wrong with them, and opens all that a workbench works
// with. Opening, and what goes on by itself, ends with soft; calls that are under way end with
// hard. What was opened before an error is closed again; the listeners are the caller's.
func Open(soft, hard context.Context, o Options) (*Workbench, error) {
	w := &Workbench{
		opts: o, project: o.Project, page: "http://" + o.Page.Addr().String(), phone: "http://" + o.Phone.Addr().String(),
		news: news{over: make(chan struct{}), pages: map[chan struct{}]bool{}},
	}
	w.said.Store(&said{})
	w.log = slog.New(&newsLog{w: o.Log, told: w.news.tell})
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

// openData takes nothing of what production shares but the secrets of http.request and
// webhooks: only WhatsApp is simulated.
func (w *Workbench) openData() (err error) {
	p := w.project
	secrets := p.At(p.Data)
	p.Data, p.Ledger, p.Server.KeysFile = w.opts.Data, project.Ledger{}, ""
	if p.Data == "" {
		if p.Data, err = os.MkdirTemp("", "facteur-dev-"); err != nil {
			return project.Surroundings(fmt.Errorf("a folder for the runs: %w", err), "")
		}
		w.closers = append(w.closers, func() { _ = os.RemoveAll(p.Data) })
	} else if p.Data, err = filepath.Abs(p.Data); err != nil {
		return project.Wrong("", "%w", err)
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
	w.take(flows, found)
	if err := w.tellFound(found); err != nil {
		return err
	}
	w.daemon, err = daemon.Open(soft, hard, daemon.Options{
		Project: w.project, Flows: flows, Log: w.log, Version: w.opts.Version, Embedded: true, Candid: true,
		Settings: project.Server{Listen: w.opts.Page.Addr().String(), ShowPhoneNumbers: true}, Export: w.opts.Export,
	})
	if err != nil {
		return err
	}
	w.closers = append(w.closers, w.daemon.Close)
	return nil
}

// tellFound shows what is wrong, and goes on.
func (w *Workbench) tellFound(found diag.List) error {
	return diag.Printer{W: w.opts.Log, Color: w.opts.Color}.Print(found)
}

// Run answers, watches the files and tells what happens, until soft ends; then it calls cut,
// which ends both contexts that the workbench was opened with. An error is why it could not go
// on; that something was cut off is none.
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
	all.Go(func() { w.follow(soft) })
	w.hook(soft) // while nobody else does
	all.Go(func() { w.watch(soft) })
	var broken error
	select {
	case <-soft.Done():
	case broken = <-failed:
	}
	close(w.news.over)
	_ = w.daemon.Stop(soft) // what is cut off is of a rehearsal
	cut()
	end()
	all.Wait()
	if broken != nil {
		return project.Surroundings(broken, "")
	}
	return nil
}

// serve answers until ctx ends, and then breaks off. Who looks at a page may hear of news for
// as long as he likes.
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
