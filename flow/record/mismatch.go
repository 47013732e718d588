package record

import (
	"cmp"
	"fmt"
	"strings"

	"facteur/flow/diag"
)

// A Mismatch is a request that no recorded exchange fitted.
type Mismatch struct {
	Info    Info
	Method  string
	Path    string    // as it was sent
	Nearest *Exchange // nil: nothing is recorded
	// Note says why the nearest exchange could not serve although it is there: it is
	// used already, or another comes first. "": because of the differences.
	Note        string
	Differences []Difference
}

// A MismatchError is the error of a request that no recorded exchange fitted.
// Nothing was sent.
type MismatchError struct{ Mismatch }

// NotSent tells whoever made the request that it went nowhere.
func (e *MismatchError) NotSent() bool { return true }

func (e *MismatchError) Error() string { return e.String() }

// A message shows at most this many differences.
const maxDifferences = 20

// String gives the mismatch for people, on several lines.
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
	b.WriteString("  nearest: " + m.Nearest.place())
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

// place says where an exchange stands, as file:line.
func (x *Exchange) place() string {
	if x.Range.Source == nil {
		return "the exchange " + x.Request.Method + " " + x.Request.Host + x.Request.Path
	}
	return fmt.Sprintf("%s:%d", x.Range.File(), x.Range.Pos().Line)
}

// explain finds the exchange that is nearest to a request: one of its step before
// those of others, then the one with the fewest differing fields.
func (p *Player) explain(s *request) Mismatch {
	m := Mismatch{Info: s.info, Method: s.method, Path: s.path}
	best, bestForeign := 0, false
	first := p.first(s)
	for i := range p.entries {
		e := &p.entries[i]
		d := differ{names: s.info.Volatile, path: make([]step, 0, 16)}
		foreign := e.Step != "" && !s.info.is(e.Step)
		if foreign {
			sent := s.info.Step
			if strings.Contains(e.Step, "[") {
				sent = s.info.Path // as the exchange names it
			}
			d.at("step", &literal{e.Step}, sent)
		}
		e.compare(&d, s)
		note := ""
		switch {
		case e.spent() && e.usedBy != "":
			note = "used already by step " + e.usedBy
		case e.spent():
			note = "used already"
		case foreign:
		case p.late(e, s):
			note = "out of order: the step has used one that stands after it"
		case first != nil && e.Step != "" && e.index > first.index:
			note = "out of order: " + first.place() + " comes first"
		}
		d.count *= 2
		if note != "" {
			d.count++ // half a field's worth
		}
		if m.Nearest == nil || cmp.Or(compareBool(foreign, bestForeign), cmp.Compare(d.count, best)) < 0 {
			m.Nearest, m.Note, m.Differences = e.Exchange, note, d.found
			best, bestForeign = d.count, foreign
		}
	}
	if bestForeign && len(m.Differences) > 1 { // what another step sends is of no interest
		m.Note, m.Differences = "of another step; add one of "+s.info.Step, m.Differences[:1]
	}
	if m.Nearest != nil && m.Nearest.Request.Host != "" {
		m.Path = s.host + s.path
	}
	return m
}

// first returns the exchange that names the request's step and has its turn; nil
// when there is none, or inside a foreach, where all have.
func (p *Player) first(s *request) *entry {
	if s.info.Iteration != "" {
		return nil
	}
	for i := range p.entries {
		if e := &p.entries[i]; !e.spent() && e.Step != "" && s.info.is(e.Step) && !p.late(e, s) {
			return e
		}
	}
	return nil
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
