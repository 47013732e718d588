package daemon

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"facteur/actions/whatsapp/account"
	"facteur/flow/plan"
	"facteur/project"
	"facteur/server"
	"facteur/vault"
)

// checkTimeout bounds what is asked of the vault before the daemon is ready: one that
// does not answer holds calls back, not the start.
const checkTimeout = 2 * time.Second

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

// usable returns the connections that can be used, of those that were not looked at
// before, and warns of the others.
func (d *Daemon) usable(ctx context.Context) []vault.Connection {
	asking, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	names := slices.DeleteFunc(d.flows.connections(), func(name string) bool {
		_, before := d.looked.LoadOrStore(name, true)
		return before
	})
	found := make([]vault.Connection, len(names))
	problems := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		resolve := d.vault.Resolve
		if d.proves(name) {
			resolve = d.proof
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
			d.log.Warn("a connection cannot be used; "+d.without(name, problems[i]),
				"connection", name, "error", text, "hint", cmp.Or(hint, "facteur vault set "+name))
		}
	}
	return good
}

// without says what comes of it that a connection cannot be used.
func (d *Daemon) without(name string, why error) string {
	if d.proves(name) {
		return "webhooks that prove themselves by it are not taken"
	}
	if e, ok := errors.AsType[*vault.BackendError](why); ok && e.Unreadable() || errors.Is(why, context.DeadlineExceeded) {
		return "calls over it are held back"
	}
	return "calls over it fail"
}

// proves tells whether webhooks prove themselves by a connection.
func (d *Daemon) proves(name string) bool {
	return slices.ContainsFunc(d.flows.Plans(), func(p *plan.Plan) bool { return project.UsedFor(p, name) == string(vault.Webhook) })
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
	if d.config.PublicURL == "" {
		hint = "Meta asks for an https address that it reaches from outside: name it as server.public_url in " + project.FileName + "; " + hint
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
		for _, f := range account.CheckCallback(ctx, nil, c, d.publicURL()+WebhookPath(name)) {
			switch {
			case f.Name == "address" || ctx.Err() != nil: // which may well be a proxy's on this machine
			case f.Level == account.OK:
				d.log.Info("self-test", "connection", name, "check", f.Name, "detail", f.Detail)
			case f.Level == account.Fail: // what is less was said already
				d.log.Warn("self-test: Meta's webhooks do not get through", "connection", name, "check", f.Name, "detail", f.Detail, "cause", f.Cause, "hint", f.Cure)
			}
		}
	}
}

// inspect asks Meta how the connections are, and logs what will go wrong: a token that
// ends, a number that people report.
func (d *Daemon) inspect(ctx context.Context) {
	for _, name := range d.flows.connections() {
		c, err := d.vault.Resolve(ctx, name)
		if err != nil || c.App != vault.WhatsApp {
			continue
		}
		for _, f := range account.CheckConnection(ctx, nil, c) {
			if ctx.Err() != nil {
				return
			}
			if f.Name == "quality" {
				d.metrics.Quality(c.Get("sender_phone_id"), f.Detail)
			}
			if f.Level != account.OK && f.Detail != "not checked" {
				d.log.Warn("connection", "connection", name, "check", f.Name, "detail", f.Detail, "cause", f.Cause, "hint", f.Cure)
			}
		}
	}
}

// ready tells whether a connection can be used, and which version of its secrets there is.
func (d *Daemon) ready(ctx context.Context, connection string) (version string, err error) {
	c, err := d.vault.Resolve(ctx, connection)
	if e, ok := errors.AsType[*vault.BackendError](err); err != nil && ctx.Err() == nil && !(ok && e.Unreadable()) {
		return "", nil // the vault can be read: calls are not held for what it says
	}
	return c.Version, err
}

// sender returns the number that a connection sends from, "" when that is not known.
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

// Connections is a vault's list as JSON has it.
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
