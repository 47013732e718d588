package actions

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"

	"facteur/flow/call"
	"facteur/vault"
)

// shortest is the length from which on a secret is looked for in outcomes: a shorter
// one would be found in innocent words.
const shortest = 6

// A hider replaces secrets wherever a server, or an error, repeats them.
type hider struct {
	mu    sync.Mutex
	known map[credential][]string // the forms of each, made once
}

type credential struct{ user, secret string }

// maxKnown bounds what a hider remembers: secrets change now and then.
const maxKnown = 1000

// hide takes the connection's secrets out of an outcome, which belongs to the caller
// alone.
func (h *hider) hide(conn *vault.Connection, o *call.Outcome) {
	var room [16]string
	needles := room[:0]
	user := conn.Get("username")
	for _, secret := range conn.Secrets {
		if v := secret.Reveal(); len(v) >= shortest {
			needles = append(needles, h.forms(credential{user, v})...)
		}
	}
	if len(needles) == 0 {
		return
	}
	// The longest first: one form may hold another.
	slices.SortFunc(needles, func(a, b string) int { return len(b) - len(a) })
	if o.Error != nil {
		o.Error.Message = hideIn(o.Error.Message, needles)
		hideInside(o.Error.Details, needles)
	}
	hideInside(o.Output, needles)
}

func (h *hider) forms(c credential) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	forms, ok := h.known[c]
	if !ok {
		if h.known == nil || len(h.known) >= maxKnown {
			h.known = map[credential][]string{}
		}
		forms = c.forms()
		h.known[c] = forms
	}
	return forms
}

// forms are the ways in which a credential may be written: as it is, in base64 with the
// user and without, escaped for an address or in JSON. Padding does not matter.
func (c credential) forms() []string {
	raw := []string{c.secret}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		raw = append(raw, encoding.EncodeToString([]byte(c.secret)))
		if c.user != "" {
			raw = append(raw, encoding.EncodeToString([]byte(c.user+":"+c.secret)))
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

// hideIn hides in a text; the shortest needle is the last.
func hideIn(text string, needles []string) string {
	if len(text) < len(needles[len(needles)-1]) {
		return text
	}
	for _, needle := range needles {
		if strings.Contains(text, needle) {
			text = strings.ReplaceAll(text, needle, "[secret]")
		}
	}
	return text
}

// hideInside hides in the names and texts of an object, at any depth.
func hideInside(object map[string]any, needles []string) {
	for k, v := range object {
		after, changed := hideAny(v, needles)
		if name := hideIn(k, needles); name != k {
			delete(object, k)
			object[name] = after
		} else if changed {
			object[k] = after
		}
	}
}

func hideAny(v any, needles []string) (after any, changed bool) {
	switch v := v.(type) {
	case string:
		if text := hideIn(v, needles); text != v {
			return text, true
		}
	case map[string]any:
		hideInside(v, needles)
	case []any:
		for i, inner := range v {
			if after, changed := hideAny(inner, needles); changed {
				v[i] = after
			}
		}
	}
	return v, false
}
