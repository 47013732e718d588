package main

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"os"
	"time"

	"facteur/cmd/facteur/daemon"
	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/project"
	"facteur/server"

	"github.com/spf13/cobra"
)

type serveFlags struct {
	project.Server
	restored  bool
	retention time.Duration
}

func (a *app) serveCommand() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve [PROJECT]",
		Short: "Run the daemon: durable runs, webhooks, triggers, the API",
		Long: `Run the daemon of a project: durable runs that survive a crash, webhooks, triggers, the API
under /v1 (described at /v1/openapi.yaml). PROJECT is its folder; default: this one.

Flags override FACTEUR_SERVER_…, which overrides "server:" in facteur.yaml.

Only one daemon may use a data folder. On the first interrupt (SIGINT, SIGTERM) it takes no
new work and lets calls finish, for up to 30 seconds; a second interrupt cuts them off.
SIGHUP, like "facteur reload", reads the flows and settings again: all of them if all are
valid, else none. Active runs continue with what they started with.

With --restored, runs that were active when the backup was made are held: the backup does
not contain what they have sent since then, and they would send it again. Check each run,
then release it ("facteur runs release RUN") or cancel it. Give the flag once; held runs
stay held.

The daemon starts without API keys only on a loopback address, and without the app_secret of
a WHATSAPP connection only with --insecure-webhooks, because without the secret it cannot
tell whether a webhook is Meta's.

If one machine is not enough, --engine temporal runs the same flows on a Temporal server
("temporal:" in facteur.yaml) with any number of daemons: each takes webhooks and API calls,
and any can continue the runs of another. They share the project, the encryption key
(vault.key, or vault.key_file) and a ledger in PostgreSQL ("ledger:"); each has its own data
folder. If a daemon dies, the outcome of its sends in progress is unknown after half a
minute, and webhooks settle it as usual.`,
		Example: `  facteur serve
  facteur serve shop --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem
  facteur serve --public-url https://facteur.shop.test --log-format json
  PGPASSWORD=… facteur serve --engine temporal`,
		Args: atMostOne("PROJECT"),
		RunE: func(c *cobra.Command, args []string) error { return a.serve(c.Context(), orHere(args), f) },
	}
	c.Flags().StringVar(&f.Engine, "engine", "", "the engine that carries runs: local or temporal (default local)")
	c.Flags().StringVar(&f.Listen, "listen", "", "the `address` to listen on; port 0 picks a free port (default 127.0.0.1:8080)")
	c.Flags().StringVar(&f.PublicURL, "public-url", "", "the public URL of the daemon, for webhooks")
	c.Flags().StringVar(&f.TLSCert, "tls-cert", "", "a PEM `file` with the certificate; read again when it changes")
	c.Flags().StringVar(&f.TLSKey, "tls-key", "", "a PEM `file` with the key of the certificate")
	c.Flags().BoolVar(&f.InsecureWebhooks, "insecure-webhooks", false, "accept unsigned webhooks for connections without app_secret; for development")
	c.Flags().BoolVar(&f.restored, "restored", false, "the data folder is from a backup: hold active runs until you release them")
	c.Flags().StringVar(&f.LogFormat, "log-format", "", "the format of the log: text or json (default text)")
	c.Flags().BoolVar(&f.ShowPhoneNumbers, "show-phone-numbers", false, "show full phone numbers in the log and the API")
	c.Flags().IntVar(&f.Workers, "workers", 0, "how many runs execute at the same time (default 1024)")
	c.Flags().Var((*durationFlag)(&f.retention), "retention", "how long runs are kept after their end, such as 30d (default 90d)")
	return c
}

// serve runs a daemon until it is interrupted.
func (a *app) serve(ctx context.Context, path string, f serveFlags) (err error) {
	began := time.Now()
	hangups := make(chan os.Signal, 1)
	if a.notifyHangups != nil {
		defer a.notifyHangups(hangups)()
	}
	if err := wantProject(path); err != nil {
		return err
	}
	p, err := a.open(path)
	if err != nil {
		return err
	}
	config, err := f.settings(p)
	if err != nil {
		return err
	}
	log := a.logger(config.LogFormat, server.View{Numbers: config.ShowPhoneNumbers})
	defer func() { err = logError(log, config.LogFormat, err) }()
	soft, hard, stop := a.interrupts(ctx, func(n int) {
		if n == 1 {
			log.Info("stopping: calls in progress finish; a second signal cuts them off", "for", daemon.SoftStop)
			return
		}
		log.Warn("cutting off calls in progress")
	})
	defer stop()
	if !project.HasFile(p.Root) {
		log.Warn("there is no "+project.FileName+" in this folder or above: this folder is used as the project", "folder", p.Root, "hint", "name the project with facteur serve PROJECT, or create one with facteur init DIR")
	}
	for _, s := range p.UnknownVariables(os.Environ()) {
		log.Warn("unknown environment variable", "variable", s.Name, "hint", "did you mean "+s.Known+"?")
	}
	defer daemon.Tune(soft)()
	d, err := a.openDaemon(soft, hard, daemon.Options{Project: p, Settings: config, Log: log, Began: began, Restored: f.restored, Hangups: hangups})
	switch {
	case err != nil && soft.Err() != nil: // nothing had begun
		log.Info("stopped")
		return nil
	case err != nil:
		return err
	}
	defer d.Close()
	return d.Run(soft, stop)
}

// logError logs why the daemon ends if the log is JSON: then a machine reads standard error.
func logError(log *slog.Logger, format string, err error) error {
	if err == nil || format != "json" {
		return err
	}
	e := exitOf(err)
	if e.err == nil {
		return err
	}
	text, hint := project.Explain(e.err)
	log.Error("the daemon has stopped", "error", text, "hint", hint)
	return &exitError{code: e.code}
}

// openDaemon reads the flows of a project and opens a daemon that runs them.
func (a *app) openDaemon(soft, hard context.Context, o daemon.Options) (*daemon.Daemon, error) {
	flows, found, err := project.LoadFlows(o.Project)
	if err != nil {
		return nil, err
	}
	o.Show = func(found diag.List) { a.show(found, o.Settings.LogFormat, o.Log) }
	o.Show(found)
	if found.HasErrors() {
		return nil, &exitError{code: exitUser}
	}
	o.Flows, o.Version = flows, version()
	o.Export = func(ctx context.Context, r *host.Report) ([]byte, error) { return exportFor(ctx, o.Project.Root, r) }
	return daemon.Open(soft, hard, o)
}

// show prints diagnostics: with snippets for people, else as log lines.
func (a *app) show(found diag.List, format string, log *slog.Logger) {
	if format == "text" {
		_ = a.diagnose(found)
		return
	}
	for _, f := range found {
		level := slog.LevelWarn
		if f.Severity == diag.Error {
			level = slog.LevelError
		}
		about := []any{"at", f.Range.Position(), "severity", f.Severity.String(), "code", f.Code, "message", f.Message}
		if f.Hint != "" {
			about = append(about, "hint", f.Hint)
		}
		log.Log(context.Background(), level, "diagnostic", about...)
	}
}

// defaultRetention is how long runs are kept.
const defaultRetention = 90 * 24 * time.Hour

// settings are those of the flags, else of the environment and the project file, else the defaults.
func (f serveFlags) settings(p *project.Project) (project.Server, error) {
	s := p.Server
	for _, o := range []struct{ flag, file *string }{
		{&f.Engine, &s.Engine}, {&f.Listen, &s.Listen}, {&f.PublicURL, &s.PublicURL}, {&f.LogFormat, &s.LogFormat},
	} {
		*o.file = cmp.Or(*o.flag, *o.file)
	}
	s.TLSCert, s.TLSKey = cmp.Or(f.TLSCert, p.Abs(s.TLSCert)), cmp.Or(f.TLSKey, p.Abs(s.TLSKey))
	s.InsecureWebhooks = s.InsecureWebhooks || f.InsecureWebhooks
	s.ShowPhoneNumbers = s.ShowPhoneNumbers || f.ShowPhoneNumbers
	s.Workers = cmp.Or(f.Workers, s.Workers)
	s.Listen = cmp.Or(s.Listen, "127.0.0.1:8080")
	s.LogFormat = cmp.Or(s.LogFormat, "text")
	s.Engine = cmp.Or(s.Engine, project.EngineLocal)
	s.Retention = cmp.Or(f.retention, s.Retention, defaultRetention)
	return s, checkServer(s)
}

// checkServer checks the settings of a daemon.
func checkServer(s project.Server) error {
	switch {
	case s.LogFormat != "text" && s.LogFormat != "json":
		return project.UserError("", "the log format must be text or json, not %q", s.LogFormat)
	case s.Engine != project.EngineLocal && s.Engine != project.EngineTemporal:
		return project.UserError("", "--engine: it must be local or temporal, not %q", s.Engine)
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return project.UserError("give both --tls-cert and --tls-key", "a certificate needs its key, and a key its certificate")
	case s.Workers < 0:
		return project.UserError("", "--workers: %d is not a possible number of runs", s.Workers)
	case s.Retention < time.Hour:
		return project.UserError("write it as 24h or 30d", "--retention: it must be at least one hour")
	}
	if _, _, err := net.SplitHostPort(s.Listen); err != nil {
		return project.UserError("write it as 127.0.0.1:8080", "--listen: %q is not an address and a port", s.Listen)
	}
	if s.PublicURL != "" {
		return checkPublicURL(s.PublicURL)
	}
	return nil
}

// logger writes log lines to standard error.
func (a *app) logger(format string, view server.View) *slog.Logger {
	var lines slog.Handler = slog.NewTextHandler(a.stderr, nil)
	if format == "json" {
		lines = slog.NewJSONHandler(a.stderr, nil)
	}
	return slog.New(view.Handler(lines))
}
