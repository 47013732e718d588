package powerloss

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// sector is what a disk writes as a whole, in bytes.
const sector = 512

// A Disk is a folder of databases as it was, and what was done to it since then.
type Disk struct {
	Before string // a copy of the folder
	Folder string // the folder that Calls name
	Calls  []Call
}

// Fate counts what became of what was written before the power went.
type Fate struct{ Synced, Kept, Torn, Gone int }

// After lays the folder out anew as it may be once the power went: what was synced is there;
// of all else, luck keeps each call or loses it, or keeps some sectors of it.
func (d *Disk) After(went time.Time, luck *rand.Rand, folder string) (f Fate, err error) {
	if err := Copy(folder, d.Before); err != nil {
		return f, err
	}
	files := map[string]*os.File{}
	defer func() {
		for _, file := range files {
			file.Close()
		}
	}()
	synced := d.synced(went)
	for i, c := range d.Calls {
		if !c.Began.Before(went) || c.Kind == Sync || filepath.Dir(c.Path) != d.Folder || !stays(c.Path) {
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
			err = c.do(file)
		case luck.IntN(2) == 0:
			f.Gone++
		case c.Kind == Write && luck.IntN(2) == 0:
			f.Torn++
			err = c.tear(file, luck)
		default:
			f.Kept++
			err = c.do(file)
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

// stays tells of files that mean something after a new start: the index of a log does not,
// and is in memory.
func stays(path string) bool {
	return filepath.Ext(path) == ".db" || filepath.Ext(path) == ".db-wal"
}

// synced tells which calls are on the disk for sure: those that had ended when a sync of
// their file began that had ended when the power went.
func (d *Disk) synced(went time.Time) []bool {
	sure := make([]bool, len(d.Calls))
	latest := map[string]time.Time{} // the last such sync of a file began then
	for i := len(d.Calls) - 1; i >= 0; i-- {
		c := d.Calls[i]
		if c.Kind != Sync {
			sure[i] = c.Ended.Before(latest[c.Path])
			continue
		}
		if c.Ended.Before(went) && c.Began.After(latest[c.Path]) {
			latest[c.Path] = c.Began
		}
	}
	return sure
}

func (c *Call) do(f *os.File) error {
	if c.Kind == Truncate {
		return f.Truncate(c.Offset)
	}
	_, err := f.WriteAt(c.Data, c.Offset)
	return err
}

func (c *Call) tear(f *os.File, luck *rand.Rand) error {
	for at := 0; at < len(c.Data); at += sector {
		if luck.IntN(2) == 0 {
			continue
		}
		if _, err := f.WriteAt(c.Data[at:min(at+sector, len(c.Data))], c.Offset+int64(at)); err != nil {
			return err
		}
	}
	return nil
}

// Copy makes a folder as another is, without folders in it. The files are for nobody else.
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
