package suite

import (
	"strings"

	"facteur/flow/record"
)

// mask hides sensitive values in the failure, and truncates long lines afterwards, because a
// part of a value would not be recognised.
func (f *Failure) mask(m *record.Mask) {
	f.Message = m.Text(f.Message)
	for i := range f.Details {
		f.Details[i] = truncate([]rune(maskLine(m, f.Details[i])), 0)
	}
	for i := range f.Diff {
		d := &f.Diff[i]
		d.Path, d.Want, d.Got = m.Text(d.Path), maskJSON(m, d.Want), maskJSON(m, d.Got)
	}
}

// maskLine masks a line of the form "path = value".
func maskLine(m *record.Mask, s string) string {
	if path, value, ok := strings.Cut(s, " = "); ok {
		return m.Text(path) + " = " + maskJSON(m, value)
	}
	return m.Text(s)
}

// maskJSON masks a value formatted as JSON or as a matcher.
func maskJSON(m *record.Mask, s string) string {
	masked := m.Text(s)
	if masked == s {
		masked = string(m.JSON([]byte(s)))
	}
	if masked == `"`+record.Hidden+`"` {
		return record.Hidden // without the quotes of a text
	}
	return masked
}
