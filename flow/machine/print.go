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

// printOf identifies a call by what it does.
func printOf(c *call.Call) string {
	var room [384]byte // most calls need no more
	var open [8]schema.Entry
	p := room[:0]
	for _, s := range [...]string{c.Action, c.Connection, c.Step} {
		p = appendText(p, s)
	}
	p = appendNumber(p, uint64(c.Attempt))
	sum := sha256.Sum256(appendValue(p, c.Input, open[:0]))
	return string(hex.AppendEncode(p[:0], sum[:8]))
}

// appendValue adds bytes that two values share only if they are the same: each part says
// its kind, and how long it is. open are the entries of the objects that it stands in; its
// own are put behind them.
func appendValue(b []byte, v any, open []schema.Entry) []byte {
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
			b = appendValue(b, item, open)
		}
	case map[string]any:
		b = appendNumber(append(b, 'm'), uint64(len(v)))
		n := len(open)
		open = schema.AppendEntries(open, v)
		for i := n; i < len(open); i++ {
			b = appendValue(appendText(b, open[i].Name), open[i].Value, open)
		}
	}
	return b
}

func appendNumber(b []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(b, n) }

func appendText(b []byte, s string) []byte { return append(appendNumber(b, uint64(len(s))), s...) }
