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

// sayFor is for how long a daemon that can store nothing more goes on to say why.
const sayFor = 3 * time.Second

// sick returns when the host or the ledger can store nothing more, with the reason: only
// a new start helps then. Until then, readyz and whoever asks are told. It returns nil when
// ctx ends.
func (d *Daemon) sick(ctx context.Context) error {
	for host.Sleep(ctx, time.Second) {
		if err := cmp.Or(d.engine.broken(), brokenLedger(d.ledger)); err != nil {
			host.Sleep(ctx, sayFor)
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
