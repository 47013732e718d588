package machine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"time"

	"facteur/flow/call"
)

// print identifies a call by what it does.
func (m *Machine) print(c *call.Call) string {
	if m.buf == nil {
		m.buf = make([]byte, 0, 512)
	}
	p := printer(m.buf[:0])
	for _, s := range [...]string{c.Action, c.Connection, c.Step} {
		p.text(s)
	}
	p.number(uint64(c.Attempt))
	p.value(c.Input)
	m.buf = p
	sum := sha256.Sum256(p)
	var digits [16]byte
	hex.Encode(digits[:], sum[:len(digits)/2])
	return string(digits[:])
}

// printed gives bytes that two values share only if they are the same.
func printed(v any) []byte {
	var p printer
	p.value(v)
	return p
}

// A printer writes values so that two of them give the same bytes only if they are the
// same: each part says its kind, and how long it is.
type printer []byte

func (p *printer) number(n uint64) { *p = binary.BigEndian.AppendUint64(*p, n) }

func (p *printer) text(s string) {
	p.number(uint64(len(s)))
	*p = append(*p, s...)
}

func (p *printer) kind(k byte) { *p = append(*p, k) }

func (p *printer) value(v any) {
	switch v := v.(type) {
	case nil:
		p.kind('n')
	case string:
		p.kind('s')
		p.text(v)
	case bool:
		p.kind('f')
		if v {
			p.kind('t')
		}
	case int64:
		p.kind('i')
		p.number(uint64(v))
	case float64:
		p.kind('d')
		p.number(math.Float64bits(v))
	case time.Time:
		p.kind('@')
		p.number(uint64(v.Unix()))
		p.number(uint64(v.Nanosecond()))
	case time.Duration:
		p.kind('+')
		p.number(uint64(v))
	case []any:
		p.kind('l')
		p.number(uint64(len(v)))
		for _, item := range v {
			p.value(item)
		}
	case map[string]any:
		p.kind('m')
		p.number(uint64(len(v)))
		var room [16]string
		names := room[:0]
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			p.text(name)
			p.value(v[name])
		}
	}
}
