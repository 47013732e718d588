// Package diag holds what Facteur says about a text that somebody wrote: a
// diagnostic is a value with a severity, a code, a range, a message and a hint.
//
// Every stage that reads a flow, a test or a message returns a List of them: it
// collects all that it finds instead of stopping at the first. Printing them is
// Print's business and exit codes are the command's.
//
// Text is a string that knows where each of its bytes stands in the source; it is
// what makes a caret under one name inside a folded, quoted YAML scalar possible.
package diag

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Severity tells whether a diagnostic stops the work.
type Severity int

// The severities.
const (
	Error Severity = iota
	Warning
)

func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// A Diagnostic is one finding about a source.
type Diagnostic struct {
	Severity Severity
	Code     string // kebab-case and stable, explained by "facteur explain CODE"
	Range    Range
	Message  string // what is wrong, lower case, no final period
	Hint     string // how to mend it, "" when there is nothing to add
	Hidden   bool   // the source line is not printed: it holds a secret
	Subject  string // of those in a file with the same code and subject, people are told once; "": each time
}

// Error makes a diagnostic usable as an error: "file:line:col: error: message [code]".
func (d Diagnostic) Error() string {
	text := fmt.Sprintf("%s: %s", d.Severity, d.Message)
	if d.Code != "" {
		text += " [" + d.Code + "]"
	}
	if at := d.Range.Place(); at != "" {
		return at + ": " + text
	}
	return text
}

// MarshalJSON gives the form that the command line prints with --json.
func (d Diagnostic) MarshalJSON() ([]byte, error) {
	var end Pos
	if d.Range.Source != nil {
		end = d.Range.Source.Pos(d.Range.End)
	}
	start := d.Range.Pos()
	return json.Marshal(struct {
		File     string `json:"file,omitempty"`
		Line     int    `json:"line,omitempty"`
		Col      int    `json:"col,omitempty"`
		EndLine  int    `json:"end_line,omitempty"`
		EndCol   int    `json:"end_col,omitempty"`
		Severity string `json:"severity"`
		Code     string `json:"code,omitempty"`
		Message  string `json:"message"`
		Hint     string `json:"hint,omitempty"`
	}{d.Range.File(), start.Line, start.Col, end.Line, end.Col, d.Severity.String(), d.Code, d.Message, d.Hint})
}

// A List collects diagnostics. The zero List is empty and ready to use.
type List []Diagnostic

// Errorf adds an error. The hint may be "".
func (l *List) Errorf(code string, r Range, hint, format string, args ...any) {
	*l = append(*l, Diagnostic{Severity: Error, Code: code, Range: r, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// Warnf adds a warning. The hint may be "".
func (l *List) Warnf(code string, r Range, hint, format string, args ...any) {
	*l = append(*l, Diagnostic{Severity: Warning, Code: code, Range: r, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// Add adds the diagnostics of other.
func (l *List) Add(other List) { *l = append(*l, other...) }

// HasErrors tells whether one of the diagnostics is an error.
func (l List) HasErrors() bool {
	return slices.ContainsFunc(l, func(d Diagnostic) bool { return d.Severity == Error })
}

// CountErrors tells how many of the diagnostics are errors.
func (l List) CountErrors() (n int) {
	for _, d := range l {
		if d.Severity == Error {
			n++
		}
	}
	return n
}

// Tally counts the errors and the warnings for people, "" where there are none.
func (l List) Tally() string {
	errors := l.CountErrors()
	var counts []string
	for _, part := range []struct {
		n    int
		noun string
	}{{errors, "error"}, {len(l) - errors, "warning"}} {
		switch {
		case part.n == 1:
			counts = append(counts, "1 "+part.noun)
		case part.n > 1:
			counts = append(counts, fmt.Sprintf("%d %ss", part.n, part.noun))
		}
	}
	return strings.Join(counts, ", ")
}

// Sort orders the list by file, place and code, and drops exact repeats.
func (l *List) Sort() {
	slices.SortStableFunc(*l, func(a, b Diagnostic) int {
		return cmp.Or(
			cmp.Compare(a.Range.File(), b.Range.File()),
			cmp.Compare(a.Range.Start, b.Range.Start),
			cmp.Compare(a.Severity, b.Severity),
			cmp.Compare(a.Code, b.Code),
			cmp.Compare(a.Message, b.Message))
	})
	*l = slices.Compact(*l)
}

// Hide returns the list with each line that one of its diagnostics hides hidden for all: what
// is shown one by one is taken from it.
func (l List) Hide() List {
	out := slices.Clone(l)
	for i, d := range out {
		out[i].Hidden = slices.ContainsFunc(l, func(other Diagnostic) bool {
			return other.Hidden && other.Range.File() == d.Range.File() && other.Range.Pos().Line == d.Range.Pos().Line
		})
	}
	return out
}

// Err returns the list as an error: nil when it holds no errors, else the first
// error, which says how many more there are.
func (l List) Err() error {
	at := slices.IndexFunc(l, func(d Diagnostic) bool { return d.Severity == Error })
	if at < 0 {
		return nil
	}
	if n := l.CountErrors(); n > 1 {
		return fmt.Errorf("%w (and %d more)", l[at], n-1)
	}
	return l[at]
}
