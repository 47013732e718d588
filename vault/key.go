package vault

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"

	"filippo.io/age"
)

// keyFile is the name of the identity file in the data folder. It has the form
// of age-keygen's: one identity a line, comments after #. The first identity
// encrypts, all of them decrypt, so a key is changed by putting a new line
// before the old one.
const keyFile = "vault.key"

const sealName = "seal"

// readKeys reads the identity file. It fails with fs.ErrNotExist if there is
// none, and refuses one that others may read.
func (f *file) readKeys() ([]*age.X25519Identity, error) {
	path := f.key
	text, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, fileError("read", path, err)
	}
	defer text.Close()
	info, err := text.Stat()
	if err != nil {
		return nil, fileError("read", path, err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && !f.modeIgnored && runtime.GOOS != "windows" {
		return nil, &BackendError{
			Backend: fileName, Op: "use", Where: path, Reason: Exposed,
			why:  fmt.Sprintf("others on this machine may read the key (mode %04o)", mode),
			Hint: "run: chmod 600 " + path,
		}
	}
	var ids []*age.X25519Identity
	lines := bufio.NewScanner(text)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, err := age.ParseX25519Identity(line)
		if err != nil { // which may quote the line: it is not passed on
			return nil, badKey(path, fmt.Sprintf("line %d is not an age identity", n))
		}
		ids = append(ids, id)
	}
	if err := lines.Err(); err != nil {
		return nil, badKey(path, "it is not text")
	}
	if len(ids) == 0 {
		return nil, badKey(path, "it contains no age identity")
	}
	return ids, nil
}

func badKey(path, why string) error {
	return &BackendError{
		Backend: fileName, Op: "use", Where: path, Reason: Corrupt, why: why,
		Hint: "restore the key file from a backup; without it the vault file cannot be opened",
	}
}

// newKey writes the identity file with a new identity before the old ones. The
// caller holds the lock.
func (f *file) newKey(before []*age.X25519Identity) ([]*age.X25519Identity, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "# opens vault.age and what is sealed; keep a copy in a safe place\n# public key: %s\n%s\n", id.Recipient(), id)
	if len(before) > 0 {
		fmt.Fprintf(&text, "# until %s; what was sealed before then still needs it\n", f.now().UTC().Format(time.DateOnly))
	}
	for _, old := range before {
		fmt.Fprintf(&text, "%s\n", old)
	}
	if err := writeFile(f.key, []byte(text.String())); err != nil {
		return nil, err
	}
	return append([]*age.X25519Identity{id}, before...), nil
}

// RotateKey makes a new key for the encrypted file and for data at rest, and
// encrypts the file with it. The key file keeps the old key after the new one, to
// open what was sealed before. Another process starts to use the new key when it
// opens something that was sealed with it, or when it is restarted.
func (v *Vault) RotateKey() error {
	if v.file == nil {
		return noDataFolder()
	}
	return v.file.locked(func() error {
		connections, err := v.file.load()
		if err != nil {
			return err
		}
		before, err := v.file.readKeys()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if _, err := v.file.newKey(before); err != nil {
			return err
		}
		v.forgetKeys()
		if len(connections.Connections) == 0 {
			return nil
		}
		return v.file.save(connections)
	})
}

// keyOf finds the key of a sealed text. An unknown one may have been made by
// another process: the key file is then read again.
func (v *Vault) keyOf(sealed []byte) (*sealKey, error) {
	for range 2 {
		keys, err := v.sealKeys(false)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			if string(k.id[:]) == string(sealed[1:1+keyIDSize]) {
				return k, nil
			}
		}
		v.forgetKeys()
	}
	return nil, &BackendError{
		Backend: sealName, Op: "open", Where: "with " + v.sealFile.key, Reason: WrongKey,
		why: "the data was sealed with another key", Hint: "add the line that the key file had when the data was sealed",
	}
}

func (v *Vault) forgetKeys() {
	v.mu.Lock()
	v.keys = nil
	v.mu.Unlock()
}

func noDataFolder() error {
	return &BackendError{Backend: sealName, Op: "seal or open", Reason: Misconfigured, why: "there is no data folder to keep a key in", Hint: "give one in the project file"}
}

// sealKeys returns the keys for data at rest, the one to seal with first. They
// are read once, and again after forgetKeys.
func (v *Vault) sealKeys(create bool) ([]*sealKey, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keys != nil {
		return v.keys, nil
	}
	if v.sealFile == nil {
		return nil, noDataFolder()
	}
	read := v.sealFile.readKeys
	if create {
		read = v.sealFile.keys
	}
	ids, err := read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &BackendError{
			Backend: sealName, Op: "open", Where: "with " + v.sealFile.key, Reason: NoKey,
			why: "the key file is missing", Hint: "restore it from a backup", Err: err,
		}
	}
	if err != nil {
		return nil, err
	}
	var keys []*sealKey
	for _, id := range ids {
		k, err := newSealKey(id)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	v.keys = keys
	return keys, nil
}
