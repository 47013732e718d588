package schema

// Join returns the type of values that are of type a or b: a if they differ only in limits,
// number for an integer and a number, any if their kinds differ. For maps made by literals it
// has the fields of both, Required if each of them has the field.
func Join(a, b *Type) *Type {
	switch {
	case a == b:
		return a
	case a == nil || b == nil:
		return AnyType
	case a.Kind == Int && b.Kind == Number || a.Kind == Number && b.Kind == Int:
		return NumberType
	case a.Kind != b.Kind:
		return AnyType
	}
	switch a.Kind {
	case List, Map:
		joined := *a
		joined.Elem = Join(a.elem(), b.elem())
		joined.Fields = nil
		if a.Fields != nil && b.Fields != nil {
			joined.Fields = joinFields(a, b)
		}
		return &joined
	case Object:
		if len(a.Fields) != len(b.Fields) || a.Open != b.Open {
			return AnyType
		}
		joined := *a
		joined.Fields = joinFields(a, b)
		if len(joined.Fields) != len(a.Fields) {
			return AnyType
		}
		for i, f := range joined.Fields {
			if f != a.Fields[i] {
				return &joined
			}
		}
	}
	return a
}

func joinFields(a, b *Type) []*Field {
	fields := make([]*Field, 0, len(a.Fields))
	for _, f := range a.Fields {
		joined := *f
		if g := b.Field(f.Name); g == nil {
			joined.Required = false
		} else {
			joined.Type, joined.Required = Join(f.Type, g.Type), f.Required && g.Required
		}
		if joined.Type == f.Type && joined.Required == f.Required {
			fields = append(fields, f)
		} else {
			fields = append(fields, &joined)
		}
	}
	for _, g := range b.Fields {
		if a.Field(g.Name) == nil {
			joined := *g
			joined.Required = false
			fields = append(fields, &joined)
		}
	}
	return fields
}
