package journal

import (
	"errors"
	"fmt"
	"io/fs"

	"zombiezen.com/go/sqlite"
)

// A DiskError says that a journal's file cannot be used. After one from writing, the
// journal writes nothing more: what it was given since the last durable append may be
// lost, so it has to be opened anew.
type DiskError struct {
	Path string
	Op   string // "open", "read" or "write"
	Err  error
}

func (e *DiskError) Error() string {
	return fmt.Sprintf("journal %s: cannot %s it: %s", e.Path, e.Op, reason(e.Err))
}

// Unwrap returns the cause.
func (e *DiskError) Unwrap() error { return e.Err }

// ErrInUse says that another process writes the journal: only one may.
var ErrInUse = errors.New("another process uses it; stop that one, or choose another data folder")

var (
	errForeign = errors.New("it is not a journal; move it away, or choose another data folder")
	errNoFile  = errors.New("it is not a file; give the path of the journal's file, not of its folder")
	errOlder   = errors.New("it is of an older version; open it for writing once, which brings it up to date")
	errNoWAL   = errors.New("its file system does not let processes share memory; choose a data folder on a local disk")
)

// reason tells what is wrong and what to do about it.
func reason(err error) string {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultFull:
		return "the disk is full; free some space and start again"
	case sqlite.ResultReadOnly, sqlite.ResultPerm:
		return "it is read-only; check who may write the file and its folder"
	case sqlite.ResultCantOpen:
		return "the file cannot be opened; check that it is there, and who may write it and its folder"
	case sqlite.ResultBusy, sqlite.ResultLocked:
		return "another process has locked it; close the tool that has it open"
	case sqlite.ResultNotADB:
		return errForeign.Error()
	case sqlite.ResultCorrupt:
		return fmt.Sprintf("it is damaged; restore it from a backup (%v)", err)
	case sqlite.ResultIOErr:
		return fmt.Sprintf("the disk failed; check the disk and start again (%v)", err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "there is no such file; check the path"
	}
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return fmt.Sprintf("%v; check the folder %s", path.Err, path.Path)
	}
	return err.Error()
}
