package plan

import "fmt"

// A CoveragePoint is what coverage counts: a step, or one of the choices that it can make.
type CoveragePoint struct {
	Flow   string
	Place  string // the step's Place
	Choice string // "" for the step itself
}

// The choices, besides those of CaseChoice and CatchChoice.
const (
	IfChoice      = "if"
	IfNotChoice   = "if not"
	DefaultChoice = "default"
	TimeoutChoice = "on_timeout"
)

// CaseChoice is the choice of the i-th case of a switch, from 0.
func CaseChoice(i int) string { return fmt.Sprintf("case %d", i) }

// CatchChoice is the choice of the i-th catch of a try, from 0.
func CatchChoice(i int) string { return fmt.Sprintf("catch %d", i) }

// CoveragePoints lists the points of the flow without those of called flows: for each step the
// step itself, with Choice "", and then its choices.
func (p *Plan) CoveragePoints() []CoveragePoint {
	var out []CoveragePoint
	for _, s := range p.AllSteps {
		add := func(choice string) { out = append(out, CoveragePoint{p.Name, s.Place, choice}) }
		add("")
		if s.If != nil {
			add(IfChoice)
			add(IfNotChoice)
		}
		switch do := s.Do.(type) {
		case *Switch:
			for i := range do.Cases {
				add(CaseChoice(i))
			}
			add(DefaultChoice)
		case *Try:
			for i := range do.Catch {
				add(CatchChoice(i))
			}
		case *WaitFor:
			if do.Continue {
				add(TimeoutChoice)
			}
		}
	}
	return out
}

// Blocks returns the lists of steps nested directly in the step, without those of a called
// flow.
func (s *Step) Blocks() [][]*Step {
	var out [][]*Step
	switch do := s.Do.(type) {
	case *Switch:
		for _, c := range do.Cases {
			out = append(out, c.Steps)
		}
		out = append(out, do.Default)
	case *Foreach:
		out = append(out, do.Steps)
	case *Parallel:
		for _, b := range do.Branches {
			out = append(out, b.Steps)
		}
	case *Try:
		out = append(out, do.Steps)
		for _, c := range do.Catch {
			out = append(out, c.Steps)
		}
		out = append(out, do.Finally)
	case *WaitFor:
		out = append(out, do.OnTimeout)
	}
	return out
}
