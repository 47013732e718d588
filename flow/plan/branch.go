package plan

import "fmt"

// A Branch is one way that a flow can go: a step that runs, or a choice that it makes.
type Branch struct {
	Flow  string
	Place string // of the step
	Way   string // "" for the step itself, else the choice
}

// The choices, besides those of CaseWay and CatchWay.
const (
	IfWay      = "if"
	IfNotWay   = "if not"
	DefaultWay = "default"
	TimeoutWay = "on_timeout"
)

// CaseWay is the choice of a switch's case.
func CaseWay(i int) string { return fmt.Sprintf("case %d", i) }

// CatchWay is the choice of a try's catch.
func CatchWay(i int) string { return fmt.Sprintf("catch %d", i) }

// Branches lists every way that the flow can go, without the flows that it calls: one
// with Way "" for each step, then its choices.
func (p *Plan) Branches() []Branch {
	var out []Branch
	for _, s := range p.All {
		add := func(way string) { out = append(out, Branch{p.Name, s.Place, way}) }
		add("")
		if s.If != nil {
			add(IfWay)
			add(IfNotWay)
		}
		switch do := s.Do.(type) {
		case *Switch:
			for i := range do.Cases {
				add(CaseWay(i))
			}
			add(DefaultWay)
		case *Try:
			for i := range do.Catch {
				add(CatchWay(i))
			}
		case *WaitFor:
			if do.Continue {
				add(TimeoutWay)
			}
		}
	}
	return out
}

// Blocks returns the lists of steps directly inside the step, without those of a flow
// that it calls.
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
