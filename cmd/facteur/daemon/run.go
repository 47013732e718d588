package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"facteur/actions/whatsapp"
	"facteur/flow/host"
	"facteur/project"
	"facteur/server"
	"facteur/vault"
)

// softStop is for how long what is under way may take to finish.
const SoftStop = 30 * time.Second

// tellHeld says that runs wait for somebody since a backup was restored.
func (d *Daemon) tellHeld(ctx context.Context) {
	if _, here := d.engine.(*localEngine); !here {
		return
	}
	const most = 1000
	held, _, err := d.host.List(ctx, host.Filter{Status: host.Held, Limit: most})
	if err != nil || len(held) == 0 {
		return // what is wrong with the journal shows by itself
	}
	d.log.Warn("runs are held since a backup was restored, until each is released or cancelled", "runs", len(held), "more", len(held) == most,
		"hint", "facteur runs list --status held; see facteur runs release --help")
}

// run answers and works until soft ends, and then comes to an orderly end; cut ends what
// has not finished by then, and soft.
func (d *Daemon) Run(soft context.Context, cut func()) error {
	d.tellHeld(soft)
	work, end := context.WithCancel(context.WithoutCancel(soft)) // of what goes on while it stops
	defer end()
	var all sync.WaitGroup
	failed := make(chan error, 4)
	all.Go(func() {
		failed <- server.Serve(work, d.door.tcp, d.Handler(soft), server.ServeOptions{TLS: d.door.tls, Log: d.log, Drain: 5 * time.Second})
	})
	all.Go(func() {
		failed <- server.Serve(work, d.door.socket, d.inside(soft), server.ServeOptions{Log: d.log, Drain: 5 * time.Second})
	})
	all.Go(func() {
		if err := d.Schedules(soft); err != nil {
			failed <- err
		}
	})
	all.Go(func() {
		if err := d.sick(soft); err != nil {
			failed <- err
		}
	})
	all.Go(func() { d.upkeep(soft) })
	all.Go(func() { d.reloads(soft) })
	if d.config.PublicURL != "" {
		all.Go(func() { d.selfTest(soft) })
	}
	if len(d.flows.Plans()) == 0 {
		d.log.Warn("there are no flows", "hint", "they end in "+project.FlowSuffix+", in the folders that flows: in "+project.FileName+" names; a reload finds new ones")
	}
	if soft.Err() == nil {
		d.log.Info("ready", "url", d.door.url, "flows", len(d.flows.Plans()), "pid", os.Getpid(), "took", time.Since(d.opts.Began).Round(time.Millisecond))
		notify("READY=1")
	}

	var broken error
	select {
	case <-soft.Done():
	case broken = <-failed:
		d.log.Error("stopping: the daemon cannot go on", "error", broken)
	}
	notify("STOPPING=1")
	cutOff := d.Stop(soft)
	cut() // what did not finish in time; and whoever waits for soft
	end()
	all.Wait()
	if broken != nil {
		return project.Surroundings(broken, "")
	}
	if cutOff != nil {
		d.log.Warn("stopped: something was cut off, and is taken up by the next start", "error", cutOff)
		return nil
	}
	d.log.Info("stopped")
	return nil
}

// sayFor is for how long a daemon that can store nothing more goes on to say why.
const sayFor = 3 * time.Second

// sick returns when the host or the ledger can store nothing more, with the reason: only
// a new start helps then. Until then, readyz and whoever asks are told. It returns nil when
// ctx ends.
func (d *Daemon) sick(ctx context.Context) error {
	for pause(ctx, time.Second) {
		if err := cmp.Or(d.engine.broken(), brokenLedger(d.ledger)); err != nil {
			pause(ctx, sayFor)
			return err
		}
	}
	return nil
}

// schedules starts the flows whose time has come, until ctx ends. The error says why none
// are started any more.
func (d *Daemon) Schedules(ctx context.Context) error {
	if err := d.starter.Run(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("schedules: %w", err)
	}
	return nil
}

// stop lets what runs finish, for SoftStop at most. The error tells that something was cut off.
func (d *Daemon) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), SoftStop)
	defer cancel()
	return d.host.Stop(ctx)
}

// reloads reads the flows again whenever somebody hangs up, until ctx ends.
func (d *Daemon) reloads(ctx context.Context) {
	if d.opts.Hangups == nil {
		return
	}
	heard := make(chan os.Signal, 1)
	defer d.opts.Hangups(heard)()
	for {
		select {
		case <-ctx.Done():
			return
		case <-heard:
			d.reload(ctx)
		}
	}
}

// reload swaps the flows if all are valid, and says what is wrong otherwise.
func (d *Daemon) reload(ctx context.Context) {
	notify("RELOADING=1")
	defer notify("READY=1")
	found, err := d.flows.Reload(ctx)
	switch {
	case err != nil:
		text, hint := project.Explain(err)
		d.log.Error("reload failed; the flows stay as they were", "error", text, "hint", hint)
	case found.HasErrors():
		d.log.Error("the flows have mistakes; they stay as they were", "errors", found.CountErrors())
		d.opts.Show(found)
	default:
		d.opts.Show(found)
	}
}

// checkConnections refuses to start when nobody could tell whether a webhook is Meta's,
// and says where Meta has to send them.
func (d *Daemon) checkConnections(ctx context.Context) error {
	for _, c := range d.usable(ctx) {
		if c.App != vault.WhatsApp {
			continue
		}
		if err := d.tellWebhooks(c, d.publicURL()+WebhookPath(c.Name)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (d *Daemon) tellWebhooks(c vault.Connection, callback string) error {
	if c.Secret("app_secret").IsZero() {
		if !d.config.InsecureWebhooks {
			return project.Wrong("store it: facteur vault set "+c.Name+" app_secret (it is in the app's dashboard under Settings, Basic); or, for development, start with --insecure-webhooks",
				"the connection %s has no app_secret, so nobody could tell whether a webhook is Meta's", c.Name)
		}
		d.log.Warn("webhooks are taken unsigned: anybody who finds the address can make up messages and receipts", "connection", c.Name)
	}
	hint := "give Meta this callback URL, and the verify_token of the connection, in the app's dashboard under WhatsApp, Configuration; then: facteur webhook subscribe " + c.Name
	if c.Secret("verify_token").IsZero() {
		hint = "make up a verify token and store it: facteur vault set " + c.Name + "; then give Meta both in the app's dashboard under WhatsApp, Configuration"
	}
	d.log.Info("webhooks", "connection", c.Name, "callback", callback, "hint", hint)
	return nil
}

// selfTest asks at the public URL what Meta asks, once the daemon answers.
func (d *Daemon) selfTest(ctx context.Context) {
	for _, name := range d.flows.connections() {
		c, err := d.vault.Resolve(ctx, name)
		if err != nil || c.App != vault.WhatsApp || c.Secret("verify_token").IsZero() {
			continue
		}
		for _, f := range whatsapp.CheckCallback(ctx, nil, c, d.publicURL()+WebhookPath(name)) {
			switch {
			case f.Name != "handshake" && f.Name != "strangers" || ctx.Err() != nil:
			case f.Level == whatsapp.OK:
				d.log.Info("self-test", "connection", name, "check", f.Name, "detail", f.Detail)
			default:
				d.log.Warn("self-test: Meta cannot reach the webhooks", "connection", name, "detail", f.Detail, "cause", f.Cause, "hint", f.Cure)
			}
		}
	}
}

var errVault = errors.New("the vault cannot be used")

// checks are what the daemon needs to be ready.
func (d *Daemon) checks() []server.Check {
	return []server.Check{
		d.engine.check(),
		{Name: "ledger", Do: func(ctx context.Context) error {
			if err := brokenLedger(d.ledger); err != nil {
				return err
			}
			_, _, err := d.ledger.Message(ctx, "none")
			return err
		}},
		{Name: "vault", Do: func(ctx context.Context) error {
			for _, name := range d.flows.connections() {
				_, err := d.vault.Resolve(ctx, name)
				e, ok := errors.AsType[*vault.BackendError](err)
				if ok && e.Reason != vault.NotFound && e.Reason != vault.Denied { // these are about one connection
					return fmt.Errorf("%w: %s", errVault, e.Summary())
				}
			}
			return nil
		}},
	}
}
