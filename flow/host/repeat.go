package host

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"

	"facteur/flow/schema"
)

// KeyedID returns the id of the run that a key of idempotency begins of a flow.
// hash is a keyed one, so that nobody who knows the id finds the key by trying. nil: none.
func KeyedID(hash func(string) string, flow, key string) string {
	of := flow + "\n" + key
	if hash != nil {
		of = hash(of)
	}
	sum := sha256.Sum256([]byte(of))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:26]
}

// PrintSize is how long a print is, in bytes.
const PrintSize = 16

// Prints returns what tells the inputs of a start from those of another one with the same
// key: the two are the same when they have a print in common. What a plan coerced is another
// when its defaults have changed since, and what was given when a client writes the same in
// another way: either is enough.
//
// A print is made of what hash, a keyed one, returns: who reads it must not find short inputs
// by trying. nil: of the inputs themselves.
func (s Start) Prints(hash func(string) string) ([][]byte, error) {
	texts := make([][]byte, 0, 2)
	for _, inputs := range [...]map[string]any{s.Inputs, s.Given} {
		if inputs == nil && len(texts) > 0 {
			break
		}
		text, err := schema.AppendJSON(nil, inputs)
		if err != nil {
			return nil, fmt.Errorf("store the inputs: %w", err)
		}
		texts = append(texts, text)
	}
	if len(texts) == 2 && bytes.Equal(texts[0], texts[1]) {
		texts = texts[:1]
	}
	for i, text := range texts {
		if hash != nil {
			text = []byte(hash(string(text)))
		}
		sum := sha256.Sum256(text)
		texts[i] = sum[:PrintSize]
	}
	return texts, nil
}
