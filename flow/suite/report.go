package suite

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"facteur/flow/diag"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

// A Report is the result of a file's cases. The report of a file that Load refused has only
// File and Diagnostics.
type Report struct {
	File        string
	Flow        string
	Cases       []*CaseReport
	Diagnostics diag.List

	plan  *plan.Plan
	taken map[plan.CoveragePoint]bool
}

// A CaseReport is the result of one case, without sensitive values.
type CaseReport struct {
	Name     string
	Range    diag.Range
	Passed   bool
	Recorded bool // its exchanges were written
	Failures []Failure
	Status   string        // of the run; "" when nothing ran
	Elapsed  time.Duration // virtual time of the run
	Took     time.Duration // real time of the case
	Steps    []StepReport  // in the order in which they started
}

// A StepReport is the result of a step.
type StepReport struct {
	Path     string `json:"path"`
	Kind     string `json:"kind"`
	Status   string `json:"status"`
	Attempts int    `json:"attempts"`
	Error    string `json:"error,omitempty"`
}

// A Failure is one deviation from what was expected.
type Failure struct {
	Range   diag.Range // in the test file or a recording
	Message string     // one line
	Details []string   // further lines
	Diff    []Difference
}

// A Difference is one place with another value than expected.
type Difference struct {
	Path string `json:"path"`
	Want string `json:"want,omitempty"` // as JSON or as a matcher; "": nothing
	Got  string `json:"got,omitempty"`  // as JSON; "": nothing
}

func (d Difference) String() string {
	switch {
	case d.Want == "":
		return d.Path + ": not expected: " + d.Got
	case d.Got == "":
		return d.Path + ": expected " + d.Want + ", got nothing"
	}
	return d.Path + ": expected " + d.Want + ", got " + d.Got
}

// Passed reports whether the file was loaded and all its cases passed.
func (r *Report) Passed() bool {
	for _, c := range r.Cases {
		if !c.Passed {
			return false
		}
	}
	return !r.Diagnostics.HasErrors()
}

// Reports are the reports of several files.
type Reports []*Report

// Passed reports whether all cases of all files passed.
func (rs Reports) Passed() bool {
	_, failed, broken := rs.count()
	return failed == 0 && broken == 0
}

// count returns the number of cases that passed and failed, and of files not loaded.
func (rs Reports) count() (passed, failed, broken int) {
	for _, r := range rs {
		for _, c := range r.Cases {
			if c.Passed {
				passed++
			} else {
				failed++
			}
		}
		if r.Diagnostics.HasErrors() {
			broken++
		}
	}
	return passed, failed, broken
}

// TextOptions configure Text.
type TextOptions struct {
	Color   bool
	Verbose bool // show the steps of every case
}

// Text writes the reports for people.
func (rs Reports) Text(w io.Writer, o TextOptions) error {
	b := bufio.NewWriter(w)
	p := printer{b, o}
	for _, r := range rs {
		p.file(r)
	}
	passed, failed, broken := rs.count()
	total := fmt.Sprintf("%s: %d passed, %d failed", plural(passed+failed, "case", "cases"), passed, failed)
	if broken > 0 {
		total += fmt.Sprintf(", %s could not be read", plural(broken, "file", "files"))
	}
	if failed+broken > 0 {
		total = p.paint("31", total)
	}
	fmt.Fprintln(b, total)
	return b.Flush()
}

type printer struct {
	*bufio.Writer
	TextOptions
}

func (p printer) paint(code, text string) string { return diag.Paint(p.Color, code, text) }

func (p printer) file(r *Report) {
	fmt.Fprintln(p, diag.Printable(r.File))
	if len(r.Diagnostics) > 0 {
		p.Flush()
		// A write error sticks, and Flush returns it at the end.
		_ = diag.Printer{W: p.Writer, Color: p.Color}.Print(r.Diagnostics)
	}
	for _, c := range r.Cases {
		verdict := p.paint("32", "ok  ")
		if !c.Passed {
			verdict = p.paint("31", "FAIL")
		}
		fmt.Fprintf(p, "  %s  %s", verdict, diag.Printable(c.Name))
		var about []string
		if c.Elapsed > 0 {
			about = append(about, rounded(c.Elapsed))
		}
		if c.Recorded {
			about = append(about, "recorded")
		}
		if about != nil {
			fmt.Fprintf(p, " (%s)", strings.Join(about, ", "))
		}
		fmt.Fprintln(p)
		for _, f := range c.Failures {
			p.failure(f)
		}
		if p.Verbose {
			p.steps(c)
		}
	}
}

func (p printer) failure(f Failure) {
	const indent = "        "
	at := f.Range.Position()
	if at != "" {
		at += ": "
	}
	fmt.Fprintf(p, "%s%s%s\n", indent, at, diag.Printable(f.Message))
	for _, d := range f.Details {
		fmt.Fprintf(p, "%s  %s\n", indent, diag.Printable(d))
	}
	for i, d := range f.Diff {
		if i == maxDifferences {
			fmt.Fprintf(p, "%s  … and %d more\n", indent, len(f.Diff)-i)
			break
		}
		fmt.Fprintf(p, "%s  %s\n", indent, diag.Printable(clip(d).String()))
	}
}

// Limits of what a failure shows.
const (
	maxDifferences = 20
	maxShown       = 200 // code points of a value or a line
)

func (p printer) steps(c *CaseReport) {
	for _, s := range c.Steps {
		fmt.Fprintf(p, "          %-9s %s", s.Status, s.Path)
		if s.Attempts > 1 {
			fmt.Fprintf(p, ", %d attempts", s.Attempts)
		}
		if s.Error != "" {
			fmt.Fprintf(p, ": %s", diag.Printable(s.Error))
		}
		fmt.Fprintln(p)
	}
}

// clip truncates long values to a part that shows where they differ.
func clip(d Difference) Difference {
	want, got := []rune(d.Want), []rune(d.Got)
	same := 0
	for same < len(want) && same < len(got) && want[same] == got[same] {
		same++
	}
	from := max(0, same-20)
	if len(want) == 0 || len(got) == 0 {
		from = 0
	}
	d.Want, d.Got = truncate(want, from), truncate(got, from)
	return d
}

func truncate(text []rune, from int) string {
	if len(text) <= maxShown {
		return string(text)
	}
	from = min(from, len(text))
	to := min(len(text), from+maxShown)
	out := string(text[from:to])
	if from > 0 {
		out = "…" + out
	}
	if to < len(text) {
		out += "…"
	}
	return out
}

// rounded formats a duration with a sensible precision.
func rounded(d time.Duration) string {
	switch {
	case d >= time.Minute:
		d = d.Round(time.Second)
	case d >= time.Second:
		d = d.Round(10 * time.Millisecond)
	default:
		d = d.Round(time.Millisecond)
	}
	return schema.FormatDuration(d)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
