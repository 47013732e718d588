package simulator

import (
	"encoding/base64"
	"math/rand/v2"
	"strconv"
)

const (
	base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	hexUpper  = "0123456789ABCDEF"
)

// traceID makes an fbtrace_id, 23 letters, and 11 letters more. Nothing depends on them, so
// they do not come from the seed.
func traceID() string {
	b := make([]byte, 34)
	randomLetters(b, base64URL, rand.Uint64)
	b[0] = 'A'
	return string(b)
}

// wamid makes the id of a message to or from somebody, as WhatsApp builds them: the
// person's number, the direction and a random part, in base64. The simulator is locked.
func (s *Simulator) wamid(person string, inbound bool) string {
	if len(person) > 40 {
		person = person[:40]
	}
	b := make([]byte, 0, 96)
	b = append(b, 0x1c, 0x18, byte(len(person)))
	b = append(b, person...)
	n := 18
	if inbound {
		b, n = append(b, 0x15, 0x02, 0x00, 0x12, 0x18, 20), 20
	} else {
		b = append(b, 0x15, 0x02, 0x00, 0x11, 0x18, 18)
	}
	b = b[:len(b)+n]
	randomLetters(b[len(b)-n:], hexUpper, s.random.Uint64)
	b = append(b, 0x00)
	out := make([]byte, 6+base64.StdEncoding.EncodedLen(len(b)))
	copy(out, "wamid.")
	base64.StdEncoding.Encode(out[6:], b)
	return string(out)
}

// randomLetters fills b with random letters of an alphabet, whose length divides 64.
func randomLetters(b []byte, alphabet string, random func() uint64) {
	var left uint64
	for i := range b {
		if i%10 == 0 {
			left = random()
		}
		b[i] = alphabet[left&63%uint64(len(alphabet))]
		left >>= 6
	}
}

// objectID makes the ID of an upload or a template. The simulator is locked.
func (s *Simulator) objectID() string {
	return strconv.FormatUint(1_000_000_000_000_000+s.random.Uint64N(8_999_999_999_999_999), 10)
}
