package actions

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"facteur/flow/call"
	"facteur/flow/schema"
	"facteur/vault"
)

// minSecret is the length of the shortest secret that is redacted: a shorter one would be found in
// ordinary words.
const minSecret = 6

// A redactor replaces secrets wherever a server, or an error, repeats them.
type redactor struct {
	mu    sync.Mutex
	cache map[credentials]*secretForms
}

// credentials is a cache key for the secrets of a connection: the version changes with them.
type credentials struct{ name, version, user string }

// maxCached bounds the cache of a redactor: secrets change now and then.
const maxCached = 1000

// redact takes the connection's secrets out of the outcome of an action with such outputs. It
// belongs to the caller alone.
func (h *redactor) redact(conn *vault.Connection, out *schema.Type, o *call.Outcome) {
	n := h.secretsOf(conn)
	if o.Error != nil {
		o.Error.Message = n.redactText(o.Error.Message)
		n.redactObject(o.Error.Details, nil)
	}
	n.redactObject(o.Output, out)
}

func (h *redactor) secretsOf(conn *vault.Connection) *secretForms {
	c := credentials{conn.Name, conn.Version, conn.Get("username")}
	h.mu.Lock()
	defer h.mu.Unlock()
	n, ok := h.cache[c]
	if ok && c.version != "" {
		return n
	}
	if h.cache == nil || len(h.cache) >= maxCached {
		h.cache = map[credentials]*secretForms{}
	}
	n = newSecretForms(conn)
	h.cache[c] = n
	return n
}

// RedactSecrets returns a function that redacts the secrets of a connection in a text, in any
// encoding.
func RedactSecrets(conn *vault.Connection) func(text string) string {
	return newSecretForms(conn).redactText
}

// secretForms are the secrets of a connection in all encodings. Numbers are only redacted in values
// of type any: elsewhere the action's type wants a number, which no text can replace.
type secretForms struct {
	texts   []string // the longest first: one may hold another
	numbers []float64
}

func newSecretForms(conn *vault.Connection) *secretForms {
	n := &secretForms{}
	for _, secret := range conn.Secrets {
		v := secret.Reveal()
		if len(v) < minSecret {
			continue
		}
		n.texts = append(n.texts, encodings(conn.Get("username"), v)...)
		if x, ok := number(v); ok {
			n.numbers = append(n.numbers, x)
		}
	}
	slices.SortFunc(n.texts, func(a, b string) int { return len(b) - len(a) })
	return n
}

// number is the number that a secret may have become in a server's JSON.
func number(secret string) (float64, bool) {
	if strings.Trim(secret, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(secret, 64)
	return n, err == nil && n >= math.Pow10(minSecret-1)
}

// encodings are the ways in which a credential may be written: as it is, in base64 with the
// user and without, escaped for an address or in JSON. Padding does not matter.
func encodings(user, secret string) []string {
	raw := []string{secret}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		raw = append(raw, encoding.EncodeToString([]byte(secret)))
		if user != "" {
			raw = append(raw, encoding.EncodeToString([]byte(user+":"+secret)))
		}
	}
	all := slices.Clone(raw)
	for _, form := range raw {
		quoted, _ := json.Marshal(form) // a text is never an error
		all = append(all, url.QueryEscape(form), url.PathEscape(form), strings.Trim(string(quoted), `"`))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// redactText replaces them in a text.
func (n *secretForms) redactText(text string) string {
	for _, needle := range n.texts {
		text = strings.ReplaceAll(text, needle, "[secret]")
	}
	return text
}

// redactObject replaces them in the names and values of an object, at any depth. A nil type is any.
func (n *secretForms) redactObject(object map[string]any, t *schema.Type) {
	for k, v := range object {
		after, changed := n.redactValue(v, fieldType(t, k))
		if name := n.redactText(k); name != k {
			delete(object, k)
			object[name] = after
		} else if changed {
			object[k] = after
		}
	}
}

// fieldType is the type of a field.
func fieldType(t *schema.Type, name string) *schema.Type {
	if t == nil {
		return nil
	}
	if f := t.Field(name); f != nil {
		return f.Type
	}
	return t.Elem
}

func (n *secretForms) redactValue(v any, t *schema.Type) (after any, changed bool) {
	switch v := v.(type) {
	case string:
		if text := n.redactText(v); text != v {
			return text, true
		}
	case int64:
		return n.redactNumber(v, float64(v), t)
	case float64:
		return n.redactNumber(v, v, t)
	case map[string]any:
		n.redactObject(v, t)
	case []any:
		for i, inner := range v {
			if after, changed := n.redactValue(inner, fieldType(t, "")); changed {
				v[i] = after
			}
		}
	}
	return v, false
}

func (n *secretForms) redactNumber(v any, x float64, t *schema.Type) (after any, changed bool) {
	if (t == nil || t.Kind == schema.Any) && slices.Contains(n.numbers, x) {
		return "[secret]", true
	}
	return v, false
}
