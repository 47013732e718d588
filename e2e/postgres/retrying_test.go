package postgres_test

import (
	"context"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"
	"facteur/flow/call"
)

// A retrying ledger retries temporary errors of the server.
type retrying struct{ *ledger.Postgres }

func (p retrying) Apply(ctx context.Context, told ...inbound.Notification) (news []ledger.Update, err error) {
	err = retry(func() error { news, err = p.Postgres.Apply(ctx, told...); return err })
	return news, err
}

func (p retrying) Claim(ctx context.Context, c whatsapp.Claim) (repeats string, err error) {
	err = retry(func() error { repeats, err = p.Postgres.Claim(ctx, c); return err })
	return repeats, err
}

func (p retrying) RecordAnswer(ctx context.Context, a whatsapp.Answer) (receipts []call.Receipt, err error) {
	err = retry(func() error { receipts, err = p.Postgres.RecordAnswer(ctx, a); return err })
	return receipts, err
}

func (p retrying) Message(ctx context.Context, id string) (m ledger.Message, ok bool, err error) {
	err = retry(func() error { m, ok, err = p.Postgres.Message(ctx, id); return err })
	return m, ok, err
}

func (p retrying) Receipts(ctx context.Context, since time.Time, calls ...string) (found []call.Receipt, err error) {
	err = retry(func() error { found, err = p.Postgres.Receipts(ctx, since, calls...); return err })
	return found, err
}

func (p retrying) Inbound(ctx context.Context, sender, contact string, since time.Time) (found []inbound.Notification, err error) {
	err = retry(func() error { found, err = p.Postgres.Inbound(ctx, sender, contact, since); return err })
	return found, err
}

func (p retrying) Contact(ctx context.Context, id string) (names []string, err error) {
	err = retry(func() error { names, err = p.Postgres.Contact(ctx, id); return err })
	return names, err
}

func (p retrying) Window(ctx context.Context, sender, contact string) (w ledger.Window, err error) {
	err = retry(func() error { w, err = p.Postgres.Window(ctx, sender, contact); return err })
	return w, err
}

func (p retrying) OptedOut(ctx context.Context, sender, contact string) (out bool, err error) {
	err = retry(func() error { out, err = p.Postgres.OptedOut(ctx, sender, contact); return err })
	return out, err
}

// retry retries temporary errors of the server.
func retry(do func() error) error {
	for ; ; time.Sleep(5 * time.Millisecond) {
		err := do()
		if e, ok := err.(*ledger.ServerError); !ok || !e.Temporary() {
			return err
		}
	}
}
