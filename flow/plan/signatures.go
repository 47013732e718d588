package plan

import "facteur/flow/call"

// Signatures returns the actions of the plan and of the flows that it calls, by name.
func (p *Plan) Signatures() map[string]*call.Signature {
	out := map[string]*call.Signature{}
	p.signatures(out, map[*Plan]bool{})
	return out
}

func (p *Plan) signatures(into map[string]*call.Signature, seen map[*Plan]bool) {
	if seen[p] {
		return
	}
	seen[p] = true
	for _, s := range p.All {
		switch do := s.Do.(type) {
		case *Action:
			into[do.Signature.Name] = do.Signature
		case *CallFlow:
			do.Plan.signatures(into, seen)
		}
	}
}
