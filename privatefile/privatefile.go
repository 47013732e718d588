// Package privatefile writes files that only their owner may read, such as keys and backups,
// so that a crash leaves none that is half there, and lets one process at a time do so.
//
// What root writes belongs to the owner of the file before, or else of the folder: somebody
// who looks after a daemon as root does not take its files away from it.
package privatefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// Lock waits until no other process has the lock file, which it makes if there is none.
func Lock(path string) (unlock func(), err error) {
	_, err = os.Lstat(path)
	made := errors.Is(err, fs.ErrNotExist)
	unlock, err = lockedfile.MutexAt(path).Lock()
	if err != nil || !made {
		return unlock, err
	}
	if err := give(path, path); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// Replace writes a file so that a crash leaves the old one or the new one.
func Replace(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails once it was renamed
	_, err = tmp.Write(content)
	if err = errors.Join(err, give(tmp.Name(), path), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// Place gives a file that is whole, and on the disk, the name that it is to have, and returns
// once that would survive a crash. The file may keep its old name beside it. Where something
// has the name already, the error is fs.ErrExist.
func Place(file, name string) error {
	err := os.Link(file, name) // a link, unlike a rename, overwrites nothing
	if err != nil && !errors.Is(err, fs.ErrExist) {
		if _, err := os.Lstat(name); err == nil {
			return &os.LinkError{Op: "rename", Old: file, New: name, Err: fs.ErrExist}
		}
		err = os.Rename(file, name) // not every file system has links
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(name))
}

// syncFolder makes sure that the names in a folder survive a crash.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" { // where a folder cannot be synced
		return nil
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
