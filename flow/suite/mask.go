package suite

import (
	"strings"

	"facteur/flow/record"
)

// A mask takes sensitive values out of texts, however they are encoded there. One that
// is too short for that, being in too many texts, is hidden where it stands alone.
type mask struct {
	scrubber *record.Scrubber
	alone    map[string]bool // as JSON
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
		for _, item := range v {
			m.add(item)
		}
	case []any:
		for _, item := range v {
			m.add(item)
		}
	case string:
		m.alone[show(v)] = v != ""
		m.scrubber.Add(v)
	default:
		m.alone[show(v)] = true
		m.scrubber.Add(strings.Trim(show(v), `"`))
	}
}

func (m mask) text(s string) string { return string(m.scrubber.Scrub([]byte(s))) }

// value masks the text of a value.
func (m mask) value(s string) string {
	if m.alone[s] {
		return "[secret]"
	}
	return m.text(s)
}

// line masks "path = value".
func (m mask) line(s string) string {
	if path, value, ok := strings.Cut(s, " = "); ok {
		return m.text(path) + " = " + m.value(value)
	}
	return m.text(s)
}

// hide takes sensitive values out of the failure, and cuts long lines: not before, as
// a part of a value would not be known for it.
func (f *Failure) hide(m mask) {
	f.Message = m.text(f.Message)
	for i := range f.Details {
		f.Details[i] = cut([]rune(m.line(f.Details[i])), 0)
	}
	for i := range f.Diff {
		d := &f.Diff[i]
		d.Path, d.Want, d.Got = m.text(d.Path), m.value(d.Want), m.value(d.Got)
	}
}
