package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"facteur/flow/journal"
)

// The files of the data folder, besides those of the vault.
const (
	journalName = "journal.db" // of the daemon
	ledgerName  = "ledger.db"  // of all processes
)

// mostForeground is how many runs in the foreground there may be at the same time.
const mostForeground = 100

// foregroundName is the nth journal of runs in the foreground. They are not the daemon's:
// it would carry on with those that were interrupted.
func foregroundName(n int) string {
	if n == 1 {
		return "foreground.db"
	}
	return fmt.Sprintf("foreground-%d.db", n)
}

// openForeground opens the first journal of a data folder for runs in the foreground
// that no other process writes, so that runs beside each other do not wait for one
// another.
func openForeground(dir string) (*journal.SQLite, error) {
	for n := 1; ; n++ {
		j, err := journal.OpenSQLite(filepath.Join(dir, foregroundName(n)))
		if n == mostForeground || !errors.Is(err, journal.ErrInUse) {
			return j, err
		}
	}
}
