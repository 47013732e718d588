package daemon

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"facteur/actions/whatsapp/account"
	"facteur/flow/plan"
	"facteur/project"
	"facteur/server"
	"facteur/vault"
)

// checkTimeout bounds the reads of the vault before the daemon is ready: a vault that does not
// answer delays calls, not the start.
const checkTimeout = 2 * time.Second

// checkConnections refuses to start if Meta's webhooks could not be verified, and logs the
// callback URLs.
func (d *Daemon) checkConnections(ctx context.Context) error {
	for _, c := range d.resolveUnchecked(ctx) {
		if c.App != vault.WhatsApp {
			continue
		}
		if err := d.logCallback(c, d.publicURL()+WebhookPath(c.Name)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// resolveUnchecked resolves the connections that it has not resolved before, warns of those that
// cannot be used, and returns the others.
func (d *Daemon) resolveUnchecked(ctx context.Context) []vault.Connection {
	asking, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	names := slices.DeleteFunc(d.flows.connections(), func(name string) bool {
		_, before := d.checked.LoadOrStore(name, true)
		return before
	})
	found := make([]vault.Connection, len(names))
	problems := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		resolve := d.vault.Resolve
		if d.verifiesWebhooks(name) {
			resolve = d.resolveWebhook
		}
		all.Go(func() { found[i], problems[i] = resolve(asking, name) })
	}
	all.Wait()
	var good []vault.Connection
	for i, name := range names {
		switch {
		case problems[i] == nil:
			good = append(good, found[i])
		case ctx.Err() == nil:
			text, hint := project.Explain(problems[i])
			d.log.Warn("a connection cannot be used; "+d.consequence(name, problems[i]),
				"connection", name, "error", text, "hint", cmp.Or(hint, "facteur vault set "+name))
		}
	}
	return good
}

// consequence says what happens because a connection cannot be used.
func (d *Daemon) consequence(name string, why error) string {
	if d.verifiesWebhooks(name) {
		return "webhooks verified with it are refused"
	}
	if e, ok := errors.AsType[*vault.BackendError](why); ok && e.Unreadable() || errors.Is(why, context.DeadlineExceeded) {
		return "calls through it are held back"
	}
	return "calls through it fail"
}

// verifiesWebhooks reports whether webhooks of triggers are verified with a connection.
func (d *Daemon) verifiesWebhooks(name string) bool {
	return slices.ContainsFunc(d.flows.Plans(), func(p *plan.Plan) bool { return project.AppUsed(p, name) == string(vault.Webhook) })
}

func (d *Daemon) logCallback(c vault.Connection, callback string) error {
	if c.Secret("app_secret").IsZero() {
		if !d.config.InsecureWebhooks {
			return project.UserError("store it: facteur vault set "+c.Name+" app_secret (it is in the app's dashboard under Settings, Basic); for development only, start with --insecure-webhooks",
				"the connection %s has no app_secret, so it is impossible to tell whether a webhook comes from Meta", c.Name)
		}
		d.log.Warn("unsigned webhooks are accepted: anybody who finds the address can forge messages and receipts", "connection", c.Name)
	}
	hint := "enter this callback URL and the connection's verify_token in the app's dashboard at Meta (WhatsApp, Configuration); then run facteur webhook subscribe " + c.Name
	if c.Secret("verify_token").IsZero() {
		hint = "choose a verify token and store it with facteur vault set " + c.Name + "; then enter both in the app's dashboard at Meta (WhatsApp, Configuration)"
	}
	if d.config.PublicURL == "" {
		hint = "Meta needs an https address that it can reach from outside: set it as server.public_url in " + project.FileName + "; " + hint
	}
	d.log.Info("webhooks", "connection", c.Name, "callback", callback, "hint", hint)
	return nil
}

// selfTest makes Meta's verification request to the public URL of each connection.
func (d *Daemon) selfTest(ctx context.Context) {
	for c := range d.whatsappConnections(ctx) {
		if c.Secret("verify_token").IsZero() {
			continue
		}
		for _, f := range account.CheckCallback(ctx, nil, c, d.publicURL()+WebhookPath(c.Name)) {
			switch {
			case f.Name == "address" || ctx.Err() != nil: // which may well be a proxy's on this machine
			case f.Level == account.OK:
				d.log.Info("self-test", "connection", c.Name, "check", f.Name, "detail", f.Detail)
			case f.Level == account.Fail: // lesser ones were logged already
				d.log.Warn("self-test: Meta's webhooks do not reach this daemon", "connection", c.Name, "check", f.Name, "detail", f.Detail, "cause", f.Cause, "hint", f.Cure)
			}
		}
	}
}

// checkAccounts checks the connections at Meta, and logs what is about to go wrong: a token that
// expires, a number with a low quality rating.
func (d *Daemon) checkAccounts(ctx context.Context) {
	for c := range d.whatsappConnections(ctx) {
		for _, f := range account.CheckConnection(ctx, nil, c) {
			if ctx.Err() != nil {
				return
			}
			if f.Name == "quality" {
				d.metrics.Quality(c.Get("sender_phone_id"), f.Detail)
			}
			if f.Level != account.OK && f.Detail != "not checked" {
				d.log.Warn("connection", "connection", c.Name, "check", f.Name, "detail", f.Detail, "cause", f.Cause, "hint", f.Cure)
			}
		}
	}
}

// whatsappConnections yields the WhatsApp connections that can be used.
func (d *Daemon) whatsappConnections(ctx context.Context) iter.Seq[vault.Connection] {
	return func(yield func(vault.Connection) bool) {
		for _, name := range d.flows.connections() {
			c, err := d.vault.Resolve(ctx, name)
			if err == nil && c.App == vault.WhatsApp && !yield(c) {
				return
			}
		}
	}
}

// ready returns the version of a connection's secrets, or why the vault cannot be read.
func (d *Daemon) ready(ctx context.Context, connection string) (version string, err error) {
	c, err := d.vault.Resolve(ctx, connection)
	if e, ok := errors.AsType[*vault.BackendError](err); err != nil && ctx.Err() == nil && !(ok && e.Unreadable()) {
		return "", nil // the vault can be read: calls are not held for what it says
	}
	return c.Version, err
}

// sender returns the phone number ID that a connection sends from, "" if it is not known.
func (d *Daemon) sender(ctx context.Context, connection string) string {
	c, err := d.vault.Resolve(ctx, connection)
	if err != nil {
		return ""
	}
	return c.Get("sender_phone_id")
}

// connections lists the project's connections, without their secrets.
func (d *Daemon) connections(ctx context.Context) ([]server.Connection, error) {
	infos, err := d.vault.List(ctx)
	if err != nil {
		return nil, err
	}
	return Connections(infos), nil
}

// Connections turns a vault's list into the API's JSON.
func Connections(infos []vault.Info) []server.Connection {
	out := make([]server.Connection, len(infos))
	for i, info := range infos {
		out[i] = server.Connection{
			Name: info.Name, App: string(info.App), Backend: info.Backend, Ready: info.Ready, Missing: info.Missing, Hint: info.Hint,
			CreatedAt: second(info.CreatedAt), UpdatedAt: second(info.UpdatedAt), RefreshedAt: second(info.RefreshedAt),
		}
		if info.Err != nil {
			out[i].Problem = info.Err.Error()
		}
	}
	return out
}

func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
