package record

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf16"
)

// Hidden replaces a secret or a sensitive value.
const Hidden = "[secret]"

// A Scrubber removes secrets from texts in any encoding: plain, base64 in both alphabets and
// at each of the three alignments, URL-encoded, JSON-escaped, HTML-escaped, hexadecimal. It is
// safe for concurrent use.
type Scrubber struct {
	mu       sync.RWMutex
	patterns []needle
}

// A needle is one encoding of a secret. If before or after is set, an adjacent base64 digit
// may hold some of its bits and is removed as well.
type needle struct {
	form          string
	before, after bool
}

// minSecret is the minimum length of a secret to search for: shorter ones would match in every
// text.
const minSecret = 4

// NewScrubber returns a scrubber of the secrets. Those shorter than four bytes are ignored.
func NewScrubber(secrets ...string) *Scrubber {
	s := &Scrubber{}
	for _, secret := range secrets {
		s.Add(secret)
	}
	return s
}

// Add adds a secret to remove.
func (s *Scrubber) Add(secret string) {
	if len(secret) < minSecret {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.patterns, needle{form: secret}) {
		return
	}
	s.patterns = append(s.patterns, forms(secret)...)
	// The longest first, so that no rest of a long form remains when a short one is
	// found in it.
	slices.SortStableFunc(s.patterns, func(a, b needle) int {
		return cmp.Or(cmp.Compare(len(b.form), len(a.form)), cmp.Compare(a.form, b.form))
	})
	s.patterns = slices.Compact(s.patterns)
}

// Scrub replaces every secret in the text by [secret]. It returns text itself if it holds
// none.
func (s *Scrubber) Scrub(text []byte) []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, n := range s.patterns {
		text = n.scrub(text)
	}
	return text
}

func (n needle) scrub(text []byte) []byte {
	var out []byte
	for {
		at := bytes.Index(text, []byte(n.form))
		if at < 0 {
			break
		}
		end := at + len(n.form)
		if n.before && at > 0 && isBase64(text[at-1]) {
			at--
		}
		if n.after && end < len(text) && isBase64(text[end]) {
			end++
		}
		out = append(append(out, text[:at]...), Hidden...)
		text = text[end:]
	}
	if out == nil {
		return text
	}
	return append(out, text...)
}

func isBase64(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("+/-_", c) >= 0
}

// forms returns the encodings of a secret.
func forms(secret string) []needle {
	var list []needle
	add := func(form string, before, after bool) {
		for _, f := range []string{form, strings.ReplaceAll(form, "/", `\/`), url.QueryEscape(form), lowerEscapes(url.QueryEscape(form)), url.PathEscape(form)} {
			list = append(list, needle{f, before, after})
		}
	}
	add(secret, false, false)
	add(percentEncode(secret), false, false)
	add(html.EscapeString(secret), false, false)
	for _, quoted := range jsonForms(secret) {
		list = append(list, needle{form: quoted})
	}
	digits := hex.EncodeToString([]byte(secret))
	list = append(list, needle{form: digits}, needle{form: strings.ToUpper(digits)})
	for shift := range 3 {
		// Preceding bytes shift the secret within the groups of three; only the digits
		// that depend on the secret alone are searched for.
		bits := 8 * (shift + len(secret))
		skip := (8*shift + 5) / 6
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := enc.EncodeToString(append(make([]byte, shift), secret...))
			add(text[skip:bits/6], shift > 0, bits%6 > 0)
		}
	}
	return list
}

// jsonForms returns the forms of the secret inside JSON strings, and inside JSON that is
// itself in a JSON string.
func jsonForms(secret string) []string {
	escaped, _ := json.Marshal(secret)
	once := string(escaped[1 : len(escaped)-1])
	simple := formatJSON(secret)
	simple = simple[1 : len(simple)-1]
	var ascii strings.Builder
	for _, r := range simple {
		switch {
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&ascii, `\u%04x\u%04x`, high, low)
		case r > 0x7e:
			fmt.Fprintf(&ascii, `\u%04x`, r)
		default:
			ascii.WriteRune(r)
		}
	}
	list := []string{once, simple, ascii.String(), strings.ReplaceAll(simple, "/", `\/`)}
	for _, form := range list[:3] {
		twice := formatJSON(form)
		list = append(list, twice[1:len(twice)-1])
	}
	return list
}

var percentEscape = regexp.MustCompile("%..")

// lowerEscapes writes %2B as %2b.
func lowerEscapes(s string) string { return percentEscape.ReplaceAllStringFunc(s, strings.ToLower) }

// percentEncode writes every byte as %XX.
func percentEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

// secretName reports whether a header or a parameter of that name holds a secret.
func secretName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{
		"authorization", "cookie", "token", "secret", "password", "appsecret_proof",
		"api-key", "apikey", "api_key", "signature",
	}, func(part string) bool { return strings.Contains(name, part) })
}

// secretField reports whether a JSON field of that name holds a secret. There are fewer names,
// because flow_token and next_page_token are not secrets.
func secretField(name string) bool {
	return slices.Contains([]string{
		"access_token", "refresh_token", "id_token", "client_secret", "app_secret", "password", "api_key",
	}, strings.ToLower(name))
}
