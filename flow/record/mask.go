package record

import (
	"bytes"
	"encoding/json"
	"fmt"

	"facteur/flow/schema"
)

// A Mask takes sensitive values out of what people see, wherever they went and however
// they are encoded there. One that is too short for that, being in too many texts, is
// hidden where it stands alone.
type Mask struct {
	scrubber *Scrubber
	alone    map[string]bool
}

// NewMask returns a mask of the values, and of all that lists and maps among them hold.
func NewMask(sensitive []any) *Mask {
	m := &Mask{NewScrubber(), map[string]bool{}}
	m.Add(sensitive)
	return m
}

// Add makes the mask hide one more value.
func (m *Mask) Add(v any) {
	switch v := v.(type) {
	case nil, bool:
	case map[string]any:
		for _, x := range v {
			m.Add(x)
		}
	case []any:
		for _, x := range v {
			m.Add(x)
		}
	default:
		text := fmt.Sprint(schema.JSON(v))
		m.alone[text] = text != ""
		m.scrubber.Add(text)
	}
}

// Text masks a text.
func (m *Mask) Text(s string) string {
	if m.alone[s] {
		return Hidden
	}
	return string(m.scrubber.Scrub([]byte(s)))
}

// Value masks a value as JSON gives it.
func (m *Mask) Value(v any) any {
	switch v := v.(type) {
	case string:
		return m.Text(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[m.Text(k)] = m.Value(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = m.Value(x)
		}
		return out
	case int64, float64, json.Number:
		if text := fmt.Sprint(v); m.Text(text) != text {
			return Hidden
		}
	}
	return v
}

// JSON masks the values of a JSON text.
func (m *Mask) JSON(text []byte) []byte {
	if len(m.alone) == 0 {
		return text
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return m.scrubber.Scrub(text)
	}
	masked, err := schema.AppendJSON(nil, m.Value(v))
	if err != nil {
		return m.scrubber.Scrub(text)
	}
	return masked
}
