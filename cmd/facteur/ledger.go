package main

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"facteur/actions/whatsapp/ledger"
	"facteur/vault"
)

// openLedger opens the project's ledger: in a database that several daemons share, or in
// the data folder.
func (p *project) openLedger(ctx context.Context, v *vault.Vault) (ledger.Ledger, error) {
	o := ledger.Options{Seal: v.Seal, Open: v.Open}
	var l ledger.Ledger
	var err error
	if address := p.Ledger.Postgres; address != "" {
		l, err = ledger.OpenPostgres(ctx, address, o)
	} else {
		l, err = ledger.OpenSQLite(filepath.Join(p.at(p.Data), ledgerName), o)
	}
	if err != nil {
		return nil, surroundings(err, "")
	}
	return l, nil
}

// hasLedger tells whether there is a ledger yet.
func (p *project) hasLedger() bool {
	if p.Ledger.Postgres != "" {
		return true
	}
	_, err := os.Stat(filepath.Join(p.at(p.Data), ledgerName))
	return err == nil
}

// brokenLedger returns why a ledger can store nothing more in this process; nil: it can.
func brokenLedger(l ledger.Ledger) error {
	if file, ok := l.(*ledger.SQLite); ok {
		return file.Healthy()
	}
	return nil
}

// check refuses a password in the project file.
func (f ledgerFile) check() error {
	u, err := url.Parse(f.Postgres)
	told := strings.Contains(f.Postgres, "password=")
	if err == nil && u.User != nil {
		_, named := u.User.Password()
		told = told || named
	}
	if told {
		return wrong("take it out, and give it in PGPASSWORD or in a passfile", "ledger.postgres in %s holds a password", projectName)
	}
	return nil
}
