package inbound

import (
	"strings"

	"facteur/flow/schema"
)

// A selection says which fields of an object are kept, so that fields which nobody knows
// yet change nothing.
type selection []selected

type selected struct {
	name   string
	whole  bool      // whatever it is: its inside is not Meta's
	inside selection // of an object, or of each object of a list
}

// parseSelection reads a selection: names, separated by spaces; name(…) selects inside an
// object or the objects of a list, name* keeps it whole.
func parseSelection(spec string) selection {
	s, _ := parseFields(spec)
	return s
}

func parseFields(spec string) (s selection, rest string) {
	for {
		spec = strings.TrimLeft(spec, " \t\n")
		if spec == "" || spec[0] == ')' {
			return s, strings.TrimPrefix(spec, ")")
		}
		end := strings.IndexAny(spec, " \t\n()*")
		if end < 0 {
			end = len(spec)
		}
		one := selected{name: spec[:end]}
		spec = spec[end:]
		switch {
		case strings.HasPrefix(spec, "*"):
			one.whole, spec = true, spec[1:]
		case strings.HasPrefix(spec, "("):
			one.inside, spec = parseFields(spec[1:])
		}
		s = append(s, one)
	}
}

// of returns the selected fields of an object that are there, nil for none. A field
// whose value is not of the kind that was expected is left out.
func (s selection) of(v schema.Value) map[string]any {
	object, _ := v.Object()
	var kept map[string]any
	for _, one := range s {
		x, ok := object[one.name]
		if !ok {
			continue
		}
		if !one.whole {
			x = one.part(x)
		}
		if x == nil {
			continue
		}
		if kept == nil {
			kept = map[string]any{}
		}
		kept[one.name] = x
	}
	return kept
}

func (s selected) part(x any) any {
	switch x := x.(type) {
	case map[string]any:
		if kept := s.inside.of(schema.NewValue(x, nil)); kept != nil {
			return kept
		}
		return nil
	case []any:
		kept := make([]any, 0, len(x))
		for _, item := range x {
			if item = s.part(item); item != nil {
				kept = append(kept, item)
			}
		}
		if len(kept) == 0 {
			return nil
		}
		return kept
	}
	return x
}
