// Package diag reports findings about texts that people write: a diagnostic is a value with a
// severity, a code, a range, a message and a hint.
//
// Every stage that reads a flow, a test or a message returns a List of all that it finds,
// instead of stopping at the first. Printer prints them; exit codes are up to the command.
//
// Text is a string that knows the position of each of its bytes in the source, so that a caret
// can point at a name inside a folded, quoted YAML scalar.
package diag

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Severity says whether a diagnostic is fatal.
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
	Hint     string // how to fix it, may be ""
	Hidden   bool   // the source line holds a secret and is not printed
	Subject  string // Deduplicate merges those of a file with the same code and subject; "": never
}

// Error makes a diagnostic usable as an error: "file:line:col: error: message [code]".
func (d Diagnostic) Error() string {
	text := fmt.Sprintf("%s: %s", d.Severity, d.Message)
	if d.Code != "" {
		text += " [" + d.Code + "]"
	}
	if at := d.Range.Position(); at != "" {
		return at + ": " + text
	}
	return text
}

// MarshalJSON returns the form that the command line prints with --json.
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

// HasErrors reports whether the list holds an error.
func (l List) HasErrors() bool {
	return slices.ContainsFunc(l, func(d Diagnostic) bool { return d.Severity == Error })
}

// CountErrors returns the number of errors.
func (l List) CountErrors() (n int) {
	for _, d := range l {
		if d.Severity == Error {
			n++
		}
	}
	return n
}

// Tally formats the numbers of errors and warnings, such as "2 errors, 1 warning"; "" for an
// empty list.
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

// Sort sorts the list by file, position, severity, code and message, and drops duplicates.
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

// HideSecretLines returns the list with Hidden set on all diagnostics of a line if it is set
// on one of them. Use it before printing them one by one.
func (l List) HideSecretLines() List {
	out := slices.Clone(l)
	for i, d := range out {
		out[i].Hidden = slices.ContainsFunc(l, func(other Diagnostic) bool {
			return other.Hidden && other.Range.File() == d.Range.File() && other.Range.Pos().Line == d.Range.Pos().Line
		})
	}
	return out
}

// Err returns the list as an error: nil if it holds no errors, else the first error, with the
// number of others.
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
