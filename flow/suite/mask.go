package suite

import (
	"strings"

	"facteur/flow/record"
)

// hide takes sensitive values out of the failure, and cuts long lines: not before, as
// a part of a value would not be known for it.
func (f *Failure) hide(m *record.Mask) {
	f.Message = m.Text(f.Message)
	for i := range f.Details {
		f.Details[i] = cut([]rune(maskLine(m, f.Details[i])), 0)
	}
	for i := range f.Diff {
		d := &f.Diff[i]
		d.Path, d.Want, d.Got = m.Text(d.Path), maskJSON(m, d.Want), maskJSON(m, d.Got)
	}
}

// maskLine masks "path = value".
func maskLine(m *record.Mask, s string) string {
	if path, value, ok := strings.Cut(s, " = "); ok {
		return m.Text(path) + " = " + maskJSON(m, value)
	}
	return m.Text(s)
}

// maskJSON masks a value as it is shown, as JSON or as a matcher.
func maskJSON(m *record.Mask, s string) string {
	masked := m.Text(s)
	if masked == s {
		masked = string(m.JSON([]byte(s)))
	}
	if masked == `"`+record.Hidden+`"` {
		return record.Hidden // no text of the flow's stands there
	}
	return masked
}
