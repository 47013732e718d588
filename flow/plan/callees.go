package plan

import (
	"slices"

	"facteur/flow/call"
)

// Flows returns the plan and those of all flows that it calls, each once, callers first.
func (p *Plan) Flows() []*Plan {
	all := []*Plan{p}
	for i := 0; i < len(all); i++ {
		for _, s := range all[i].AllSteps {
			if do, ok := s.Do.(*CallFlow); ok && !slices.Contains(all, do.Plan) {
				all = append(all, do.Plan)
			}
		}
	}
	return all
}

// Signatures returns the signatures of the actions used by the plan and by the flows that it
// calls, by name.
func (p *Plan) Signatures() map[string]*call.Signature {
	out := map[string]*call.Signature{}
	for _, f := range p.Flows() {
		for _, s := range f.AllSteps {
			if do, ok := s.Do.(*Action); ok {
				out[do.Signature.Name] = do.Signature
			}
		}
	}
	return out
}
