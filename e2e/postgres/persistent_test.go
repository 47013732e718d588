package postgres_test

import (
	"context"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"
	"facteur/flow/call"
)

// Persistent tries again what the server may do later.
type persistent struct{ *ledger.Postgres }

func (p persistent) Apply(ctx context.Context, told ...inbound.Notification) (news []ledger.Update, err error) {
	err = persist(func() error { news, err = p.Postgres.Apply(ctx, told...); return err })
	return news, err
}

func (p persistent) Claim(ctx context.Context, c whatsapp.Claim) (repeats string, err error) {
	err = persist(func() error { repeats, err = p.Postgres.Claim(ctx, c); return err })
	return repeats, err
}

func (p persistent) RecordAnswer(ctx context.Context, a whatsapp.Answer) (receipts []call.Receipt, err error) {
	err = persist(func() error { receipts, err = p.Postgres.RecordAnswer(ctx, a); return err })
	return receipts, err
}

func (p persistent) Message(ctx context.Context, id string) (m ledger.Message, ok bool, err error) {
	err = persist(func() error { m, ok, err = p.Postgres.Message(ctx, id); return err })
	return m, ok, err
}

func (p persistent) Receipts(ctx context.Context, since time.Time, calls ...string) (found []call.Receipt, err error) {
	err = persist(func() error { found, err = p.Postgres.Receipts(ctx, since, calls...); return err })
	return found, err
}

func (p persistent) Inbound(ctx context.Context, sender, contact string, since time.Time) (found []inbound.Notification, err error) {
	err = persist(func() error { found, err = p.Postgres.Inbound(ctx, sender, contact, since); return err })
	return found, err
}

func (p persistent) Contact(ctx context.Context, id string) (names []string, err error) {
	err = persist(func() error { names, err = p.Postgres.Contact(ctx, id); return err })
	return names, err
}

func (p persistent) Window(ctx context.Context, sender, contact string) (w ledger.Window, err error) {
	err = persist(func() error { w, err = p.Postgres.Window(ctx, sender, contact); return err })
	return w, err
}

func (p persistent) OptedOut(ctx context.Context, sender, contact string) (out bool, err error) {
	err = persist(func() error { out, err = p.Postgres.OptedOut(ctx, sender, contact); return err })
	return out, err
}

// persist tries again what the server may do later.
func persist(do func() error) error {
	for ; ; time.Sleep(5 * time.Millisecond) {
		err := do()
		if e, ok := err.(*ledger.ServerError); !ok || !e.Temporary() {
			return err
		}
	}
}
