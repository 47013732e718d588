package vault

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
)

const hashicorpName = "hashicorp"

// Hashicorp is a HashiCorp Vault server and how to log in: with exactly one of
// Token, TokenFile and AppRole.
type Hashicorp struct {
	Address   string // https://vault.internal:8200
	Namespace string // "" for none
	CACert    string // a PEM file to trust instead of the system's certificates

	Token     Secret
	TokenFile string // read again when the token expires or is refused
	AppRole   *AppRole

	// Timeout bounds one operation, with its login and its retries: 5 seconds
	// if it is zero.
	Timeout time.Duration
}

// AppRole logs in with a role ID and a secret ID.
type AppRole struct {
	Mount        string // of the auth method: "approle" if it is empty
	RoleID       string
	RoleIDFile   string // instead of RoleID
	SecretID     Secret
	SecretIDFile string // instead of SecretID; read at every login
}

// hashicorp reads the paths that the project file names, and no others. It
// neither lists paths nor reads the mounts, so that a policy that allows reading
// these paths is enough.
type hashicorp struct {
	login
	mappings map[string]Mapping

	mu sync.Mutex
	kv map[string]int // detected versions of engines, by mount
}

func newHashicorp(lifetime context.Context, cfg Hashicorp, mapped map[string]Mapping, now func() time.Time) (*hashicorp, error) {
	cfg.Timeout = cmp.Or(cfg.Timeout, 5*time.Second)
	h := &hashicorp{
		login:    login{cfg: cfg, lifetime: lifetime, now: now, afterFunc: afterFunc},
		mappings: mapped,
		kv:       map[string]int{},
	}
	if err := h.login.check(); err != nil {
		return nil, err
	}
	var err error
	if h.client, err = newClient(cfg); err != nil {
		return nil, err
	}
	h.loginClient, err = newClient(cfg)
	return h, err
}

func (h *hashicorp) read(ctx context.Context, name string) (record, error) {
	m := h.mappings[name]
	var e kvSecret
	err := h.do(ctx, func(ctx context.Context) (err error) {
		e, err = h.get(ctx, m)
		return err
	})
	if err != nil {
		return record{}, h.fail("read", name, m, e.kv, err)
	}
	if e.data == nil {
		err := h.fail("read", name, m, e.kv, api.ErrSecretNotFound)
		if e.version > 0 {
			err.why = "its latest version was deleted"
		}
		return record{}, err
	}
	return e.record(name, m)
}

// kvSecret is what is at a path. Without data there is nothing, or nothing more:
// then version is that of what was deleted.
type kvSecret struct {
	data    map[string]any
	kv      int // the engine's version, as far as it is known
	version int // of the secret; 0 with version 1 of the engine
	written time.Time
}

func (e kvSecret) record(name string, m Mapping) (record, error) {
	r := record{setup: map[string]string{}, secrets: map[string]Secret{}, updated: e.written}
	if e.version == 1 {
		r.created = e.written
	}
	app := cmp.Or(m.App, WhatsApp)
	for _, f := range Fields(app) {
		key, ok := m.key(f.Name)
		value, there := e.data[key]
		if !ok || !there || value == nil {
			continue
		}
		text, problem := asText(value)
		switch {
		case problem != "":
			return record{}, &InvalidFieldError{
				Connection: name, App: app, Field: f.Name,
				Problem: fmt.Sprintf("key %q of %s/%s %s", key, m.Mount, m.Path, problem), Hint: "store it as text",
			}
		case text == "":
		case f.Secret:
			r.secrets[f.Name] = NewSecret(text)
		default:
			r.setup[f.Name] = text
		}
	}
	return r, nil
}

// asText is the value of a field. An ID may have been stored as a number: version 2 of the
// engine stores numbers as floats, so a long one has lost its last digits.
func asText(value any) (text, problem string) {
	switch v := value.(type) {
	case string:
		return v, ""
	case json.Number:
		const exact = 1 << 53
		if n, err := v.Int64(); err != nil || n > exact || n < -exact {
			return "", "is a number, which may have lost digits"
		}
		return v.String(), ""
	}
	return "", "is not text"
}

// key is the key of a field in the secret at the path.
func (m Mapping) key(field string) (string, bool) {
	if len(m.Fields) == 0 {
		return field, true
	}
	key, ok := m.Fields[field]
	return cmp.Or(key, field), ok
}

// get reads the path, and detects the engine's version if need be: it tries
// version 2, then version 1. An engine that was detected as version 1 may have
// been upgraded since.
func (h *hashicorp) get(ctx context.Context, m Mapping) (kvSecret, error) {
	kv := m.KV
	if kv == 0 {
		h.mu.Lock()
		kv = h.kv[m.Mount]
		h.mu.Unlock()
	}
	if kv == 1 {
		e, _, err := h.getV1(ctx, m)
		if m.KV == 1 || e.data != nil || err != nil && (!isDenied(err) || isInvalidToken(err)) {
			return e, err
		}
	}
	e, err := h.getV2(ctx, m)
	if kv == 2 || err == nil && e.version > 0 {
		h.setKV(m.Mount, 2)
		return e, err
	}
	if err != nil && (!isDenied(err) || isInvalidToken(err)) {
		return e, err
	}
	switch one, versioned, err1 := h.getV1(ctx, m); {
	case err1 == nil && one.data != nil:
		h.setKV(m.Mount, 1)
		return one, nil
	case versioned:
		h.setKV(m.Mount, 2)
	case err1 == nil: // version 1, with nothing at the path
		return one, nil
	case !isDenied(err1):
		return e, err1
	}
	return e, err
}

func (h *hashicorp) setKV(mount string, kv int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kv[mount] = kv
}

func (h *hashicorp) getV2(ctx context.Context, m Mapping) (kvSecret, error) {
	e := kvSecret{kv: 2}
	s, err := h.client.KVv2(m.Mount).Get(ctx, m.Path)
	if errors.Is(err, api.ErrSecretNotFound) {
		return e, nil
	}
	if err != nil {
		return e, err
	}
	if s.VersionMetadata == nil {
		return e, errNotVault
	}
	e.data, e.version, e.written = s.Data, s.VersionMetadata.Version, s.VersionMetadata.CreatedTime
	return e, nil
}

// getV1 also reports whether the engine is of version 2, which warns about a path
// without data/.
func (h *hashicorp) getV1(ctx context.Context, m Mapping) (e kvSecret, versioned bool, err error) {
	e.kv = 1
	s, err := h.client.KVv1(m.Mount).Get(ctx, m.Path)
	if errors.Is(err, api.ErrSecretNotFound) {
		return e, false, nil
	}
	if err != nil {
		return e, false, err
	}
	for _, warning := range s.Raw.Warnings {
		versioned = versioned || strings.Contains(warning, "versioned")
	}
	e.data = s.Data
	return e, versioned, nil
}

// maxConflicts bounds the attempts of a write that loses a race to another one.
const maxConflicts = 3

func (h *hashicorp) write(ctx context.Context, name string, edit edit) error {
	m := h.mappings[name]
	changes, err := edit.changes(name, m)
	if err != nil {
		return err
	}
	kv := 0
	err = h.do(ctx, func(ctx context.Context) error {
		for try := 1; ; try++ {
			e, err := h.get(ctx, m)
			kv = e.kv
			if err != nil {
				return err
			}
			err = h.put(ctx, m, e, changes, edit.remove)
			if try < maxConflicts && isConflict(err) {
				continue
			}
			return err
		}
	})
	if err == nil || errors.Is(err, errAbsent) {
		return err
	}
	return h.fail("write", name, m, kv, err)
}

// changes returns the keys to set, with nil for those to remove.
func (e edit) changes(name string, m Mapping) (map[string]any, error) {
	app := cmp.Or(e.app, m.App, WhatsApp)
	changes := map[string]any{}
	for _, f := range Fields(app) {
		value, given := e.setup[f.Name]
		if secret, ok := e.secrets[f.Name]; ok {
			value, given = secret.Reveal(), true
		}
		key, mapped := m.key(f.Name)
		switch {
		case e.remove && mapped:
			changes[key] = nil
		case !given:
		case !mapped:
			return nil, &InvalidFieldError{
				Connection: name, App: app, Field: f.Name,
				Problem: fmt.Sprintf("the project file does not map it to a key of %s/%s", m.Mount, m.Path),
				Hint:    "add it to fields there, or give it in the project file if it is not a secret",
			}
		case value == "":
			changes[key] = nil
		default:
			changes[key] = value
		}
	}
	return changes, nil
}

// put makes the changes and leaves other keys as they are. With version 2 it
// fails if there was another write since e was read; version 1 cannot tell.
func (h *hashicorp) put(ctx context.Context, m Mapping, e kvSecret, changes map[string]any, remove bool) error {
	data := maps.Clone(e.data)
	if data == nil {
		data = map[string]any{}
	}
	for key, value := range changes {
		if value == nil {
			delete(data, key)
		} else {
			data[key] = value
		}
	}
	if remove && len(data) == len(e.data) {
		return errAbsent
	}
	if e.kv == 1 {
		if len(data) == 0 {
			return h.client.KVv1(m.Mount).Delete(ctx, m.Path)
		}
		return h.client.KVv1(m.Mount).Put(ctx, m.Path, data)
	}
	engine := h.client.KVv2(m.Mount)
	if len(data) == 0 && e.data != nil {
		return engine.Delete(ctx, m.Path)
	}
	_, err := engine.Put(ctx, m.Path, data, api.WithCheckAndSet(e.version))
	if isDenied(err) && !isInvalidToken(err) && e.data != nil {
		// A policy may allow patch and not update.
		_, patchErr := engine.Patch(ctx, m.Path, changes, api.WithCheckAndSet(e.version))
		if patchErr == nil || !isDenied(patchErr) {
			return patchErr
		}
	}
	return err
}

// apiPath is the path as the server and its policies know it.
func (m Mapping) apiPath(kv int) string {
	if kv == 1 || m.KV == 1 {
		return m.Mount + "/" + m.Path
	}
	return m.Mount + "/data/" + m.Path
}

// fail explains an error about a path.
func (h *hashicorp) fail(op, name string, m Mapping, kv int, err error) *BackendError {
	e := h.explain(op, err)
	e.Connection = name
	if e.Op != op { // it failed before the path was used, e.g. in the login
		return e
	}
	path := m.apiPath(kv)
	e.Where = path + " at " + e.Where
	switch e.Reason {
	case Denied:
		right := "read"
		if op == "write" {
			right = "read, create and update"
		}
		e.Hint = fmt.Sprintf("allow the policy of the token or AppRole to %s %s", right, path)
		if kv == 0 || kv == 2 && m.KV == 0 {
			e.Hint += fmt.Sprintf(" (%s with version 1 of the engine)", m.apiPath(1))
		}
	case NotFound:
		e.Hint = fmt.Sprintf("check the connection's vault.mount and vault.path, or write it with vault kv put -mount=%s %s …", m.Mount, m.Path)
	}
	return e
}

func status(err error) int {
	if r, ok := errors.AsType[*api.ResponseError](err); ok {
		return r.StatusCode
	}
	return 0
}

func isDenied(err error) bool { return status(err) == http.StatusForbidden && !isNotVault(err) }

func isConflict(err error) bool {
	return status(err) == http.StatusBadRequest && hasError(err, "check-and-set")
}

// isInvalidToken reports whether the server said that the token is not valid. Servers
// before 1.17 say only that permission is denied.
func isInvalidToken(err error) bool { return isDenied(err) && hasError(err, "invalid token") }

// hasError reports whether a text is in the errors of the server's answer.
func hasError(err error, text string) bool {
	r, ok := errors.AsType[*api.ResponseError](err)
	return ok && strings.Contains(strings.Join(r.Errors, "\n"), text)
}
