package daemon

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"facteur/flow/journal"
	"facteur/project"
	"facteur/vault"
)

// hashKind and hashName are the journal's note that holds the sealed key of hashes; hashName is
// also the context that it is sealed with.
const (
	hashKind = "facteur"
	hashName = "hash key"
)

// openHash returns the keyed hash that replaces phone numbers and idempotency keys at rest. Its
// key is in the journal, sealed: it must outlive the vault's key, or an idempotency key would
// start a second run after a rotation.
func openHash(ctx context.Context, j journal.Journal, v *vault.Vault) (func(string) string, error) {
	key, err := hashKey(ctx, j, v)
	if err != nil {
		return nil, err
	}
	if key == nil {
		key = make([]byte, 32)
		rand.Read(key)
	}
	// It is sealed again at each start, so that old keys of the vault can be removed some day.
	sealed, err := v.Seal(key, []byte(hashName))
	if err != nil {
		return nil, project.SystemError(err, "")
	}
	note, err := json.Marshal(sealed)
	if err != nil {
		return nil, err
	}
	if err := j.Note(ctx, hashKind, hashName, note); err != nil {
		return nil, project.SystemError(err, "")
	}
	return keyedHash(key), nil
}

// ReadHash returns the keyed hash of a journal's daemon for a process that only reads: nil if no
// daemon has run yet.
func ReadHash(ctx context.Context, j *journal.Reader, v *vault.Vault) (func(string) string, error) {
	key, err := hashKey(ctx, j, v)
	if err != nil || key == nil {
		return nil, err
	}
	return keyedHash(key), nil
}

// noteReader reads the notes of a journal.
type noteReader interface {
	Notes(ctx context.Context, kind string) (map[string]json.RawMessage, error)
}

// hashKey returns the key of hashes, nil if there is none yet.
func hashKey(ctx context.Context, j noteReader, v *vault.Vault) ([]byte, error) {
	found, err := j.Notes(ctx, hashKind)
	if err != nil {
		return nil, project.SystemError(err, "")
	}
	note, ok := found[hashName]
	if !ok {
		return nil, nil
	}
	var sealed []byte
	if err := json.Unmarshal(note, &sealed); err != nil {
		return nil, project.SystemError(fmt.Errorf("the journal's hash key cannot be read: %w", err), "restore the data folder from a backup")
	}
	key, err := v.Open(sealed, []byte(hashName))
	if err != nil {
		hint := "the journal was sealed with a key that is missing: put the key file back"
		if e, ok := errors.AsType[*vault.BackendError](err); ok && e.Reason != vault.NoKey {
			hint = "" // it has a better one
		}
		return nil, project.SystemError(err, hint)
	}
	return key, nil
}

// keyedHash returns a hash of 130 bits, as small letters and digits.
func keyedHash(key []byte) func(string) string {
	macs := sync.Pool{New: func() any { return hmac.New(sha256.New, key) }} // a new one costs more than most texts
	return func(text string) string {
		mac := macs.Get().(hash.Hash)
		defer macs.Put(mac)
		mac.Reset()
		io.WriteString(mac, text)
		var sum [sha256.Size]byte
		return hashText.EncodeToString(mac.Sum(sum[:0])[:20])[:26]
	}
}

var hashText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567")
