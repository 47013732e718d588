package machine

import (
	"maps"

	"facteur/flow/call"
	"facteur/flow/schema"
)

// canonical returns a value from outside in the form that it has after it was stored as JSON
// and read again, so that a run decides the same live and on replay.
func canonical(t *schema.Type, v map[string]any) map[string]any {
	if v == nil {
		return nil
	}
	plain, found := t.CoerceStored(v)
	if found.Err() != nil {
		plain, _ = schema.Stored(v)
	}
	out, _ := plain.(map[string]any)
	return out
}

func canonicalError(e *call.Error) *call.Error {
	if e == nil {
		return nil
	}
	out := *e
	message, _ := schema.Stored(e.Message)
	out.Message, _ = message.(string)
	details, _ := schema.Stored(e.Details)
	out.Details, _ = details.(map[string]any)
	return &out
}

// withAlways adds the outputs that are always present but missing here, as zero values.
func withAlways(t *schema.Type, out map[string]any) map[string]any {
	copied := false
	for _, f := range t.Fields {
		if !f.Always {
			continue
		}
		if _, ok := out[f.Name]; ok {
			continue
		}
		if !copied {
			if out = maps.Clone(out); out == nil {
				out = map[string]any{}
			}
			copied = true
		}
		out[f.Name] = f.Type.Zero()
	}
	if out == nil {
		return map[string]any{}
	}
	return out
}
