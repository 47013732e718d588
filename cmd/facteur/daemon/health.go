package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"facteur/actions/whatsapp/ledger"
	"facteur/flow/host"
	"facteur/server"
	"facteur/vault"
)

var errVault = errors.New("the vault cannot be used")

// checks returns the readiness checks.
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

// brokenGrace is how long a daemon that can store nothing more goes on answering why.
const brokenGrace = 3 * time.Second

// waitBroken returns the reason when the host or the ledger can store nothing more and only a
// restart helps; for brokenGrace before, /readyz and other requests are answered with it. It
// returns nil when ctx ends.
func (d *Daemon) waitBroken(ctx context.Context) error {
	for host.Sleep(ctx, time.Second) {
		if err := cmp.Or(d.engine.broken(), brokenLedger(d.ledger)); err != nil {
			host.Sleep(ctx, brokenGrace)
			return err
		}
	}
	return nil
}

// brokenLedger returns why a ledger can store nothing more in this process; nil: it can.
func brokenLedger(l ledger.Ledger) error {
	if file, ok := l.(*ledger.SQLite); ok {
		return file.Healthy()
	}
	return nil
}
