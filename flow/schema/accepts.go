package schema

import (
	"fmt"
	"slices"
	"strings"

	"facteur/flow/diag"
)

// Name returns the type's name in messages: "string", "list of integer".
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

// Accepts reports whether a value of type from may be used where t is expected, as far as
// types can tell; all else (enums, patterns, limits, any, the keys of a map) is left to
// Coerce. If not, why is the complete reason, e.g. "language: expected string, got integer"; a
// hint is up to the caller.
func (t *Type) Accepts(from *Type) (ok bool, why string) {
	switch {
	case from == nil || t.Kind == Any || from.Kind == Any:
		return true, ""
	case from.Kind == Union:
		// The case is only known at run time.
		if t.isObjectLike() || t.acceptsCase(from) {
			return true, ""
		}
		return t.mismatch(from)
	}
	switch t.Kind {
	case Union:
		if from.isObjectLike() {
			return true, ""
		}
		if slices.ContainsFunc(t.Cases, func(c Case) bool { ok, _ := c.Type.Accepts(from); return ok }) {
			return true, ""
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
	return t.mismatch(from)
}

func (t *Type) mismatch(from *Type) (bool, string) {
	return false, fmt.Sprintf("expected %s, got %s", t.Name(), from.Name())
}

// isObjectLike reports whether values of the type are map[string]any.
func (t *Type) isObjectLike() bool { return t.Kind == Object || t.Kind == Map || t.Kind == Union }

func (t *Type) acceptsCase(union *Type) bool {
	return slices.ContainsFunc(union.Cases, func(c Case) bool { ok, _ := t.Accepts(c.Type); return ok })
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
	return t.mismatch(from)
}

func (t *Type) acceptsFields(from *Type) (bool, string) {
	switch {
	case from.Kind == Object:
		return t.acceptsObject(from)
	case from.Kind == Map && from.Fields != nil:
		return t.acceptsLiteralMap(from)
	case from.Kind != Map:
		return t.mismatch(from)
	}
	// Its keys are only known at run time; its values must fit the required fields.
	fits := func(f *Field) bool { ok, _ := f.Type.Accepts(from.elem()); return ok }
	lacks := func(f *Field) bool { return f.mustBeGiven() && !fits(f) }
	if (t.Open || len(t.Fields) == 0 || slices.ContainsFunc(t.Fields, fits)) && !slices.ContainsFunc(t.Fields, lacks) {
		return true, ""
	}
	return false, fmt.Sprintf("expected %s with fields %s, got %s", t.Name(), strings.Join(t.Names(), ", "), from.Name())
}

func (f *Field) mustBeGiven() bool { return f.Required && f.Default == nil }

func (t *Type) acceptsObject(from *Type) (bool, string) {
	for _, f := range t.Fields {
		got := from.Field(f.Name)
		if got == nil && f.mustBeGiven() && !from.Open {
			return false, fmt.Sprintf("the object lacks the field %q", f.Name)
		}
		if got == nil {
			continue
		}
		if ok, why := f.Type.Accepts(got.Type); !ok {
			return false, f.Name + ": " + why
		}
	}
	for _, f := range from.Fields {
		if t.Open || t.Field(f.Name) != nil {
			continue
		}
		why := fmt.Sprintf("no field %q is expected here", f.Name)
		if near := diag.Suggest(f.Name, t.Names()); near != "" {
			why += fmt.Sprintf(", did you mean %q?", near)
		}
		return false, why
	}
	return true, ""
}

// acceptsLiteralMap is acceptsFields for a map made by literals. Fields that only some of them
// have are checked at run time.
func (t *Type) acceptsLiteralMap(from *Type) (bool, string) {
	certain := &Type{Kind: Object}
	for _, f := range from.Fields {
		if f.Required {
			certain.Fields = append(certain.Fields, f)
		}
	}
	certain.Open = len(certain.Fields) < len(from.Fields)
	return t.acceptsFields(certain)
}
