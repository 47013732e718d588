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

// shortest is the length from which on a secret is looked for in outcomes: a shorter
// one would be found in innocent words.
const shortest = 6

// A hider replaces secrets wherever a server, or an error, repeats them.
type hider struct {
	mu    sync.Mutex
	known map[credentials]*needles
}

// credentials names the secrets of a connection: the version changes when they do.
type credentials struct{ name, version, user string }

// maxKnown bounds what a hider remembers: secrets change now and then.
const maxKnown = 1000

// hide takes the connection's secrets out of the outcome of an action with such outputs. It
// belongs to the caller alone.
func (h *hider) hide(conn *vault.Connection, out *schema.Type, o *call.Outcome) {
	n := h.needles(conn)
	if o.Error != nil {
		o.Error.Message = n.hideIn(o.Error.Message)
		if n.areIn(o.Error.Details) {
			n.hideInside(o.Error.Details, nil)
		}
	}
	if n.areIn(o.Output) {
		n.hideInside(o.Output, out)
	}
}

func (h *hider) needles(conn *vault.Connection) *needles {
	c := credentials{conn.Name, conn.Version, conn.Get("username")}
	h.mu.Lock()
	defer h.mu.Unlock()
	n, ok := h.known[c]
	if ok && c.version != "" {
		return n
	}
	if h.known == nil || len(h.known) >= maxKnown {
		h.known = map[credentials]*needles{}
	}
	n = newNeedles(conn)
	h.known[c] = n
	return n
}

// Hidden takes the secrets of a connection out of a text, in whatever form they stand there.
func Hidden(conn *vault.Connection) func(text string) string { return newNeedles(conn).hideIn }

// needles are what is looked for. A number is one only where anything may stand: elsewhere
// it is what the action's type says, and no text can take its place.
type needles struct {
	texts   []string // the longest first: one may hold another
	least   int      // the length of the shortest
	numbers []float64
}

func newNeedles(conn *vault.Connection) *needles {
	n := &needles{}
	for _, secret := range conn.Secrets {
		v := secret.Reveal()
		if len(v) < shortest {
			continue
		}
		n.texts = append(n.texts, forms(conn.Get("username"), v)...)
		if x, ok := number(v); ok {
			n.numbers = append(n.numbers, x)
		}
	}
	slices.SortFunc(n.texts, func(a, b string) int { return len(b) - len(a) })
	if len(n.texts) > 0 {
		n.least = len(n.texts[len(n.texts)-1])
	}
	return n
}

// number is what a server's JSON may make of a secret.
func number(secret string) (float64, bool) {
	if strings.Trim(secret, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(secret, 64)
	return n, err == nil && n >= math.Pow10(shortest-1)
}

// forms are the ways in which a credential may be written: as it is, in base64 with the
// user and without, escaped for an address or in JSON. Padding does not matter.
func forms(user, secret string) []string {
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

// areIn tells whether one of them may be in a value, or in a name or value anywhere inside.
// Hardly ever is one.
func (n *needles) areIn(v any) bool {
	switch v := v.(type) {
	case string:
		return len(v) >= n.least && n.areInText(v)
	case int64:
		return slices.Contains(n.numbers, float64(v))
	case float64:
		return slices.Contains(n.numbers, v)
	case map[string]any:
		for name, inner := range v {
			if len(name) >= n.least && n.areInText(name) || n.areIn(inner) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, n.areIn)
	}
	return false
}

func (n *needles) areInText(text string) bool {
	return slices.ContainsFunc(n.texts, func(needle string) bool { return strings.Contains(text, needle) })
}

// hideIn hides in a text.
func (n *needles) hideIn(text string) string {
	for _, needle := range n.texts {
		text = strings.ReplaceAll(text, needle, "[secret]")
	}
	return text
}

// hideInside hides in the names and values of an object, at any depth. A nil type is any.
func (n *needles) hideInside(object map[string]any, t *schema.Type) {
	for k, v := range object {
		after, changed := n.hideAny(v, inside(t, k))
		if name := n.hideIn(k); name != k {
			delete(object, k)
			object[name] = after
		} else if changed {
			object[k] = after
		}
	}
}

// inside is the type of a field.
func inside(t *schema.Type, name string) *schema.Type {
	if t == nil {
		return nil
	}
	if f := t.Field(name); f != nil {
		return f.Type
	}
	return t.Elem
}

func (n *needles) hideAny(v any, t *schema.Type) (after any, changed bool) {
	switch v := v.(type) {
	case string:
		if text := n.hideIn(v); text != v {
			return text, true
		}
	case int64:
		return n.hideNumber(v, float64(v), t)
	case float64:
		return n.hideNumber(v, v, t)
	case map[string]any:
		n.hideInside(v, t)
	case []any:
		for i, inner := range v {
			if after, changed := n.hideAny(inner, inside(t, "")); changed {
				v[i] = after
			}
		}
	}
	return v, false
}

func (n *needles) hideNumber(v any, x float64, t *schema.Type) (after any, changed bool) {
	if (t == nil || t.Kind == schema.Any) && slices.Contains(n.numbers, x) {
		return "[secret]", true
	}
	return v, false
}
