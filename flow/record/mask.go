package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"facteur/flow/schema"
)

// A Mask hides sensitive values in texts for people, wherever they occur and in any encoding.
// A value that is too short to be searched for is only hidden where it is the whole text. What
// is left of a value in a text that was truncated at an ellipsis is hidden, too.
type Mask struct {
	scrubber *Scrubber
	values   map[string]bool
}

// NewMask returns a mask of the values, including all those nested in lists and maps.
func NewMask(sensitive []any) *Mask {
	m := &Mask{NewScrubber(), map[string]bool{}}
	m.Add(sensitive)
	return m
}

// Add adds a value to hide.
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
		m.values[text] = text != ""
		m.scrubber.Add(text)
	}
}

// Text masks a text.
func (m *Mask) Text(s string) string {
	if m.values[s] {
		return Hidden
	}
	s = string(m.scrubber.Scrub([]byte(s)))
	if !strings.Contains(s, ellipsis) {
		return s
	}
	parts := strings.Split(s, ellipsis)
	for i, part := range parts {
		start, end := 0, len(part) // of what remains visible
		for value := range m.values {
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

// An ellipsis marks where a long text was truncated, maybe inside a sensitive value.
const ellipsis = "…"

// overlap returns the length of the longest suffix of a that is a prefix of b, 0 if it is
// shorter than minSecret.
func overlap(a, b string) int {
	for n := min(len(a), len(b)); n >= minSecret; n-- {
		if strings.HasSuffix(a, b[:n]) {
			return n
		}
	}
	return 0
}

// Value masks a decoded JSON value.
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

// JSON masks the values in JSON text.
func (m *Mask) JSON(text []byte) []byte {
	if len(m.values) == 0 {
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
