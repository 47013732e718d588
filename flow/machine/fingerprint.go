package machine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"time"

	"facteur/flow/call"
	"facteur/flow/schema"
)

// fingerprint returns a short hash of what a call does: its action, connection, step,
// attempt and input.
func fingerprint(c *call.Call) string {
	var buf [384]byte // on the stack; enough for most calls
	var entries [8]schema.Entry
	b := buf[:0]
	for _, s := range [...]string{c.Action, c.Connection, c.Step} {
		b = appendText(b, s)
	}
	b = appendNumber(b, uint64(c.Attempt))
	sum := sha256.Sum256(appendValue(b, c.Input, entries[:0]))
	return string(hex.AppendEncode(b[:0], sum[:8]))
}

// appendValue appends an encoding that is unique to the value: each part has its kind and
// length. entries is scratch memory, a stack: it holds the entries of the objects around the
// value, and its own are appended.
func appendValue(b []byte, v any, entries []schema.Entry) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 'n')
	case string:
		return appendText(append(b, 's'), v)
	case bool:
		b = append(b, 'f')
		if v {
			b = append(b, 't')
		}
	case int64:
		return appendNumber(append(b, 'i'), uint64(v))
	case float64:
		return appendNumber(append(b, 'd'), math.Float64bits(v))
	case time.Time:
		return appendNumber(appendNumber(append(b, '@'), uint64(v.Unix())), uint64(v.Nanosecond()))
	case time.Duration:
		return appendNumber(append(b, '+'), uint64(v))
	case []any:
		b = appendNumber(append(b, 'l'), uint64(len(v)))
		for _, item := range v {
			b = appendValue(b, item, entries)
		}
	case map[string]any:
		b = appendNumber(append(b, 'm'), uint64(len(v)))
		n := len(entries)
		entries = schema.AppendEntries(entries, v)
		for i := n; i < len(entries); i++ {
			b = appendValue(appendText(b, entries[i].Name), entries[i].Value, entries)
		}
	}
	return b
}

func appendNumber(b []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(b, n) }

func appendText(b []byte, s string) []byte { return append(appendNumber(b, uint64(len(s))), s...) }
