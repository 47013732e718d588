package machine

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"

	"facteur/flow/expr"
)

// A randomSource gives the random values of one place of the run. They depend on the run's
// seed, the place, and how often the place has drawn before, and on nothing else.
type randomSource struct {
	m      *Machine
	prefix string // env.pathPrefix
	place  string
}

var _ expr.Random = (*randomSource)(nil)

func (d *randomSource) bytes() [sha256.Size]byte {
	place := d.prefix + d.place
	n := d.m.drawCounts[place]
	put(&d.m.drawCounts, place, n+1)
	h := hmac.New(sha256.New, d.m.start.Seed)
	h.Write([]byte(place))
	var counter [9]byte // the first byte ends the place
	binary.BigEndian.PutUint64(counter[1:], n)
	h.Write(counter[:])
	return [sha256.Size]byte(h.Sum(nil))
}

// Int returns an integer from a to b, both included.
func (d *randomSource) Int(a, b int64) (int64, error) {
	if a > b {
		return 0, fmt.Errorf("random(%d, %d): the first number is greater than the second", a, b)
	}
	if len(d.m.random) > 0 {
		n := d.m.random[0]
		if n < a || n > b {
			return 0, fmt.Errorf("random(%d, %d): the number from the test, %d, is not between them", a, b, n)
		}
		d.m.random = d.m.random[1:]
		d.m.drawn = append(d.m.drawn, n)
		return n, nil
	}
	// 256 bits modulo a span of at most 64: the bias is below one in 2^192.
	raw := d.bytes()
	span := new(big.Int).Sub(big.NewInt(b), big.NewInt(a))
	span.Add(span, big.NewInt(1))
	n := new(big.Int).Mod(new(big.Int).SetBytes(raw[:]), span)
	drawn := n.Add(n, big.NewInt(a)).Int64()
	d.m.drawn = append(d.m.drawn, drawn)
	return drawn, nil
}

// Drawn returns the integers that random() has returned in the run, in order. As
// Start.Random they make a test draw the same. The caller must not change it.
func (m *Machine) Drawn() []int64 { return m.drawn }

// UUID returns a random UUID, version 4.
func (d *randomSource) UUID() string {
	raw := d.bytes()
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", raw[0:4], raw[4:6], raw[6:8], raw[8:10], raw[10:16])
}

// fraction returns a number from 0 up to 1.
func (d *randomSource) fraction() float64 {
	raw := d.bytes()
	return float64(binary.BigEndian.Uint64(raw[:8])>>11) / (1 << 53)
}
