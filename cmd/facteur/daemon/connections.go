package daemon

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"facteur/flow/plan"
	"facteur/project"
	"facteur/vault"
)

// checkTimeout bounds what is asked of the vault before the daemon is ready: one that
// does not answer holds calls back, not the start.
const checkTimeout = 2 * time.Second

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
