package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/cmd/facteur/daemon"
	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/plan"
	"facteur/project"
	"facteur/server"
	"facteur/vault"

	"github.com/fsnotify/fsnotify"
	"github.com/spf13/cobra"
)

type devFlags struct {
	listen    string
	simulator string
	data      string
}

func (a *app) devCommand() *cobra.Command {
	var f devFlags
	c := &cobra.Command{
		Use:   "dev [PATH]",
		Short: "Try the flows of a project in the browser, as you write them",
		Long: `Try the flows of a project in the browser, as you write them.

The daemon and a simulator of the Cloud API run in this process: messages reach a phone on a
page, and nobody else; receipts and replies come back by webhook. A page lists the flows,
each with a form made from its inputs, and shows the steps of a run as they happen. Flows
are read again whenever a file is saved, and what is wrong in them is shown with its
place, here and on the page.

What http.request asks for is real, with the connections of the project's vault, and so are
schedules. A webhook trigger wants the proof of its connection, which "facteur vault set"
stores; who sends one without it is told what it lacks. Runs are kept in a temporary folder
that is removed at the end, or in that of --data; commands see them with --server and the
address of the page, as in "facteur runs list --server http://127.0.0.1:8080". The interrupt
ends it.`,
		Example: `  facteur dev
  facteur dev shop/flows/order_shipped.flow.yaml --listen 127.0.0.1:9000

  # a flow with - webhook: {path: /orders, connection: orders_hook, …}
  facteur vault set orders_hook --app WEBHOOK type=shared
  curl localhost:8080/hooks/orders -H "Authorization: Bearer SECRET" -d '{"id": "7"}'`,
		Args: atMostOne("PATH"),
		RunE: func(c *cobra.Command, args []string) error {
			path := "."
			if len(args) == 1 {
				path = args[0]
			}
			return a.dev(c.Context(), path, f)
		},
	}
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8080", "the `address` of the page and the API, on the loopback; port 0 is any")
	c.Flags().StringVar(&f.simulator, "simulator", "127.0.0.1:8700", "the `address` of the phone, on the loopback; port 0 is any")
	c.Flags().StringVar(&f.data, "data", "", "keep the runs in this `folder`")
	return c
}

// A workbench is a project that somebody works on: a daemon and a simulator, and what is
// known of the project's files.
type workbench struct {
	*app
	project *project.Project
	daemon  *daemon.Daemon
	log     *slog.Logger
	api     *simulator.Simulator
	page    door   // of the daemon, too
	phone   door   // of the simulator
	open    string // the flow that the command line named
	files   *fsnotify.Watcher
	closers []func()

	senders atomic.Pointer[map[string]string] // the connections for WhatsApp, with the numbers that the project file gives them
	hooked  bool                              // the simulator knows where webhooks go; of who watches

	mu     sync.Mutex
	state  projectState
	pages  map[chan struct{}]bool // that want to hear of news
	closed chan struct{}
}

// A door is where one of the two is asked.
type door struct {
	net.Listener
	url string
}

// A projectState is what the files say now.
type projectState struct {
	Found diag.List
	Names []string // of all flows, those that cannot be run too
}

func (a *app) dev(ctx context.Context, path string, f devFlags) error {
	for _, address := range []string{f.listen, f.simulator} {
		if !server.IsLoopback(address) {
			return wrong("choose one such as 127.0.0.1:8080; for others there is facteur serve", "%s is not on the loopback, and whoever reached it could run flows", address)
		}
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return noFile(path, project.FlowSuffix)
	} else if err != nil {
		return wrong("", "%w", err)
	}
	p, err := a.open(path)
	if err != nil {
		return err
	}
	began := time.Now()
	secrets := p.At(p.Data)                                            // of http.request and webhooks: only WhatsApp is simulated
	p.Data, p.Ledger, p.Server.KeysFile = f.data, project.Ledger{}, "" // nothing of what production shares
	if f.data == "" {
		if p.Data, err = os.MkdirTemp("", "facteur-dev-"); err != nil {
			return surroundings(fmt.Errorf("a folder for the runs: %w", err), "")
		}
		defer os.RemoveAll(p.Data)
	} else if p.Data, err = filepath.Abs(f.data); err != nil {
		return wrong("", "%w", err)
	}
	if p.Data != secrets {
		p.Secrets = secrets
	}
	soft, hard, stop := a.interrupts(ctx, a.tellInterrupt)
	defer stop()
	w := &workbench{app: a, project: p, pages: map[chan struct{}]bool{}, closed: make(chan struct{})}
	w.log = slog.New(&newsLog{w: a.stderr, told: w.news})
	if strings.HasSuffix(path, project.FlowSuffix) {
		if parsed, err := p.Parse(path); err == nil {
			w.open = parsed.Name
		}
	}
	defer w.close()
	for _, open := range []func() error{
		func() error { return w.openDoors(f) },
		func() error { return w.openDaemon(soft, hard) },
		w.openFiles,
	} {
		if err := open(); err != nil {
			return err
		}
	}
	fmt.Fprintln(a.stdout, w.page.url)
	fmt.Fprintf(a.stderr, "flows   %s/\nphone   %s/\nready in %v; it reads the flows again whenever a file of %s is saved\n",
		w.page.url, w.phone.url, time.Since(began).Round(time.Millisecond), project.Shown(p.Root))
	if names, _ := p.Index(); len(names) == 0 {
		fmt.Fprintf(a.stderr, "there are no flows here yet: save one as NAME%s, or have a project written with: facteur init DIR\n", project.FlowSuffix)
	}
	return w.work(soft, stop)
}

func (w *workbench) close() {
	for _, end := range slices.Backward(w.closers) {
		end()
	}
}

// openDoors listens at both addresses, and makes the simulator.
func (w *workbench) openDoors(f devFlags) error {
	for _, at := range []struct {
		address, flag string
		door          *door
	}{{f.listen, "--listen", &w.page}, {f.simulator, "--simulator", &w.phone}} {
		l, err := net.Listen("tcp", at.address)
		if err != nil {
			return surroundings(fmt.Errorf("listen: %w", err), "choose another address with "+at.flag+", such as 127.0.0.1:0 for any port")
		}
		w.closers = append(w.closers, func() { _ = l.Close() }) // it is closed already when all went well
		*at.door = door{l, "http://" + l.Addr().String()}
	}
	templates, err := w.project.ReadTemplates()
	if err != nil {
		return err
	}
	w.api, err = simulator.New(simulator.Options{
		Templates: templates, Numbers: w.project.SenderNumbers(), Client: &http.Client{Transport: &signpost{w, http.DefaultTransport}, Timeout: 30 * time.Second},
		Scene: simulator.Scene{App: simulator.App{Secret: testToken}},
	})
	if err != nil {
		return err
	}
	w.closers = append(w.closers, func() { _ = w.api.Close() })
	w.project.Env = w.environment
	return nil
}

// environment gives every connection for WhatsApp a test token, and the address of the
// simulator; other variables are the process's.
func (w *workbench) environment(key string) (string, bool) {
	if senders := w.senders.Load(); senders != nil {
		for name, number := range *senders {
			for field, value := range map[string]string{
				"APP": string(vault.WhatsApp), "TOKEN": testToken, "APP_SECRET": testToken, "VERIFY_TOKEN": testToken, "BASE_URL": w.phone.url,
				"SENDER_PHONE_ID": cmp.Or(number, project.ExampleSender), // the vault, which is not asked, may have one
			} {
				if key == vault.Variable(name, field) {
					return value, true
				}
			}
		}
	}
	return os.LookupEnv(key)
}

// openDaemon reads the flows, and opens a daemon that runs those without mistakes.
func (w *workbench) openDaemon(soft, hard context.Context) error {
	flows, found, err := project.LoadFlows(w.project)
	if err != nil {
		return err
	}
	w.take(flows, found)
	if err := w.tellFound(found); err != nil {
		return err
	}
	w.daemon, err = daemon.Open(soft, hard, daemon.Options{
		Project: w.project, Flows: flows, Log: w.log, Version: version(), Embedded: true, Candid: true,
		Settings: project.Server{Listen: w.page.Addr().String(), ShowPhoneNumbers: true},
		Export:   func(ctx context.Context, r *host.Report) ([]byte, error) { return exportFor(ctx, w.project.Root, r) },
	})
	if err != nil {
		return err
	}
	w.closers = append(w.closers, w.daemon.Close)
	return nil
}

// take notes what the files say now.
func (w *workbench) take(loaded *project.Flows, found diag.List) {
	senders := map[string]string{}
	for name, c := range loaded.Project.Connections {
		if vault.App(c.App) == vault.WhatsApp {
			senders[name] = c.SenderPhoneID
		}
	}
	for _, p := range loaded.Plans {
		for _, sender := range project.SendsThrough(p) {
			if _, declared := loaded.Project.Connections[sender]; !declared {
				senders[sender] = ""
			}
		}
	}
	w.senders.Store(&senders)
	names, _ := loaded.Project.Index() // it was read already
	w.mu.Lock()
	w.state = projectState{Found: found, Names: sortedNames(names)}
	w.mu.Unlock()
}

// work answers, watches and tells until ctx ends.
func (w *workbench) work(ctx context.Context, cut func()) error {
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var all sync.WaitGroup
	failed := make(chan error, 3)
	all.Go(func() { failed <- serveHTTP(work, w.page, w.handler(ctx)) })
	all.Go(func() { failed <- serveHTTP(work, w.phone, w.api) })
	all.Go(func() {
		if err := w.daemon.Schedules(ctx); err != nil {
			failed <- err
		}
	})
	all.Go(func() { w.follow(ctx) })
	w.hook(ctx) // while nobody else does
	all.Go(func() { w.watch(ctx) })
	var broken error
	select {
	case <-ctx.Done():
	case broken = <-failed:
	}
	close(w.closed)
	_ = w.daemon.Stop(ctx) // what is cut off is of a rehearsal
	cut()
	end()
	all.Wait()
	if broken != nil {
		return surroundings(broken, "")
	}
	return nil
}

// hook tells the simulator where webhooks go, once there is a connection for them.
func (w *workbench) hook(ctx context.Context) {
	names := sortedNames(*w.senders.Load())
	if w.hooked || len(names) == 0 {
		return
	}
	err := w.api.Subscribe(ctx, simulator.Webhook{URL: w.page.url + daemon.WebhookPath(names[0]), VerifyToken: testToken})
	if w.hooked = err == nil; err != nil && ctx.Err() == nil {
		w.log.Error("no webhooks will come", "error", err)
	}
}

// handler is the page, and below it the daemon.
func (w *workbench) handler(stopping context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", w.daemon.Handler(stopping))
	w.pageRoutes(mux)
	return mux
}

// plan is a flow that can be run now, or nil.
func (w *workbench) plan(name string) *plan.Plan { return w.daemon.Flows().Plan(name) }

var errNoFlow = errors.New("there is no such flow, or it has mistakes")
