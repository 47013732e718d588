//go:build unix

package privatefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// give gives a file that root has made to the owner of the one in whose place it comes, or
// else of its folder.
func give(file, place string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	before, err := os.Lstat(place)
	if file == place || errors.Is(err, fs.ErrNotExist) {
		before, err = os.Stat(filepath.Dir(place))
	}
	if err != nil {
		return err
	}
	if of, ok := before.Sys().(*syscall.Stat_t); ok && of.Uid != 0 {
		return os.Lchown(file, int(of.Uid), int(of.Gid))
	}
	return nil
}
