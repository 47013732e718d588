package temporal

import (
	"fmt"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"

	"google.golang.org/protobuf/proto"
)

// The server takes no value of more than 2 MB, and ends a workflow that hands it one. So
// nothing is handed to it that might be larger: what a run begins with is refused, and a
// call that is given or answers more fails, visibly.

const (
	// maxPayload bounds a value, in bytes. What is sealed is a little larger.
	maxPayload = 1_900_000
	// maxAnswer bounds the answer of a call: some of it stands beside others.
	maxAnswer = 1_500_000
	// longField is how many bytes a field of an answer has at most that is kept when the
	// answer as a whole is too large.
	longField = 16 << 10

	// maxMade is how many calls of a run are under way at most: the server allows for
	// 2,000 activities.
	maxMade = 1000
	// maxSent is how many bytes of inputs are handed to the server at once.
	maxSent = 1 << 20
)

// checkSize tells whether the server takes a value of about so many bytes.
func (h *Host) checkSize(what string, v any, about int) error {
	if about < maxPayload/2 {
		return nil
	}
	bytes, err := h.sizeOf(v)
	if err == nil && bytes > maxPayload {
		err = &host.TooLargeError{What: what, Bytes: bytes, Most: maxPayload}
	}
	return err
}

// weightOf is how many bytes some sources have.
func weightOf(sources map[string]string) (bytes int) {
	for _, text := range sources {
		bytes += len(text)
	}
	return bytes
}

// sizeOf returns how many bytes the server would be handed.
func (h *Host) sizeOf(v any) (int, error) {
	payloads, err := newConverter(h.opts).ToPayloads(v)
	return proto.Size(payloads), err
}

// bulk is about how many bytes a value has as JSON. It is the same for the same value, on
// any machine and in any version.
func bulk(v any) int {
	switch v := v.(type) {
	case string:
		return len(v) + 2
	case []byte:
		return len(v)*4/3 + 2
	case []any:
		bytes := 2
		for _, one := range v {
			bytes += bulk(one) + 1
		}
		return bytes
	case map[string]any:
		bytes := 2
		for name, one := range v {
			bytes += len(name) + bulk(one) + 4
		}
		return bytes
	}
	return 16
}

// tooLarge is the outcome of a call that is not made, because the server would not take
// what it is given.
func tooLarge(c *machine.Call, bytes int) call.Outcome {
	return call.Outcome{Status: call.Failed, Error: &call.Error{Code: "too_large", Class: "host", Message: fmt.Sprintf(
		"%s was not called: what it is given has %.1f MB, and Temporal takes %.1f MB", c.Action, float64(bytes)/1e6, maxPayload/1e6)}}
}

// bounded returns an answer that the server takes. Of one that is too large the long
// fields are left out, and the call has failed, though it happened: what else would the
// flow go on with?
func (h *Host) bounded(c *call.Call, a answer) answer {
	about := bulk(map[string]any(a.Outcome.Output))
	if a.Outcome.Error != nil {
		about += len(a.Outcome.Error.Message) + bulk(map[string]any(a.Outcome.Error.Details))
	}
	if about < maxAnswer/2 {
		return a
	}
	bytes, err := h.sizeOf(a)
	if err == nil && bytes <= maxAnswer {
		return a
	}
	o := a.Outcome.Outcome()
	kept := map[string]any{}
	for name, v := range o.Output {
		if bulk(v) <= longField {
			kept[name] = v
		}
	}
	o.Output = kept
	if o.Error == nil || o.Status == call.Succeeded || o.Status == call.Pending {
		o.Status, o.Retryable = call.Failed, false
		o.Error = &call.Error{Code: "too_large", Class: "host", Message: fmt.Sprintf(
			"%s was called, and answered %.1f MB, which Temporal does not take: ask for less, at most %.1f MB", c.Action, float64(max(bytes, about))/1e6, maxAnswer/1e6)}
	} else {
		o.Error.Message, o.Error.Details = o.Error.Message[:min(len(o.Error.Message), longField)], nil
	}
	a.Outcome = stored.OfOutcome(o)
	return a
}
