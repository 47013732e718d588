package server

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"facteur/privatefile"
)

// keysFormat is the version of the file of keys.
const keysFormat = 1

// A keyfile is the content of the file of keys.
type keyfile struct {
	Format int          `json:"format"`
	Keys   []*storedKey `json:"keys"`
}

// fileError is an error about the file of keys.
func (k *Keys) fileError(what string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return fmt.Errorf("the keys in %s: cannot %s the file: %w", k.path, what, err)
}

// read reads the file, and keeps when each key was last used. The lock is held.
func (k *Keys) read() ([]*storedKey, error) {
	f, err := os.Open(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		k.info, k.stored = nil, nil
		return nil, nil
	}
	if err != nil {
		return nil, k.fileError("read", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, k.fileError("look at", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return nil, k.fileError("trust", errors.New("others may write to it; run chmod 600 on it, then check its keys"))
	}
	text, err := io.ReadAll(io.LimitReader(f, 16<<20))
	if err != nil {
		return nil, k.fileError("read", err)
	}
	file, err := parseKeys(text)
	if err != nil {
		return nil, k.fileError("use", err)
	}
	for _, s := range file.Keys {
		for _, before := range k.stored {
			if before.ID == s.ID {
				s.lastUsed.Store(before.lastUsed.Load())
			}
		}
	}
	k.info, k.stored = info, file.Keys
	return k.stored, nil
}

func parseKeys(text []byte) (keyfile, error) {
	var file keyfile
	if err := json.Unmarshal(text, &file); err != nil {
		return file, fmt.Errorf("it is damaged: %w; restore it from a backup, or delete it and create new keys", err)
	}
	if file.Format != keysFormat {
		return file, fmt.Errorf("it has format %d, but this facteur only knows format %d: use a newer facteur", file.Format, keysFormat)
	}
	for _, s := range file.Keys {
		if s == nil {
			return file, errors.New("it contains a key that is null")
		}
		var err error
		if s.hash, err = hex.DecodeString(s.Hash); err != nil || len(s.hash) != 32 || !slices.Contains(Scopes(), s.Scope) {
			return file, fmt.Errorf("its key %q is damaged; remove that key and create a new one", s.ID)
		}
	}
	return file, nil
}

// change changes the file, and returns once no process relies on its former content. by gets a
// copy of the list, whose keys it must not change.
func (k *Keys) change(by func([]*storedKey) ([]*storedKey, error)) error {
	if err := k.rewrite(by); err != nil {
		return err
	}
	time.Sleep(cacheFor)
	return nil
}

// rewrite changes the file while no other process does.
func (k *Keys) rewrite(by func([]*storedKey) ([]*storedKey, error)) error {
	if err := os.MkdirAll(filepath.Dir(k.path), 0o700); err != nil {
		return k.fileError("make the folder of", err)
	}
	unlock, err := privatefile.Lock(k.path + ".lock")
	if err != nil {
		return k.fileError("lock", err)
	}
	defer unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	list, err := k.read()
	if err != nil {
		return err
	}
	if list, err = by(slices.Clone(list)); err != nil {
		return err
	}
	text, err := json.MarshalIndent(keyfile{keysFormat, list}, "", "  ")
	if err != nil {
		return err
	}
	if err := privatefile.Replace(k.path, append(text, '\n')); err != nil {
		return k.fileError("write", err)
	}
	_, err = k.read()
	return err
}
