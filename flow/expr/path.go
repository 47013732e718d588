package expr

import (
	"strings"

	"facteur/flow/schema"
)

// Most expressions are a bare path such as steps.notify.outputs.status_code. A path
// whose type the scope knows needs neither CEL's parser nor its run-time: it means the
// same, and costs a hundredth.

// pathOf returns the names of a bare path, nil for any other expression.
func pathOf(s string) []string {
	begin := true
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '.':
			if begin {
				return nil
			}
			begin = true
		case !isNameByte(c) || begin && c >= '0' && c <= '9':
			return nil
		default:
			begin = false
		}
	}
	if begin {
		return nil
	}
	names := strings.Split(s, ".")
	if isKeyword(names[0]) {
		return nil
	}
	for _, name := range names[1:] {
		if name == "true" || name == "false" || name == "null" || name == "in" {
			return nil
		}
	}
	return names
}

// pathType returns the type at the end of a path, nil if the path is not certainly valid: then
// CEL reports what is wrong with it.
func (s *Scope) pathType(names []string) *schema.Type { return s.walkPath(names, fieldType) }

// ownerPathType is pathType for a type whose field names are needed: maps written as literals
// share one CEL type, but may have different fields.
func (s *Scope) ownerPathType(names []string) *schema.Type {
	return s.walkPath(names, func(t *schema.Type, name string) *schema.Type {
		if f := t.Field(name); t.Kind == schema.Map && f != nil {
			return f.Type
		}
		return fieldType(t, name)
	})
}

func (s *Scope) walkPath(names []string, field func(*schema.Type, string) *schema.Type) *schema.Type {
	var t *schema.Type
	switch rest := names[1:]; {
	case names[0] == "steps" && len(rest) >= 2:
		st, ok := s.steps.m[rest[0]]
		if !ok {
			return nil
		}
		t, names = stepField(st.Outputs, rest[1]), rest[2:]
	case names[0] == "vars" && len(rest) >= 1:
		t, names = s.vars.m[rest[0]], rest[1:]
	case names[0] == "steps" || names[0] == "vars":
		return nil
	default:
		t, names = s.names.m[names[0]], rest
	}
	for _, name := range names {
		if t == nil {
			return nil
		}
		t = field(t, name)
	}
	if t != nil && t.Kind == schema.Union {
		return schema.AnyType
	}
	return t
}

func fieldType(t *schema.Type, name string) *schema.Type {
	switch t.Kind {
	case schema.Any, schema.Union:
		return schema.AnyType
	case schema.Map:
		if t.Elem == nil {
			return schema.AnyType
		}
		return t.Elem
	case schema.Object:
		if f := t.Field(name); f != nil {
			return f.Type
		}
		if t.Open {
			return schema.AnyType
		}
	}
	return nil
}

// lookUp follows a path through the variables. If it ends early, missing is the index of the
// name that was not found, and v the value it was looked up in; otherwise missing is -1.
func lookUp(vars *Vars, names []string) (v any, missing int) {
	v, ok := vars.value(names[0])
	if !ok {
		return nil, 0
	}
	for i, name := range names[1:] {
		m, _ := v.(map[string]any)
		next, ok := m[name]
		if !ok {
			return v, i + 1
		}
		v = next
	}
	return v, -1
}
