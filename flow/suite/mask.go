package suite

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// hidden stands in the place of a sensitive value.
const hidden = "[sensitive]"

// A shorter sensitive value is not looked for inside of texts: it is in too many.
const minHidden = 4

// A mask takes sensitive values out of texts.
type mask struct{ replacer *strings.Replacer }

func newMask(sensitive []any) mask {
	var texts []string
	var collect func(v any)
	collect = func(v any) {
		switch v := v.(type) {
		case nil, bool:
		case map[string]any:
			for _, item := range v {
				collect(item)
			}
		case []any:
			for _, item := range v {
				collect(item)
			}
		case string:
			escaped := show(v)
			texts = append(texts, v, strings.Trim(escaped, `"`))
		case time.Time, time.Duration:
			texts = append(texts, strings.Trim(show(v), `"`))
		default:
			texts = append(texts, fmt.Sprint(v))
		}
	}
	for _, v := range sensitive {
		collect(v)
	}
	// The longest first, so that no part of it is left when a shorter one is in it.
	slices.SortFunc(texts, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, text := range texts {
		if len(text) >= minHidden {
			pairs = append(pairs, text, hidden)
		}
	}
	return mask{strings.NewReplacer(pairs...)}
}

func (m mask) text(s string) string { return m.replacer.Replace(s) }

// hide takes sensitive values out of the failure.
func (f *Failure) hide(m mask) {
	f.Message = m.text(f.Message)
	for i := range f.Details {
		f.Details[i] = m.text(f.Details[i])
	}
	for i := range f.Diff {
		d := &f.Diff[i]
		d.Path, d.Want, d.Got = m.text(d.Path), m.text(d.Want), m.text(d.Got)
	}
}
