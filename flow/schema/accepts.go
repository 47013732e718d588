package schema

import (
	"fmt"
	"strings"

	"facteur/flow/diag"
)

// Name gives the type as a short word for messages: "string", "list of integer".
func (t *Type) Name() string {
	switch t.Kind {
	case List, Map:
		name := "list"
		if t.Kind == Map {
			name = "map"
		}
		if elem := t.elem(); elem.Kind != Any {
			name += " of " + elem.Name()
		}
		return name
	case Union:
		return "object"
	}
	return t.Kind.String()
}

// Accepts tells whether a value of type from may stand where t is asked for, as far
// as types can say; whatever else matters (enums, patterns, limits, any, which keys a
// map has) is left to Coerce. When it may not, why is the whole reason, e.g.
// "language: expected string, got integer"; how to mend it is the caller's hint.
func (t *Type) Accepts(from *Type) (ok bool, why string) {
	switch {
	case from == nil || t.Kind == Any || from.Kind == Any:
		return true, ""
	case from.Kind == Union:
		// Which case it is shows when it runs.
		if t.holdsNames() || t.acceptsCase(from) {
			return true, ""
		}
		return t.refuse(from)
	}
	switch t.Kind {
	case Union:
		if from.holdsNames() {
			return true, ""
		}
		for _, c := range t.Cases {
			if ok, _ := c.Type.Accepts(from); ok {
				return true, ""
			}
		}
	case List:
		if from.Kind == List {
			if ok, why := t.elem().Accepts(from.elem()); !ok {
				return false, "items: " + why
			}
			return true, ""
		}
	case Map:
		return t.acceptsEntries(from)
	case Object:
		return t.acceptsFields(from)
	default:
		if from.Kind == t.Kind || t.Kind == Number && from.Kind == Int {
			return true, ""
		}
	}
	return t.refuse(from)
}

func (t *Type) refuse(from *Type) (bool, string) {
	return false, fmt.Sprintf("expected %s, got %s", t.Name(), from.Name())
}

// holdsNames tells whether values of the type are objects of some sort.
func (t *Type) holdsNames() bool { return t.Kind == Object || t.Kind == Map || t.Kind == Union }

func (t *Type) acceptsCase(union *Type) bool {
	for _, c := range union.Cases {
		if ok, _ := t.Accepts(c.Type); ok {
			return true
		}
	}
	return false
}

func (t *Type) acceptsEntries(from *Type) (bool, string) {
	elem := t.elem()
	switch from.Kind {
	case Map:
		if ok, why := elem.Accepts(from.elem()); !ok {
			return false, "values: " + why
		}
		return true, ""
	case Object:
		for _, f := range from.Fields {
			if ok, why := elem.Accepts(f.Type); !ok {
				return false, f.Name + ": " + why
			}
		}
		return true, ""
	}
	return t.refuse(from)
}

func (t *Type) acceptsFields(from *Type) (bool, string) {
	switch from.Kind {
	case Object:
		for _, f := range t.Fields {
			got := from.Field(f.Name)
			if got == nil {
				if f.Required && f.Default == nil && !from.Open {
					return false, fmt.Sprintf("the object lacks the field %q", f.Name)
				}
				continue
			}
			if ok, why := f.Type.Accepts(got.Type); !ok {
				return false, f.Name + ": " + why
			}
		}
		for _, f := range from.Fields {
			if !t.Open && t.Field(f.Name) == nil {
				why := fmt.Sprintf("no field %q is expected here", f.Name)
				if near := diag.Suggest(f.Name, t.Names()); near != "" {
					why += fmt.Sprintf(", did you mean %q?", near)
				}
				return false, why
			}
		}
		return true, ""
	case Map:
		if from.Fields != nil {
			return t.acceptsWritten(from)
		}
		// Its keys show when it runs; its values must suit what cannot be left out.
		fits := t.Open || len(t.Fields) == 0
		for _, f := range t.Fields {
			ok, _ := f.Type.Accepts(from.elem())
			fits = fits || ok
			if !ok && f.Required && f.Default == nil {
				fits = false
				break
			}
		}
		if fits {
			return true, ""
		}
		return false, fmt.Sprintf("expected %s with fields %s, got %s", t.Name(), strings.Join(t.Names(), ", "), from.Name())
	}
	return t.refuse(from)
}

// acceptsWritten is acceptsFields for a map that literals wrote out. What only some of them have
// shows when it runs.
func (t *Type) acceptsWritten(from *Type) (bool, string) {
	sure := &Type{Kind: Object}
	for _, f := range from.Fields {
		if f.Required {
			sure.Fields = append(sure.Fields, f)
		}
	}
	sure.Open = len(sure.Fields) < len(from.Fields)
	return t.acceptsFields(sure)
}
