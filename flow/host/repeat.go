package host

import (
	"bytes"
	"fmt"

	"facteur/flow/schema"
)

// Prints returns what tells the inputs of a start from those of another one with the same
// key: the two are the same when they have a print in common. What a plan coerced is another
// when its defaults have changed since, and what was given when a client writes the same in
// another way: either is enough. What it returns is not sealed.
func (s Start) Prints() ([][]byte, error) {
	coerced, err := schema.AppendJSON(nil, s.Inputs)
	if err != nil {
		return nil, fmt.Errorf("store the inputs: %w", err)
	}
	if s.Given == nil {
		return [][]byte{coerced}, nil
	}
	given, err := schema.AppendJSON(nil, s.Given)
	if err != nil {
		return nil, fmt.Errorf("store the inputs: %w", err)
	}
	if bytes.Equal(coerced, given) {
		return [][]byte{coerced}, nil
	}
	return [][]byte{coerced, given}, nil
}
