package project

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"facteur/actions/whatsapp/ledger"
	"facteur/vault"
)

// OpenLedger opens the project's ledger: in a database that several daemons share, or in
// the data folder.
func (p *Project) OpenLedger(ctx context.Context, v *vault.Vault) (ledger.Ledger, error) {
	o := ledger.Options{Seal: v.Seal, Open: v.Open}
	var l ledger.Ledger
	var err error
	if address := p.Ledger.Postgres; address != "" {
		l, err = ledger.OpenPostgres(ctx, address, o)
	} else {
		l, err = ledger.OpenSQLite(filepath.Join(p.Abs(p.Data), LedgerName), o)
	}
	if _, other := errors.AsType[*ledger.KeyError](err); other {
		return nil, SystemError(err, "all daemons must have the same key: copy that of one that works, or name a shared one with key_file under vault: in "+FileName)
	}
	if err != nil {
		return nil, SystemError(err, "")
	}
	return l, nil
}

// HasLedger reports whether there is a ledger yet.
func (p *Project) HasLedger() bool {
	if p.Ledger.Postgres != "" {
		return true
	}
	_, err := os.Stat(filepath.Join(p.Abs(p.Data), LedgerName))
	return err == nil
}

// check refuses a password in the project file.
func (f Ledger) check() error {
	u, err := url.Parse(f.Postgres)
	hasPassword := strings.Contains(f.Postgres, "password=")
	if err == nil && u.User != nil {
		_, named := u.User.Password()
		hasPassword = hasPassword || named
	}
	if hasPassword {
		return UserError("remove it, and set PGPASSWORD or use a passfile", "ledger.postgres in %s contains a password", FileName)
	}
	return nil
}
