package temporal

import (
	"fmt"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"

	"google.golang.org/protobuf/proto"
)

// The server takes no value of more than 2 MB, and terminates a workflow that sends one. So
// none is sent that might be larger: a run with such an input is refused, and a call with such
// an input or answer fails, visibly.

const (
	// maxPayload bounds a value, in bytes, before it is sealed, which adds a little.
	maxPayload = 1_900_000
	// maxAnswer bounds the answer of a call: values with several answers have to fit, too.
	maxAnswer = 1_500_000
	// maxField is the size of output fields, in bytes, that are kept of an answer which is too
	// large.
	maxField = 16 << 10

	// maxInFlight bounds the calls of a run that are in flight: the server allows 2,000
	// pending activities.
	maxInFlight = 1000
	// maxInputBytes bounds the inputs of the calls that one workflow task starts.
	maxInputBytes = 1 << 20
)

// checkSize returns a *host.TooLargeError if a value is too large for the server. about is a
// cheap estimate of its size, in bytes.
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

// sourceBytes returns the size of some sources.
func sourceBytes(sources map[string]string) (bytes int) {
	for _, text := range sources {
		bytes += len(text)
	}
	return bytes
}

// sizeOf returns the size of a value as the server gets it.
func (h *Host) sizeOf(v any) (int, error) {
	payloads, err := h.data.ToPayloads(v)
	return proto.Size(payloads), err
}

// jsonSize returns about how many bytes a value has as JSON. Workflows depend on it, so it must
// not change.
func jsonSize(v any) int {
	switch v := v.(type) {
	case string:
		return len(v) + 2
	case []byte:
		return len(v)*4/3 + 2
	case []any:
		bytes := 2
		for _, one := range v {
			bytes += jsonSize(one) + 1
		}
		return bytes
	case map[string]any:
		bytes := 2
		for name, one := range v {
			bytes += len(name) + jsonSize(one) + 4
		}
		return bytes
	}
	return 16
}

// tooLarge returns the outcome of a call that is not made, because the server would not take
// its input.
func tooLarge(c *machine.Call, bytes int) call.Outcome {
	return call.Outcome{Status: call.Failed, Error: &call.Error{Code: "too_large", Class: "host", Message: fmt.Sprintf(
		"%s was not called: what it is given has %.1f MB, and Temporal takes %.1f MB", c.Action, float64(bytes)/1e6, maxPayload/1e6)}}
}

// boundResult returns a result that the server takes. Of one that is too large the long output
// fields are left out, and the call fails, though it happened: the flow cannot go on without
// them.
func (h *Host) boundResult(c *call.Call, a callResult) callResult {
	about := jsonSize(map[string]any(a.Outcome.Output))
	if a.Outcome.Error != nil {
		about += len(a.Outcome.Error.Message) + jsonSize(map[string]any(a.Outcome.Error.Details))
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
		if jsonSize(v) <= maxField {
			kept[name] = v
		}
	}
	o.Output = kept
	if o.Error == nil || o.Status == call.Succeeded || o.Status == call.Pending {
		o.Status, o.Retryable = call.Failed, false
		o.Error = &call.Error{Code: "too_large", Class: "host", Message: fmt.Sprintf(
			"%s was called, and answered %.1f MB, which Temporal does not take: ask for less, at most %.1f MB", c.Action, float64(max(bytes, about))/1e6, maxAnswer/1e6)}
	} else {
		o.Error.Message, o.Error.Details = o.Error.Message[:min(len(o.Error.Message), maxField)], nil
	}
	a.Outcome = stored.OfOutcome(o)
	return a
}
