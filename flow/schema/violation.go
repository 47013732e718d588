package schema

import (
	"strconv"
	"strings"
)

// A Path leads from a value to one of its parts: a string is a field of an object, an int an
// index of a list.
type Path []any

// String formats the path as components[0].parameters[1].text.
func (p Path) String() string {
	var b strings.Builder
	for _, step := range p {
		switch step := step.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(step) + "]")
		case string:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(step)
		}
	}
	return b.String()
}

// A Violation is one way in which a value breaks a rule.
type Violation struct {
	Path       Path
	Rule       string // stable id, e.g. "text-body-length"
	Warning    bool   // the value is accepted nevertheless
	OnKey      bool   // the error is in the name at the end of Path, not in its value
	MeantField string // the field of the same object that the last name of Path is probably meant to be
	Hidden     bool   // the value is a secret and must not be shown
	Message    string
	Hint       string
}

func (v Violation) Error() string {
	text := v.Message
	if len(v.Path) > 0 {
		text = v.Path.String() + ": " + text
	}
	return text
}

// Violations is a list of violations, usable as an error.
type Violations []Violation

func (vs Violations) Error() string {
	texts := make([]string, 0, len(vs))
	for _, v := range vs {
		if !v.Warning {
			texts = append(texts, v.Error())
		}
	}
	return strings.Join(texts, "; ")
}

// Err returns the list as an error, nil if it holds only warnings.
func (vs Violations) Err() error {
	for _, v := range vs {
		if !v.Warning {
			return vs
		}
	}
	return nil
}
