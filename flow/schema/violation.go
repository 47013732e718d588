package schema

import (
	"strconv"
	"strings"
)

// A Path leads from a value to one of its parts: a string is an object's field, an
// int a list's index.
type Path []any

// String gives the path as people write it: components[0].parameters[1].text.
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
	Path    Path
	Rule    string // stable id, e.g. "text-body-length"
	Warning bool   // worth knowing, but the value is accepted
	OnKey   bool   // the name at the end of Path is at fault, not its value
	Meant   string // the field of the same object that is meant by the one at the end of Path
	Hidden  bool   // what stands there is not to be shown: it is a secret
	Message string
	Hint    string
}

func (v Violation) Error() string {
	text := v.Message
	if len(v.Path) > 0 {
		text = v.Path.String() + ": " + text
	}
	return text
}

// Violations is a list of them, usable as an error.
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

// Err returns the list as an error, nil when it holds only warnings.
func (vs Violations) Err() error {
	for _, v := range vs {
		if !v.Warning {
			return vs
		}
	}
	return nil
}
