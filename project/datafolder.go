package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"facteur/flow/journal"
)

// The files of the data folder, besides those of the vault.
const (
	JournalName = "journal.db" // of the daemon
	LedgerName  = "ledger.db"  // of all processes
	KeysName    = "keys.json"  // of the API
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

// OpenForeground opens the first journal of a data folder for runs in the foreground
// that no other process writes, so that runs beside each other do not wait for one
// another.
func OpenForeground(dir string) (*journal.SQLite, error) {
	for n := 1; ; n++ {
		j, err := journal.OpenSQLite(filepath.Join(dir, foregroundName(n)))
		if n == mostForeground || !errors.Is(err, journal.ErrInUse) {
			return j, err
		}
	}
}

// KeysFile is where the keys are.
func (p *Project) KeysFile() string {
	if p.Server.KeysFile != "" {
		return p.At(p.Server.KeysFile)
	}
	return filepath.Join(p.At(p.Data), KeysName)
}

// DataFolder makes the data folder, which its owner alone may read.
func (p *Project) DataFolder() (string, error) {
	dir := p.At(p.Data)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", Surroundings(fmt.Errorf("the data folder: %w", err), "see data: in "+FileName)
	}
	return dir, nil
}

// Journals lists the journals of a data folder, the daemon's first.
func Journals(dir string) []string {
	var names []string
	for n := 0; ; n++ {
		name := JournalName
		if n > 0 {
			name = foregroundName(n)
		}
		_, err := os.Stat(filepath.Join(dir, name))
		switch {
		case err == nil:
			names = append(names, name)
		case n > 0 && errors.Is(err, fs.ErrNotExist):
			return names
		}
		if n > mostForeground {
			return names
		}
	}
}
