package suite

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"facteur/flow/diag"
	"facteur/flow/plan"
)

// Coverage counts the steps and branches that the cases took.
type Coverage struct {
	Total CoverageCounts
	Flows []FlowCoverage // by name
}

// CoverageCounts counts steps and branches.
type CoverageCounts struct {
	Steps         int `json:"steps"`
	StepsTaken    int `json:"steps_taken"`
	Branches      int `json:"branches"`
	BranchesTaken int `json:"branches_taken"`
}

// A FlowCoverage is the coverage of one flow.
type FlowCoverage struct {
	Flow string
	CoverageCounts
	Missed []Missed // in the order of the file
}

// A Missed is a step or branch that no case took.
type Missed struct {
	plan.CoveragePoint
	Range diag.Range // of the step
}

func (m Missed) String() string {
	if m.Choice == "" {
		return "step " + m.Place
	}
	return "step " + m.Place + ": " + m.Choice
}

// Percent is the percentage of steps and branches that were taken; 100 if there are none.
func (c CoverageCounts) Percent() float64 {
	return percent(c.StepsTaken+c.BranchesTaken, c.Steps+c.Branches)
}

func percent(taken, all int) float64 {
	if all == 0 {
		return 100
	}
	return float64(taken) * 100 / float64(all)
}

// Coverage sums up the cases. It covers the flows under test, those that they call, and the
// further plans, e.g. of flows without a test.
func (rs Reports) Coverage(further ...*plan.Plan) Coverage {
	plans := map[string]*plan.Plan{}
	taken := map[plan.CoveragePoint]bool{}
	for _, p := range further {
		withCalled(p, plans)
	}
	for _, r := range rs {
		if r.plan != nil {
			withCalled(r.plan, plans)
		}
		maps.Copy(taken, r.taken)
	}
	var all Coverage
	for _, name := range slices.Sorted(maps.Keys(plans)) {
		f := flowCoverage(plans[name], taken)
		all.Flows = append(all.Flows, f)
		all.Total.Steps += f.Steps
		all.Total.StepsTaken += f.StepsTaken
		all.Total.Branches += f.Branches
		all.Total.BranchesTaken += f.BranchesTaken
	}
	return all
}

func withCalled(p *plan.Plan, plans map[string]*plan.Plan) {
	for _, f := range p.Flows() {
		plans[f.Name] = f
	}
}

func flowCoverage(p *plan.Plan, taken map[plan.CoveragePoint]bool) FlowCoverage {
	places := make(map[string]diag.Range, len(p.AllSteps))
	for _, s := range p.AllSteps {
		places[s.Place] = s.Range
	}
	c := FlowCoverage{Flow: p.Name}
	for _, point := range p.CoveragePoints() {
		all, hit := &c.Branches, &c.BranchesTaken
		if point.Choice == "" {
			all, hit = &c.Steps, &c.StepsTaken
		}
		*all++
		switch {
		case taken[point]:
			*hit++
		case point.Choice != plan.IfChoice || taken[plan.CoveragePoint{Flow: point.Flow, Place: point.Place}]: // otherwise the step itself is missed
			c.Missed = append(c.Missed, Missed{point, places[point.Place]})
		}
	}
	return c
}

// Text writes the coverage for people.
func (c Coverage) Text(w io.Writer) {
	for _, f := range c.Flows {
		fmt.Fprintf(w, "coverage of %s: %d of %s, %d of %s: %.1f%%\n", f.Flow,
			f.StepsTaken, plural(f.Steps, "step", "steps"), f.BranchesTaken, plural(f.Branches, "branch", "branches"), f.Percent())
		for _, m := range f.Missed {
			fmt.Fprintf(w, "  never taken: %s:%d: %s\n", m.Range.File(), m.Range.Pos().Line, m)
		}
	}
	fmt.Fprintf(w, "coverage: %.1f%%\n", c.Total.Percent())
}
