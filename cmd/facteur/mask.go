package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A mask hides sensitive values wherever they went.
type mask struct {
	texts  *strings.Replacer
	values map[string]bool
}

// A sensitive text shorter than this hides only values that equal it: replaced inside
// others it would hide too much.
const shortSecret = 4

func newMask(sensitive []any) mask {
	m := mask{values: map[string]bool{}}
	var pairs []string
	var add func(v any)
	add = func(v any) {
		switch v := v.(type) {
		case nil, bool:
		case map[string]any:
			for _, x := range v {
				add(x)
			}
		case []any:
			for _, x := range v {
				add(x)
			}
		default:
			text := fmt.Sprint(printable(v))
			m.values[text] = true
			if len(text) >= shortSecret {
				pairs = append(pairs, text, hidden)
			}
		}
	}
	for _, v := range sensitive {
		add(v)
	}
	m.texts = strings.NewReplacer(pairs...)
	return m
}

func (m mask) text(s string) string {
	if m.values[s] && s != "" {
		return hidden
	}
	return m.texts.Replace(s)
}

func (m mask) value(v any) any {
	switch v := v.(type) {
	case string:
		return m.text(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = m.value(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = m.value(x)
		}
		return out
	case int64, float64:
		if m.values[fmt.Sprint(v)] {
			return hidden
		}
	}
	return v
}

func jsonText(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
