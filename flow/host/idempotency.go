package host

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"

	"facteur/flow/schema"
)

// KeyedID returns the id of the run that an idempotency key starts. hash is a keyed hash, so that
// the id does not reveal the key to those who try likely ones. nil: none.
func KeyedID(hash func(string) string, flow, key string) string {
	of := flow + "\n" + key
	if hash != nil {
		of = hash(of)
	}
	sum := sha256.Sum256([]byte(of))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:26]
}

// FingerprintSize is the length of a fingerprint in bytes.
const FingerprintSize = 16

// Fingerprints returns fingerprints of the start's inputs. Two starts with the same key have the
// same inputs if they share one: the inputs as the plan coerced them change with the plan's
// defaults, and the inputs as given with the way a client writes them; either being the same is
// enough.
//
// A fingerprint is a digest of what hash, a keyed hash, returns, so that it does not reveal short
// inputs to those who try likely ones. nil: a digest of the inputs themselves.
func (s Start) Fingerprints(hash func(string) string) ([][]byte, error) {
	prints := make([][]byte, 0, 2)
	for _, inputs := range [...]map[string]any{s.Inputs, s.Given} {
		if inputs == nil && len(prints) > 0 {
			break
		}
		text, err := schema.AppendJSON(nil, inputs)
		if err != nil {
			return nil, fmt.Errorf("store the inputs: %w", err)
		}
		prints = append(prints, text)
	}
	if len(prints) == 2 && bytes.Equal(prints[0], prints[1]) {
		prints = prints[:1]
	}
	for i, text := range prints {
		if hash != nil {
			text = []byte(hash(string(text)))
		}
		sum := sha256.Sum256(text)
		prints[i] = sum[:FingerprintSize]
	}
	return prints, nil
}
