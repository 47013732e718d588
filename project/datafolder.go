package project

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"facteur/flow/journal"
)

// The files of the data folder, besides those of the vault.
const (
	JournalName = "journal.db" // of the daemon
	LedgerName  = "ledger.db"  // of all processes
	KeysName    = "keys.json"  // of the API
)

// maxForeground bounds the concurrent runs in the foreground.
const maxForeground = 100

// foregroundName is the file name of the nth journal of runs in the foreground. They are not in
// the daemon's journal, because the daemon would resume those that were interrupted.
func foregroundName(n int) string {
	if n == 1 {
		return "foreground.db"
	}
	return fmt.Sprintf("foreground-%d.db", n)
}

// OpenForeground opens the first journal for runs in the foreground that no other process has
// locked, so that concurrent runs do not wait for each other.
func OpenForeground(dir string) (*journal.SQLite, error) {
	for n := 1; ; n++ {
		j, err := journal.OpenSQLite(filepath.Join(dir, foregroundName(n)))
		if n == maxForeground || !errors.Is(err, journal.ErrInUse) {
			return j, err
		}
	}
}

// KeysFile is the path of the file of API keys.
func (p *Project) KeysFile() string {
	if p.Server.KeysFile != "" {
		return p.Abs(p.Server.KeysFile)
	}
	return filepath.Join(p.Abs(p.Data), KeysName)
}

// DataFolder makes the data folder, which only its owner may read, and returns its path.
func (p *Project) DataFolder() (string, error) {
	dir := p.Abs(p.Data)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", SystemError(fmt.Errorf("the data folder: %w", err), "see data: in "+FileName)
	}
	return dir, nil
}

// Journals lists the journals of a data folder, the daemon's first.
func Journals(dir string) []string {
	names := []string{JournalName}
	for n := 1; n <= maxForeground; n++ {
		names = append(names, foregroundName(n))
	}
	return slices.DeleteFunc(names, func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err != nil
	})
}
