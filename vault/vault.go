// Package vault finds connections: named sets of credentials, such as the
// token of a WhatsApp account. Use it wherever a secret is needed, and only at
// the moment when it is needed: flows, plans and journals carry the name of a
// connection, and [Vault.Resolve] turns the name into a [Connection].
//
// A connection lives in one of three backends, asked in this order: the
// environment (FACTEUR_CONNECTION_<NAME>_TOKEN), HashiCorp Vault, where the
// project file maps the name to a path, and an encrypted file in the data
// folder. A value that must stay hidden is a [Secret], which prints as
// [secret] whatever prints it.
//
// The package also keeps the key for data at rest: see [Vault.Seal].
package vault

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// Config says where connections are looked for.
type Config struct {
	// Dir is the data folder. It holds the encrypted file and the key that
	// opens it. If it is empty there is no file backend, and Seal fails.
	Dir string

	// KeyFile is the file of the key that opens the encrypted file and what is
	// sealed: vault.key in Dir if it is empty. Others must not be able to read
	// it, except one in $CREDENTIALS_DIRECTORY, which systemd guards.
	KeyFile string

	// SealDir is the folder whose vault.key seals data at rest, where that is
	// not the key of the encrypted file. Then nothing is made in Dir.
	SealDir string

	// Hashicorp is the HashiCorp Vault server to ask; nil for none.
	Hashicorp *Hashicorp

	// Connections are those that the project file declares, by name.
	Connections map[string]Mapping

	// Env looks up an environment variable; nil means os.LookupEnv.
	Env func(string) (string, bool)

	// Fixed are connections that no backend is asked for. Flow tests and
	// recordings use them.
	Fixed map[string]Connection

	// CacheFor is how long a resolved connection is used before its backend is
	// asked again: 30 seconds if it is zero, not at all if it is negative.
	CacheFor time.Duration
}

// A Mapping is what the project file says about a connection.
type Mapping struct {
	App App

	// Mount and Path lead to a secret of the HashiCorp Vault's key-value
	// engine: "kv" and "messaging/shop". Without a Path the connection lives
	// in the environment or in the encrypted file.
	Mount, Path string

	// KV is the engine's version, 1 or 2; 0 detects it.
	KV int

	// Fields maps fields to keys of that secret, and only these fields are
	// read and written. Without it every field has the key of its own name.
	Fields map[string]string

	// Setup holds the plain fields of the project file. They take precedence
	// over the backend's, and the environment over them.
	Setup map[string]string
}

// A Vault resolves connections. It is safe for concurrent use.
type Vault struct {
	cfg       Config
	env       env
	hashicorp *hashicorp // nil if not configured
	file      *file      // nil without a data folder
	sealFile  *file      // of the key for data at rest; nil for none
	digestKey []byte
	now       func() time.Time

	lifetime context.Context
	cancel   context.CancelFunc
	reads    singleflight.Group

	mu    sync.Mutex
	cache map[string]cached
	keys  []*sealKey // for data at rest, loaded on first use
}

// cached is a connection as it was last read.
type cached struct {
	conn   Connection
	readAt time.Time
}

// New returns a vault. It checks the configuration and asks no backend.
func New(cfg Config) (*Vault, error) {
	cfg.CacheFor = cmp.Or(cfg.CacheFor, 30*time.Second)
	cfg.Connections = maps.Clone(cfg.Connections)
	for name, m := range cfg.Connections {
		m.Mount, m.Path = strings.Trim(m.Mount, "/"), strings.Trim(m.Path, "/")
		cfg.Connections[name] = m
	}
	if wrong := Check(cfg.Connections); len(wrong) > 0 {
		errs := make([]error, len(wrong))
		for i, err := range wrong {
			errs[i] = err
		}
		return nil, errors.Join(errs...)
	}
	v := &Vault{cfg: cfg, now: time.Now, cache: map[string]cached{}, digestKey: make([]byte, 32)}
	rand.Read(v.digestKey)
	v.env = env{lookup: cfg.Env, declared: cfg.Connections}
	if cfg.Env == nil {
		v.env.lookup, v.env.all = os.LookupEnv, os.Environ
	}
	if cfg.Dir != "" {
		v.file = &file{dir: cfg.Dir, key: cmp.Or(cfg.KeyFile, filepath.Join(cfg.Dir, keyFile)), now: func() time.Time { return v.now() }}
		if credentials, ok := v.env.lookup("CREDENTIALS_DIRECTORY"); ok && credentials != "" {
			v.file.modeIgnored = filepath.Dir(v.file.key) == filepath.Clean(credentials)
		}
	}
	if v.sealFile = v.file; cfg.SealDir != "" {
		v.sealFile = &file{dir: cfg.SealDir, key: filepath.Join(cfg.SealDir, keyFile), now: func() time.Time { return v.now() }}
	}
	v.lifetime, v.cancel = context.WithCancel(context.Background())
	if cfg.Hashicorp != nil {
		h, err := newHashicorp(v.lifetime, *cfg.Hashicorp, cfg.Connections, func() time.Time { return v.now() })
		if err != nil {
			v.cancel()
			return nil, err
		}
		v.hashicorp = h
	}
	return v, nil
}

// Format writes "[vault]", whatever the verb, so that no content is printed.
func (*Vault) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[vault]") }

// Close ends reads under way and the renewal of the token. A process that is
// about to exit need not call it.
func (v *Vault) Close() error {
	v.cancel()
	if v.hashicorp != nil {
		v.hashicorp.close()
	}
	return nil
}

// Resolve returns the connection of that name, complete: every required field
// is there and every field has its form. It is cached for [Config.CacheFor];
// concurrent calls for one name share one read.
func (v *Vault) Resolve(ctx context.Context, name string) (Connection, error) {
	if c, ok := v.cached(name); ok {
		return c, nil
	}
	return v.shareRead(ctx, "resolve "+name, func(ctx context.Context) (Connection, error) {
		if c, ok := v.cached(name); ok { // by a read that has just ended
			return c, nil
		}
		return v.read(ctx, name)
	})
}

// cached returns the connection as it was last read, and whether it may still be used.
func (v *Vault) cached(name string) (Connection, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	last, ok := v.cache[name]
	return last.conn, ok && v.now().Sub(last.readAt) < v.cfg.CacheFor
}

// Refresh reads the connection past the cache. Call it when a request was
// refused for its credentials: changed reports whether the secrets differ from
// those returned before, so whether another try makes sense.
//
// An error also drops the cached connection, because it was refused.
//
// Of several callers only the first sees the change. Where there may be others,
// compare the Version of the connection that was refused with the new one's.
func (v *Vault) Refresh(ctx context.Context, name string) (c Connection, changed bool, err error) {
	before, _ := v.cached(name)
	c, err = v.shareRead(ctx, "refresh "+name, func(ctx context.Context) (Connection, error) {
		c, err := v.read(ctx, name)
		if err != nil {
			v.forget(name)
		}
		return c, err
	})
	return c, err == nil && c.Version != before.Version, err
}

// shareRead runs read once for concurrent calls with the same key. When the
// context of one of them ends, the read goes on for the others.
func (v *Vault) shareRead(ctx context.Context, key string, read func(context.Context) (Connection, error)) (Connection, error) {
	if err := ctx.Err(); err != nil {
		return Connection{}, err
	}
	done := v.reads.DoChan(key, func() (any, error) { return read(v.lifetime) })
	select {
	case <-ctx.Done():
		return Connection{}, ctx.Err()
	case r := <-done:
		return r.Val.(Connection), r.Err
	}
}

// read reads a complete connection from the backends, and caches it.
func (v *Vault) read(ctx context.Context, name string) (Connection, error) {
	c, info, err := v.find(ctx, name)
	switch {
	case err != nil:
		return Connection{}, err
	case len(info.Missing) > 0:
		return Connection{}, &MissingFieldError{Connection: name, App: c.App, Backend: info.Backend, Fields: info.Missing}
	case info.Err != nil:
		return Connection{}, info.Err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cache[name] = cached{conn: c, readAt: info.RefreshedAt}
	return c, nil
}

// find puts a connection together from its backend, the project file and the
// environment. A secret in the environment makes the environment its backend;
// plain fields there take precedence over any backend's. The connection may be incomplete.
func (v *Vault) find(ctx context.Context, name string) (Connection, Info, error) {
	var none Connection
	if err := checkName(name); err != nil {
		return none, Info{}, err
	}
	if c, ok := v.cfg.Fixed[name]; ok {
		c.Setup, c.Secrets = maps.Clone(c.Setup), maps.Clone(c.Secrets)
		c.Name, c.App = name, cmp.Or(c.App, WhatsApp)
		c, i := v.describe(c, "fixed", record{})
		return c, i, nil
	}
	fromEnv, inEnv := v.env.read(name)
	rec, backend, err := v.stored(ctx, name, fromEnv, inEnv)
	if err != nil {
		return none, Info{}, err
	}
	declared := v.cfg.Connections[name]
	c := Connection{
		Name:    name,
		App:     cmp.Or(fromEnv.app, declared.App, rec.app, WhatsApp),
		Setup:   map[string]string{},
		Secrets: maps.Clone(rec.secrets),
	}
	maps.Copy(c.Setup, rec.setup)
	maps.Copy(c.Setup, declared.Setup)
	maps.Copy(c.Setup, fromEnv.setup)
	c, i := v.describe(c, backend, rec)
	return c, i, nil
}

// stored returns the record of a connection, given that of the environment, and its backend.
func (v *Vault) stored(ctx context.Context, name string, fromEnv record, inEnv bool) (r record, backend string, err error) {
	if len(fromEnv.secrets) > 0 {
		return fromEnv, envName, nil
	}
	if store, backend := v.backendOf(name); store != nil {
		if r, err := store.read(ctx, name); !errors.Is(err, errAbsent) {
			return r, backend, err
		}
	}
	declared, isDeclared := v.cfg.Connections[name]
	switch {
	case inEnv:
		return fromEnv, envName, nil
	case declared.Path != "":
		return r, "", &BackendError{
			Backend: hashicorpName, Op: "read", Connection: name, Reason: Misconfigured,
			Hint: "give vault.hashicorp in the project file, or set " + Variable(name, "TOKEN"),
			why:  fmt.Sprintf("it is mapped to %s/%s, but no server is configured", declared.Mount, declared.Path),
		}
	case isDeclared:
		return r, "project file", nil
	}
	return r, "", &UnknownConnectionError{Name: name, Known: v.known()}
}

// backendOf returns the backend that stores the name, and its name; nil if
// there is none.
func (v *Vault) backendOf(name string) (backend, string) {
	switch m := v.cfg.Connections[name]; {
	case m.Path != "" && v.hashicorp != nil:
		return v.hashicorp, hashicorpName
	case v.file != nil:
		return v.file, fileName
	}
	return nil, ""
}

// Set stores fields of a connection: in HashiCorp Vault if the name is mapped to
// a path, otherwise in the encrypted file. Other fields stay as they are; an
// empty value removes its field.
func (v *Vault) Set(ctx context.Context, name string, app App, setup map[string]string, secrets map[string]Secret) error {
	if err := checkName(name); err != nil {
		return err
	}
	if declared := v.cfg.Connections[name].App; declared != "" && app != declared {
		return &InvalidFieldError{Connection: name, App: app, Field: "app", Problem: "the project file says " + string(declared), Hint: "change one of the two"}
	}
	if err := checkEdit(name, app, setup, secrets); err != nil {
		return err
	}
	return v.write(ctx, name, edit{app: app, setup: setup, secrets: secrets})
}

// Remove removes a connection from where Set stores it. In HashiCorp Vault it
// removes the fields that are mapped, and leaves other keys of the secret alone.
func (v *Vault) Remove(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	err := v.write(ctx, name, edit{remove: true})
	if errors.Is(err, errAbsent) {
		return &UnknownConnectionError{Name: name, Known: v.known()}
	}
	return err
}

func (v *Vault) write(ctx context.Context, name string, e edit) error {
	if _, ok := v.cfg.Fixed[name]; ok {
		return &BackendError{Backend: "fixed", Op: "write", Connection: name, Reason: ReadOnly, Hint: "change the test or the recording that defines it"}
	}
	if fromEnv, _ := v.env.read(name); len(fromEnv.secrets) > 0 {
		return &BackendError{
			Backend: envName, Op: "write", Connection: name, Reason: ReadOnly,
			Hint: "unset " + envPrefix + envWord(name) + "_… first: the environment takes precedence over every other place",
		}
	}
	store, _ := v.backendOf(name)
	if store == nil {
		return &BackendError{Backend: fileName, Op: "write", Connection: name, Reason: Misconfigured, Hint: "give a data folder in the project file, or map the connection to a path", why: "there is nowhere to store it"}
	}
	if err := store.write(ctx, name, e); err != nil {
		return err
	}
	v.forget(name)
	return nil
}

func (v *Vault) forget(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.cache, name)
}

var namePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

func checkName(name string) *InvalidFieldError {
	if len(name) <= 128 && namePattern.MatchString(name) {
		return nil
	}
	return &InvalidFieldError{Connection: name, Field: "name", Problem: "it is not a valid name", Hint: "use a letter, then letters, digits, '_', '.' or '-', at most 128 characters"}
}

// Check returns the errors in the connections that a project file declares, at most one about
// the plain fields of each. New refuses them.
func Check(declared map[string]Mapping) (wrong []*InvalidFieldError) {
	add := func(err *InvalidFieldError) {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		m := declared[name]
		app := cmp.Or(m.App, WhatsApp)
		add(checkName(name))
		add(checkEdit(name, app, m.Setup, nil))
		for _, field := range slices.Sorted(maps.Keys(m.Fields)) {
			if _, ok := fieldOf(app, field); !ok {
				add(unknownField(name, app, field))
			}
		}
		if (m.Path == "") != (m.Mount == "") {
			wrong = append(wrong, &InvalidFieldError{Connection: name, App: app, Field: "vault", Problem: "a mount and a path must be given together", Hint: "give both"})
		}
		if m.KV < 0 || m.KV > 2 {
			wrong = append(wrong, &InvalidFieldError{Connection: name, App: app, Field: "kv", Problem: "there is no such version of the key-value engine", Hint: "use 1 or 2"})
		}
	}
	return wrong
}
