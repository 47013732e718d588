package record

import (
	"fmt"
	"strings"

	"facteur/flow/diag"
)

// A Mismatch is a request without a matching exchange.
type Mismatch struct {
	Info    Info
	Method  string
	Path    string    // as sent
	Nearest *Exchange // nil: nothing is recorded
	// Note says why the nearest exchange could not be used although it is recorded: it is used
	// up, or another comes first. "": because of the differences.
	Note        string
	Differences []Difference
}

// A MismatchError is the error of a request without a matching exchange. Nothing was sent.
type MismatchError struct{ Mismatch }

// NotSent says that the request was not sent.
func (e *MismatchError) NotSent() bool { return true }

func (e *MismatchError) Error() string { return e.String() }

// maxDifferences bounds the differences that a message shows.
const maxDifferences = 20

// String formats the mismatch for people, on several lines.
func (m Mismatch) String() string {
	var b strings.Builder
	b.WriteString("no recorded exchange matches this request")
	if m.Info.Step != "" {
		b.WriteString(" of step " + m.Info.Step)
	}
	if m.Info.Attempt > 1 {
		fmt.Fprintf(&b, ", attempt %d", m.Info.Attempt)
	}
	fmt.Fprintf(&b, "\n  %s %s\n", m.Method, m.Path)
	if m.Nearest == nil {
		b.WriteString("  nothing is recorded")
		return b.String()
	}
	b.WriteString("  nearest: " + m.Nearest.position())
	if m.Note != "" {
		b.WriteString(", " + m.Note)
	}
	for i, d := range m.Differences {
		if i == maxDifferences {
			fmt.Fprintf(&b, "\n    … and %d more", len(m.Differences)-i)
			break
		}
		b.WriteString("\n    " + diag.Printable(d.String()))
	}
	return b.String()
}

// position formats the position of an exchange as file:line.
func (x *Exchange) position() string {
	if x.Range.Source == nil {
		return "the exchange " + x.Request.Method + " " + x.Request.Host + x.Request.Path
	}
	return fmt.Sprintf("%s:%d", x.Range.File(), x.Range.Pos().Line)
}

// explain finds the exchange that is nearest to a request: those of its step before those of
// others, then the one with the fewest differing fields.
func (p *Player) explain(s *request) Mismatch {
	m := Mismatch{Info: s.info, Method: s.method, Path: s.path}
	best, bestOtherStep := 0, false
	first := p.nextFor(s)
	for i := range p.entries {
		e := &p.entries[i]
		d := differ{names: s.info.Volatile, path: make([]step, 0, 16)}
		otherStep := e.Step != "" && !s.info.matches(e.Step)
		if otherStep {
			sent := s.info.Step
			if strings.Contains(e.Step, "[") {
				sent = s.info.Path // as the exchange names it
			}
			d.differentAt("step", &literal{e.Step}, sent)
		}
		e.compare(&d, s)
		note := ""
		switch {
		case e.usedUp() && e.usedBy != "":
			note = "already used by step " + e.usedBy
		case e.usedUp():
			note = "already used"
		case otherStep:
		case p.outOfOrder(e, s):
			note = "out of order: the step has already used a later one"
		case first != nil && e.Step != "" && e.index > first.index:
			note = "out of order: " + first.position() + " comes first"
		}
		d.count *= 2
		if note != "" {
			d.count++ // counts as half a field
		}
		if m.Nearest == nil || bestOtherStep && !otherStep || bestOtherStep == otherStep && d.count < best {
			m.Nearest, m.Note, m.Differences = e.Exchange, note, d.found
			best, bestOtherStep = d.count, otherStep
		}
	}
	if bestOtherStep && len(m.Differences) > 1 { // the differences to another step's request do not matter
		m.Note, m.Differences = "one of another step; add one of "+s.info.Step, m.Differences[:1]
	}
	if m.Nearest != nil && m.Nearest.Request.Host != "" {
		m.Path = s.host + s.path
	}
	return m
}

// nextFor returns the next unused exchange of the request's step; nil if there is none, or
// inside a foreach, where exchanges are not ordered.
func (p *Player) nextFor(s *request) *entry {
	if s.info.Iteration != "" {
		return nil
	}
	for i := range p.entries {
		if e := &p.entries[i]; !e.usedUp() && e.Step != "" && s.info.matches(e.Step) && !p.outOfOrder(e, s) {
			return e
		}
	}
	return nil
}
