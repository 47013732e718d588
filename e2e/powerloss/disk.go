package powerloss

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// sector is the unit that a disk writes atomically, in bytes.
const sector = 512

// A Disk is a folder of databases at some time, and the system calls that changed it since.
type Disk struct {
	Before   string // a copy of the folder
	Folder   string // the folder in the paths of Syscalls
	Syscalls []Syscall
}

// WriteCounts counts the writes before a power loss by how much of them survived: synced,
// complete without a sync, some sectors, nothing.
type WriteCounts struct{ Synced, Unsynced, Torn, Lost int }

// RestoreAt writes the folder as it may be after a power loss at cutoff: synced writes are
// complete; of each other write, rng keeps all, some sectors or nothing.
func (d *Disk) RestoreAt(cutoff time.Time, rng *rand.Rand, folder string) (f WriteCounts, err error) {
	if err := Copy(folder, d.Before); err != nil {
		return f, err
	}
	files := map[string]*os.File{}
	defer func() {
		for _, file := range files {
			file.Close()
		}
	}()
	synced := d.synced(cutoff)
	for i, c := range d.Syscalls {
		if !c.Began.Before(cutoff) || c.Op == Sync || filepath.Dir(c.Path) != d.Folder || !persistent(c.Path) {
			continue
		}
		file := files[c.Path]
		if file == nil {
			if file, err = os.OpenFile(filepath.Join(folder, filepath.Base(c.Path)), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
				return f, err
			}
			files[c.Path] = file
		}
		switch {
		case synced[i]:
			f.Synced++
			err = c.apply(file)
		case rng.IntN(2) == 0:
			f.Lost++
		case c.Op == Write && rng.IntN(2) == 0:
			f.Torn++
			err = c.applyTorn(file, rng)
		default:
			f.Unsynced++
			err = c.apply(file)
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

// persistent tells whether a file matters after a restart. SQLite's -shm file, the index of
// the write-ahead log, is memory and does not.
func persistent(path string) bool {
	return filepath.Ext(path) == ".db" || filepath.Ext(path) == ".db-wal"
}

// synced tells which calls are surely on the disk: those that ended before the start of a sync
// of their file that itself ended before cutoff.
func (d *Disk) synced(cutoff time.Time) []bool {
	sure := make([]bool, len(d.Syscalls))
	latest := map[string]time.Time{} // the start of each file's last such sync
	for i := len(d.Syscalls) - 1; i >= 0; i-- {
		c := d.Syscalls[i]
		if c.Op != Sync {
			sure[i] = c.Ended.Before(latest[c.Path])
			continue
		}
		if c.Ended.Before(cutoff) && c.Began.After(latest[c.Path]) {
			latest[c.Path] = c.Began
		}
	}
	return sure
}

func (c *Syscall) apply(f *os.File) error {
	if c.Op == Truncate {
		return f.Truncate(c.Offset)
	}
	_, err := f.WriteAt(c.Data, c.Offset)
	return err
}

func (c *Syscall) applyTorn(f *os.File, rng *rand.Rand) error {
	for at := 0; at < len(c.Data); at += sector {
		if rng.IntN(2) == 0 {
			continue
		}
		if _, err := f.WriteAt(c.Data[at:min(at+sector, len(c.Data))], c.Offset+int64(at)); err != nil {
			return err
		}
	}
	return nil
}

// Copy copies the files of a folder, not its subfolders, readable by the user alone.
func Copy(to, from string) error {
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, f.Name()), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
