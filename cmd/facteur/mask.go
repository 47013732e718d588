package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"facteur/flow/record"
)

// hidden stands for a secret or a sensitive value.
const hidden = "[secret]"

// A mask takes sensitive values out of what people see, wherever they went and however
// they are encoded there. One that is too short for that, being in too many texts, is
// hidden where it stands alone.
type mask struct {
	scrubber *record.Scrubber
	alone    map[string]bool
}

func newMask(sensitive []any) mask {
	m := mask{record.NewScrubber(), map[string]bool{}}
	m.add(sensitive)
	return m
}

func (m mask) add(v any) {
	switch v := v.(type) {
	case nil, bool:
	case map[string]any:
		for _, x := range v {
			m.add(x)
		}
	case []any:
		for _, x := range v {
			m.add(x)
		}
	default:
		text := fmt.Sprint(printable(v))
		m.alone[text] = text != ""
		m.scrubber.Add(text)
	}
}

func (m mask) text(s string) string {
	if m.alone[s] {
		return hidden
	}
	return string(m.scrubber.Scrub([]byte(s)))
}

// value masks a value as JSON gives it.
func (m mask) value(v any) any {
	switch v := v.(type) {
	case string:
		return m.text(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[m.text(k)] = m.value(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = m.value(x)
		}
		return out
	case int64, float64, json.Number:
		if text := fmt.Sprint(v); m.text(text) != text {
			return hidden
		}
	}
	return v
}

// json masks the values of a JSON text.
func (m mask) json(text []byte) []byte {
	if len(m.alone) == 0 {
		return text
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return m.scrubber.Scrub(text)
	}
	return []byte(jsonText(m.value(v)))
}

func jsonText(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return fmt.Sprint(v)
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}
