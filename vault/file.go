package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"facteur/privatefile"

	"filippo.io/age"
)

const (
	fileName   = "file"
	storeFile  = "vault.age"
	lockFile   = "vault.lock"
	maxStored  = 16 << 20 // bytes of the encrypted file; a longer one is not ours
	fileFormat = 1
)

// file stores connections in one file, encrypted with age to the identity in
// the key file. Every write replaces the file as a whole, under a lock between
// processes, so a reader sees the old state or the new one.
type file struct {
	dir         string
	key         string // the path of the identity file
	modeIgnored bool   // systemd, not the mode, guards the identity file
	now         func() time.Time
}

// stored is the content of the file. Fields may be added; names never change.
type stored struct {
	Format      int                         `json:"format"`
	Connections map[string]storedConnection `json:"connections"`
}

type storedConnection struct {
	App       App               `json:"app"`
	Setup     map[string]string `json:"setup,omitempty"`
	Secrets   map[string]string `json:"secrets,omitempty"`
	CreatedAt time.Time         `json:"created_at"`
	UpdatedAt time.Time         `json:"updated_at"`
}

func (f *file) read(_ context.Context, name string) (record, error) {
	s, err := f.load()
	if err != nil {
		return record{}, withConnection(err, name)
	}
	c, ok := s.Connections[name]
	if !ok {
		return record{}, errAbsent
	}
	return c.record(), nil
}

func (c storedConnection) record() record {
	secrets := make(map[string]Secret, len(c.Secrets))
	for field, value := range c.Secrets {
		secrets[field] = NewSecret(value)
	}
	return record{app: c.App, setup: c.Setup, secrets: secrets, created: c.CreatedAt, updated: c.UpdatedAt}
}

func (f *file) write(_ context.Context, name string, e edit) error {
	return withConnection(f.locked(func() error {
		s, err := f.load()
		if err != nil {
			return err
		}
		old, exists := s.Connections[name]
		if e.remove {
			if !exists {
				return errAbsent
			}
			delete(s.Connections, name)
			return f.save(s)
		}
		now := f.now().UTC().Truncate(time.Second)
		r := e.apply(old.record())
		c := storedConnection{App: r.app, Setup: r.setup, Secrets: map[string]string{}, CreatedAt: old.CreatedAt, UpdatedAt: now}
		if !exists {
			c.CreatedAt = now
		}
		for field, secret := range r.secrets {
			c.Secrets[field] = secret.Reveal()
		}
		s.Connections[name] = c
		return f.save(s)
	}), name)
}

func (f *file) names() ([]string, error) {
	s, err := f.load()
	return slices.Sorted(maps.Keys(s.Connections)), err
}

// load reads the file; a missing one holds no connections.
func (f *file) load() (stored, error) {
	none := stored{Format: fileFormat, Connections: map[string]storedConnection{}}
	path := filepath.Join(f.dir, storeFile)
	sealed, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, fileError("read", path, err)
	}
	ids, err := f.readKeys()
	if errors.Is(err, fs.ErrNotExist) {
		return none, &BackendError{
			Backend: fileName, Op: "open", Where: path, Reason: NoKey, Err: err,
			why:  fmt.Sprintf("its key file %s is missing", f.key),
			Hint: "restore the key file from a backup, or move the vault file away to start afresh",
		}
	}
	if err != nil {
		return none, err
	}
	var opened stored
	if err := decrypt(sealed, ids, &opened); err != nil {
		if _, wrong := errors.AsType[*age.NoIdentityMatchError](err); wrong {
			return none, &BackendError{
				Backend: fileName, Op: "open", Where: path, Reason: WrongKey, Err: err,
				why:  fmt.Sprintf("it was encrypted with a key other than %s", f.key),
				Hint: "restore the key file that belongs to it; nothing was changed",
			}
		}
		return none, &BackendError{ // without err, which may quote what is in the file
			Backend: fileName, Op: "open", Where: path, Reason: Corrupt,
			why: "it is damaged or incomplete", Hint: "restore it from a backup; nothing was changed",
		}
	}
	if opened.Format != fileFormat {
		return none, &BackendError{
			Backend: fileName, Op: "open", Where: path, Reason: Corrupt,
			why: fmt.Sprintf("it has format %d, but this facteur only knows format %d", opened.Format, fileFormat), Hint: "use a newer facteur",
		}
	}
	if opened.Connections == nil {
		opened.Connections = none.Connections
	}
	return opened, nil
}

// decrypt opens the file and reads its content.
func decrypt(sealed []byte, ids []*age.X25519Identity, into *stored) error {
	if len(sealed) > maxStored {
		return errors.New("it is too large")
	}
	keys := make([]age.Identity, len(ids))
	for i, id := range ids {
		keys[i] = id
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), keys...)
	if err != nil {
		return err
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, into)
}

// save replaces the file. The caller holds the lock.
func (f *file) save(s stored) error {
	plain, err := json.Marshal(s)
	if err != nil {
		return err
	}
	ids, err := f.readKeys()
	if errors.Is(err, fs.ErrNotExist) { // load has seen that there is no vault file either
		ids, err = f.newKey(nil)
	}
	if err != nil {
		return err
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, ids[0].Recipient())
	if err != nil {
		return err
	}
	if _, err := w.Write(plain); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return writeFile(filepath.Join(f.dir, storeFile), sealed.Bytes())
}

// keys reads the key file, and makes one if neither it nor a vault file exists: a
// new key could not open an existing vault file.
func (f *file) keys() (ids []*age.X25519Identity, err error) {
	if ids, err = f.readKeys(); !errors.Is(err, fs.ErrNotExist) {
		return ids, err
	}
	err = f.locked(func() error {
		if ids, err = f.readKeys(); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if _, err := f.load(); err != nil {
			return err
		}
		ids, err = f.newKey(nil)
		return err
	})
	return ids, err
}

// locked runs change under the lock between processes.
func (f *file) locked(change func() error) error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fileError("make", f.dir, err)
	}
	path := filepath.Join(f.dir, lockFile)
	unlock, err := privatefile.Lock(path)
	if err != nil {
		return fileError("lock", path, err)
	}
	defer unlock()
	return change()
}

// writeFile replaces a file so that a crash leaves the old one or the new one.
func writeFile(path string, content []byte) error {
	if err := privatefile.Replace(path, content); err != nil {
		return fileError("write", path, err)
	}
	return nil
}

func fileError(op, path string, err error) error {
	return &BackendError{
		Backend: fileName, Op: op, Where: path, Reason: Unusable, Err: err,
		why: reasonOf(err), Hint: "make sure that the folder exists, has free space and belongs to this user",
	}
}

// reasonOf is a file system's error without the path, which the message has already.
func reasonOf(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// withConnection adds to an error which connection it is about.
func withConnection(err error, name string) error {
	if e, ok := errors.AsType[*BackendError](err); ok && e.Connection == "" {
		e.Connection = name
	}
	return err
}
