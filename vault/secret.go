package vault

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// hidden is what every way of printing a Secret shows.
const hidden = "[secret]"

// A Secret is a value that must not be seen. It prints as [secret] in every
// format, as JSON and in logs. The zero Secret is empty.
type Secret struct {
	_ [0]func() // == would compare addresses: use Equal

	// A pointer, because fmt calls no method on an unexported field of some
	// other struct: there it prints this address.
	value *string
}

// NewSecret hides a value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: &value}
}

// Reveal returns the value. Only this package and actions call it, and they
// put it into a request and nowhere else.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether there is no value.
func (s Secret) IsZero() bool { return s.value == nil }

// Equal reports whether the secret has that value, in constant time.
func (s Secret) Equal(value string) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(value)) == 1
}

// String returns "[secret]".
func (Secret) String() string { return hidden }

// Format writes "[secret]", whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// MarshalText returns "[secret]", in JSON, too.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue returns "[secret]".
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// mask shows enough of a secret to tell it from another: two characters at
// either end, and nothing of one shorter than twelve.
func (s Secret) mask() string {
	r := []rune(s.Reveal())
	if len(r) < 12 {
		return "…"
	}
	return string(r[:2]) + "…" + string(r[len(r)-2:])
}
