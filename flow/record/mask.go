package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"facteur/flow/schema"
)

// A Mask takes sensitive values out of what people see, wherever they went and however
// they are encoded there. One that is too short for that, being in too many texts, is
// hidden where it stands alone. What is left of one where a text was cut, at an ellipsis,
// is hidden, too.
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
	s = string(m.scrubber.Scrub([]byte(s)))
	if !strings.Contains(s, ellipsis) {
		return s
	}
	parts := strings.Split(s, ellipsis)
	for i, part := range parts {
		start, end := 0, len(part) // of what is left of it
		for value := range m.alone {
			if i > 0 {
				start = max(start, overlap(value, part))
			}
			if i+1 < len(parts) {
				end = min(end, len(part)-overlap(part, value))
			}
		}
		parts[i] = part[min(start, end):end]
		if start > 0 {
			parts[i] = Hidden + parts[i]
		}
		if end < len(part) {
			parts[i] += Hidden
		}
	}
	return strings.Join(parts, ellipsis)
}

// An ellipsis stands where a long text was cut, and so may a value that was in it.
const ellipsis = "…"

// overlap returns how many bytes at the end of a are those that b begins with, if they are
// enough to tell.
func overlap(a, b string) int {
	for n := min(len(a), len(b)); n >= minSecret; n-- {
		if strings.HasSuffix(a, b[:n]) {
			return n
		}
	}
	return 0
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
