package suite

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string         `xml:"name,attr"`
		Class   string         `xml:"classname,attr"`
		File    string         `xml:"file,attr,omitempty"`
		Line    int            `xml:"line,attr,omitempty"`
		Time    string         `xml:"time,attr"`
		Failure []junitFailure `xml:"failure"`
		Error   []junitFailure `xml:"error"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes the reports as JUnit XML. Its times are those that the cases took, in seconds,
// not the virtual ones of their runs. A file that could not be loaded is a test case with an
// error.
func (rs Reports) JUnit(w io.Writer) error {
	var all junitSuites
	var total time.Duration
	for _, r := range rs {
		var took time.Duration
		s := junitSuite{Name: r.File}
		if r.Diagnostics.HasErrors() {
			broken := junitCase{Name: "load", Class: r.File, File: r.File, Time: seconds(0)}
			for _, d := range r.Diagnostics {
				broken.Error = append(broken.Error, junitFailure{Message: d.Message, Text: d.Error()})
			}
			s.Cases = append(s.Cases, broken)
			s.Errors++
		}
		for _, c := range r.Cases {
			one := junitCase{Name: c.Name, Class: r.Flow, File: r.File, Line: c.Range.Pos().Line, Time: seconds(c.Took)}
			took += c.Took
			for _, f := range c.Failures {
				one.Failure = append(one.Failure, junitFailure{Message: f.Message, Text: f.lines()})
			}
			if !c.Passed {
				s.Failures++
			}
			s.Cases = append(s.Cases, one)
		}
		s.Tests, s.Time = len(s.Cases), seconds(took)
		total += took
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
		all.Suites = append(all.Suites, s)
	}
	all.Time = seconds(total)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// lines formats the failure on several lines.
func (f Failure) lines() string {
	var b strings.Builder
	if at := f.Range.Position(); at != "" {
		b.WriteString(at + ": ")
	}
	b.WriteString(f.Message)
	for _, d := range f.Details {
		b.WriteString("\n  " + d)
	}
	for _, d := range f.Diff {
		b.WriteString("\n  " + clip(d).String())
	}
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }
