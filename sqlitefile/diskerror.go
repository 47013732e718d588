package sqlitefile

import (
	"errors"
	"fmt"
	"io/fs"

	"zombiezen.com/go/sqlite"
)

// A DiskError says that a file cannot be used. After an error from writing nothing more is written:
// what came after the last durable write may be lost, so the file must be opened again.
type DiskError struct {
	Kind string // the file's Kind.Name, e.g. "journal"
	Path string
	Op   string // "open", "read" or "write"
	Err  error
}

func (e *DiskError) Error() string {
	return fmt.Sprintf("%s %s: cannot %s it: %s", e.Kind, e.Path, e.Op, e.reason())
}

// Unwrap returns the cause.
func (e *DiskError) Unwrap() error { return e.Err }

// Temporary tells whether the cause is outside the file, such as a full disk: once that is fixed,
// the file is as good as before.
func (e *DiskError) Temporary() bool {
	switch sqlite.ErrCode(e.Err).ToPrimary() {
	case sqlite.ResultFull, sqlite.ResultReadOnly, sqlite.ResultIOErr, sqlite.ResultBusy, sqlite.ResultLocked:
		return true
	}
	return false
}

// ErrInUse says that another process has the file open for writing.
var ErrInUse = errors.New("another process uses it; stop that one, or choose another data folder")

// ErrOlder says that a file to be read has an older schema: opening it for writing migrates it.
var ErrOlder = errors.New("it is of an older version, and has to be brought up to date first")

// ErrClosed says that the file was closed.
var ErrClosed = errors.New("it was used after it was closed")

var (
	errNotOurs  = errors.New("it is something else")
	errNoFile   = errors.New("it is not a file")
	errExists   = errors.New("there is a file of that name already; choose another")
	errNoFolder = errors.New("its folder is not there; create it, or choose another")
	errNoWAL    = errors.New("its file system does not let processes share memory; choose a data folder on a local disk")
)

// reason tells people what is wrong, and what to do.
func (e *DiskError) reason() string {
	switch sqlite.ErrCode(e.Err).ToPrimary() {
	case sqlite.ResultFull:
		return "the disk is full; free some space and start again"
	case sqlite.ResultReadOnly, sqlite.ResultPerm:
		return "it is read-only; check who may write the file and its folder"
	case sqlite.ResultCantOpen:
		return "the file cannot be opened; check that it is there, and who may write it and its folder"
	case sqlite.ResultBusy, sqlite.ResultLocked:
		return "another process has locked it; close the tool that has it open"
	case sqlite.ResultNotADB:
		return e.notOurs()
	case sqlite.ResultCorrupt:
		return fmt.Sprintf("it is damaged; restore it from a backup (%v)", e.Err)
	case sqlite.ResultIOErr:
		return fmt.Sprintf("the disk failed; check the disk and start again (%v)", e.Err)
	}
	ofPath, isOfPath := errors.AsType[*fs.PathError](e.Err)
	switch {
	case errors.Is(e.Err, errNotOurs):
		return e.notOurs()
	case errors.Is(e.Err, errNoFile):
		return fmt.Sprintf("%v; give the path of the %s's file, not of its folder", errNoFile, e.Kind)
	case errors.Is(e.Err, fs.ErrNotExist):
		return "there is no such file; check the path"
	case isOfPath:
		return fmt.Sprintf("%v; check the folder %s", ofPath.Err, ofPath.Path)
	}
	return e.Err.Error()
}

func (e *DiskError) notOurs() string {
	return fmt.Sprintf("it is not a %s; move it away, or choose another data folder", e.Kind)
}
