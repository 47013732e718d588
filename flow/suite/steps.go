package suite

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"facteur/flow/diag"
	"facteur/flow/plan"
	"facteur/flow/record"
)

// stepsOf returns the steps of a flow and of the flows that it calls, by id.
func stepsOf(p *plan.Plan) map[string]*plan.Step {
	steps := map[string]*plan.Step{}
	for _, f := range p.Flows() {
		for _, s := range f.AllSteps {
			if s.ID != "" && steps[s.ID] == nil {
				steps[s.ID] = s
			}
		}
	}
	return steps
}

// idOf returns the id at the end of a step's path.
func idOf(path string) string { return path[strings.LastIndexAny(path, "./")+1:] }

// checkStep reports a name that is neither the id nor the path of a step.
func checkStep(name diag.Text, p *plan.Plan) (diags diag.List) {
	if hint, ok := findStep(name.Value, p); !ok {
		diags.Errorf("unknown-step", name.Whole, hint, "the flow has no step %q", name.Value)
	}
	return diags
}

// checkSteps reports exchanges of steps that the flow does not have.
func checkSteps(exchanges []*record.Exchange, p *plan.Plan) (diags diag.List) {
	for _, x := range exchanges {
		if x.Step == "" {
			continue
		}
		if hint, ok := findStep(x.Step, p); !ok {
			diags.Errorf("unknown-step", x.Range.First(), hint, "the flow has no step %q", x.Step)
		}
	}
	return diags
}

// findStep looks up a step by its id or its path; the hint suggests the right name.
func findStep(name string, p *plan.Plan) (hint string, ok bool) {
	steps := stepsOf(p)
	if steps[name] != nil {
		return "", true
	}
	var of []string // the paths of steps with the id at the end of name
	eachPath(p, "", func(path string, s *plan.Step) {
		ok = ok || matchesPath(name, path)
		if s.ID != "" && s.ID == idOf(name) {
			of = append(of, path)
		}
	})
	if ok {
		return "", true
	}
	if id := idOf(name); len(of) > 0 && of[0] != id {
		path := strings.ReplaceAll(of[0], anyIndex, "[0]")
		return fmt.Sprintf("write its id, %q, or its path as in reports, %q", id, path), false
	}
	return diag.DidYouMean(idOf(name), "steps", slices.Collect(maps.Keys(steps))), false
}

// anyIndex stands for the index of any iteration in a path.
const anyIndex = "[*]"

// eachPath calls f with the path of each step of a flow and of the flows that it calls.
func eachPath(p *plan.Plan, prefix string, f func(path string, s *plan.Step)) {
	var block func(steps []*plan.Step, prefix, inside string)
	block = func(steps []*plan.Step, prefix, inside string) {
		for _, s := range steps {
			path := prefix + strings.TrimPrefix(s.Place, inside)
			f(path, s)
			inner, place := prefix, inside
			switch do := s.Do.(type) {
			case *plan.CallFlow:
				eachPath(do.Plan, path+"/", f)
			case *plan.Foreach:
				inner, place = path+anyIndex+".", s.Place+"."
			}
			for _, steps := range s.Blocks() {
				block(steps, inner, place)
			}
		}
	}
	block(p.Steps, prefix, "")
	block(p.OnFailure, prefix, "")
}

// matchesPath reports whether a name is a path, with any index in place of anyIndex.
func matchesPath(name, path string) bool {
	for {
		before, after, more := strings.Cut(path, anyIndex)
		rest, ok := strings.CutPrefix(name, before)
		if !ok || !more {
			return ok && rest == ""
		}
		index, rest, ok := strings.Cut(strings.TrimPrefix(rest, "["), "]")
		if !ok || index == "" || strings.Trim(index, "0123456789") != "" {
			return false
		}
		name, path = rest, after
	}
}
