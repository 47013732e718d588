package schema

import (
	"maps"
	"slices"
)

// Specialize returns a faster Coerce for values that equal known, a result of Coerce, except
// in the parts that are Unknown in it. Only those parts are coerced again; a value of another
// shape is coerced as a whole.
func (t *Type) Specialize(known any) func(v any) (any, Violations) {
	r := t.residual(known, siblings{})
	return func(v any) (any, Violations) {
		var c coercer
		if out, _, sameShape := r.coerce(&c, v, nil); sameShape && len(c.found) == 0 {
			return out, nil
		}
		return t.Coerce(v)
	}
}

// A residual says which parts of a value are left to be coerced: the whole of it, or some of
// its fields or items. nil: none.
type residual struct {
	// the type to coerce to; nil if only parts are left
	whole  *Type
	owner  *Type // the type of the object that the value is a field of, nil for none
	fields []residualField
	items  []*residual
}

type residualField struct {
	name string
	*residual
}

func (t *Type) residual(known any, owner siblings) *residual {
	_, unknown := known.(Unknown)
	if t.Kind == Union && !unknown {
		if of := owner.caseOf(t); of != nil {
			return of.residual(known, siblings{})
		}
		unknown = true // the case is not known
	}
	if unknown {
		return &residual{whole: t, owner: owner.t}
	}
	out, partial := &residual{}, false
	switch known := known.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(known)) {
			of, owner := t.elem(), siblings{}
			if f := t.Field(name); f != nil {
				of, owner = f.Type, siblings{t, known}
			}
			if r := of.residual(known[name], owner); r != nil {
				out.fields, partial = append(out.fields, residualField{name, r}), true
			}
		}
	case []any:
		for _, item := range known {
			r := t.elem().residual(item, siblings{})
			out.items, partial = append(out.items, r), partial || r != nil
		}
	}
	if !partial {
		return nil
	}
	return out
}

// coerce coerces the parts of v that are left; object is the one that v is a field of, if any.
// sameShape is false if v has another shape than the known value.
func (r *residual) coerce(c *coercer, v any, object map[string]any) (out any, changed, sameShape bool) {
	switch {
	case r == nil:
		return v, false, true
	case r.whole != nil:
		out, changed = c.value(r.whole, v, siblings{r.owner, object})
		return out, changed, true
	}
	switch v := v.(type) {
	case map[string]any:
		e := cowMap{m: v}
		for _, f := range r.fields {
			inner, there := v[f.name]
			got, differs, sameShape := f.coerce(c, inner, v)
			if !there || !sameShape {
				return nil, false, false
			}
			if differs {
				e.set(f.name, got)
			}
		}
		return e.m, e.changed, true
	case []any:
		if len(v) != len(r.items) {
			return nil, false, false
		}
		list := v
		for i, item := range r.items {
			got, differs, sameShape := item.coerce(c, v[i], nil)
			if !sameShape {
				return nil, false, false
			}
			if differs && !changed {
				list, changed = slices.Clone(v), true
			}
			if differs {
				list[i] = got
			}
		}
		return list, changed, true
	}
	return nil, false, false
}
