package server

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Scope says what a key may do.
type Scope string

// The scopes. Each includes those before it.
const (
	ScopeRead  Scope = "read"  // look at everything
	ScopeRun   Scope = "run"   // start, cancel and retry runs, deliver events
	ScopeAdmin Scope = "admin" // decide what may be sent twice, pause, reload
)

// Scopes returns the scopes, the smallest first.
func Scopes() []Scope { return []Scope{ScopeRead, ScopeRun, ScopeAdmin} }

// includes reports whether the scope allows what the other one does.
func (s Scope) includes(other Scope) bool {
	has, wants := slices.Index(Scopes(), s), slices.Index(Scopes(), other)
	return has >= wants && wants >= 0
}

// A Key is an API key without its secret.
type Key struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"` // of who uses it, for people
	Scope      Scope     `json:"scope"`
	CreatedAt  time.Time `json:"created_at"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`   // zero: never
	LastUsedAt time.Time `json:"last_used_at,omitzero"` // since this process started
}

// A KeyList is the daemon's keys, the first made first.
type KeyList struct {
	Keys []Key `json:"keys"`
}

// KeyPrefix is what every key begins with, so that people and secret scanners recognise one.
const KeyPrefix = "fk_"

// Keys are the keys in a file, which holds only a hash of each. Several processes may use the
// file at the same time: when Create or Revoke returns, the change is in force in all of them.
// Keys is safe for concurrent use.
type Keys struct {
	path string

	mu      sync.RWMutex
	info    fs.FileInfo // of the file when it was read; nil: there was none
	stored  []*storedKey
	checked time.Time // when the file was last known to be unchanged
}

// cacheFor is how long requests rely on the file being unchanged: there are thousands a second,
// and a stat costs as much as reading a body. A change waits that long before it returns.
const cacheFor = 10 * time.Millisecond

// A storedKey is a key in the file. Fields may be added; names and meanings never
// change.
type storedKey struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Scope     Scope     `json:"scope"`
	Hash      string    `json:"sha256"` // of the whole key, in hexadecimal
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`

	hash     []byte
	lastUsed atomic.Int64 // in seconds since 1970; 0: not by this process
}

// OpenKeys returns the keys in a file, which need not be there.
func OpenKeys(path string) (*Keys, error) {
	k := &Keys{path: path}
	_, _, err := k.current()
	return k, err
}

// Create makes a key and returns it with its secret, which cannot be had again. A zero expiry
// is none. The error says what is wrong with the name, the scope or the file.
func (k *Keys) Create(name string, scope Scope, expires time.Time) (Key, string, error) {
	name = strings.TrimSpace(name)
	now := time.Now().UTC().Truncate(time.Second)
	switch {
	case name == "" || len(name) > 100 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return Key{}, "", errors.New("a key needs a name that says who uses it, on one line and with at most 100 characters")
	case !slices.Contains(Scopes(), scope):
		return Key{}, "", fmt.Errorf("there is no scope %q: use read, run or admin", scope)
	case !expires.IsZero() && !expires.After(now):
		return Key{}, "", errors.New("the key would already have expired: give a time in the future")
	}
	made := &storedKey{Name: name, Scope: scope, CreatedAt: now, ExpiresAt: expires.UTC()}
	var secret string
	err := k.change(func(list []*storedKey) ([]*storedKey, error) {
		for made.ID == "" || slices.ContainsFunc(list, func(s *storedKey) bool { return s.ID == made.ID }) {
			made.ID = random(5)
		}
		secret = KeyPrefix + made.ID + "_" + random(32)
		hash := sha256.Sum256([]byte(secret))
		made.Hash = hex.EncodeToString(hash[:])
		return append(list, made), nil
	})
	if err != nil {
		return Key{}, "", err
	}
	return made.key(), secret, nil
}

// random returns n random bytes as small letters and digits.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

// List returns the keys, the first made first.
func (k *Keys) List() ([]Key, error) {
	stored, _, err := k.current()
	if err != nil {
		return nil, err
	}
	keys := make([]Key, len(stored))
	for i, s := range stored {
		keys[i] = s.key()
	}
	slices.SortStableFunc(keys, func(a, b Key) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return keys, nil
}

// Revoke ends a key, by its id. One that is not there is an error.
func (k *Keys) Revoke(id string) error {
	return k.change(func(list []*storedKey) ([]*storedKey, error) {
		left := slices.DeleteFunc(slices.Clone(list), func(s *storedKey) bool { return s.ID == id })
		if len(left) == len(list) {
			return nil, fmt.Errorf("there is no key with the id %q", id)
		}
		return left, nil
	})
}

// FileExists reports whether a key was ever made, even if all were revoked since: a daemon does
// not become open again because its last key is gone.
func (k *Keys) FileExists() (bool, error) {
	_, made, err := k.current()
	return made, err
}

// findKey returns the key that is given, if it is one of them and has not expired.
func findKey(stored []*storedKey, given string, now time.Time) (key Key, found, expired bool) {
	hash := sha256.Sum256([]byte(given))
	var match *storedKey
	for _, s := range stored { // all of them, so that the time it takes tells nothing
		if subtle.ConstantTimeCompare(hash[:], s.hash) == 1 {
			match = s
		}
	}
	switch {
	case match == nil:
		return Key{}, false, false
	case !match.ExpiresAt.IsZero() && !now.Before(match.ExpiresAt):
		return match.key(), false, true
	}
	if at := now.Unix(); match.lastUsed.Load() != at {
		match.lastUsed.Store(at)
	}
	return match.key(), true, false
}

func (s *storedKey) key() Key {
	key := Key{ID: s.ID, Name: s.Name, Scope: s.Scope, CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt}
	if at := s.lastUsed.Load(); at != 0 {
		key.LastUsedAt = time.Unix(at, 0).UTC()
	}
	return key
}

// cached is current, at most cacheFor old. k may be nil: there are no keys and no file.
func (k *Keys) cached(now time.Time) (stored []*storedKey, made bool, err error) {
	if k == nil {
		return nil, false, nil
	}
	k.mu.RLock()
	stored, made, fresh := k.stored, k.info != nil, now.Sub(k.checked) < cacheFor
	k.mu.RUnlock()
	if fresh {
		return stored, made, nil
	}
	return k.current()
}

// current returns the keys in the file now, and whether there is a file.
func (k *Keys) current() (stored []*storedKey, made bool, err error) {
	now := time.Now()
	info, err := os.Stat(k.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, k.fileError("look at", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.unchanged(info) {
		if _, err := k.read(); err != nil {
			return nil, false, err
		}
	}
	k.checked = now
	return k.stored, k.info != nil, nil
}

// unchanged reports whether the file is still the one that was read. The lock is held.
func (k *Keys) unchanged(info fs.FileInfo) bool {
	if info == nil || k.info == nil {
		return info == nil && k.info == nil
	}
	return os.SameFile(info, k.info) && info.ModTime().Equal(k.info.ModTime()) && info.Size() == k.info.Size()
}

func (a *api) keys(req *request) (reply, error) {
	if a.Keys == nil {
		return ok(&KeyList{[]Key{}})
	}
	list, err := a.Keys.List()
	if err != nil {
		return reply{}, err
	}
	return ok(&KeyList{list})
}
