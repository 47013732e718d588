package schema

import (
	"maps"
	"slices"
)

// Rest returns Coerce for values that are like this one, which Coerce gave, and differ from
// it only in what is Unknown in it. Nothing else is looked at again.
func (t *Type) Rest(known any) func(v any) (any, Violations) {
	r := t.rest(known, siblings{})
	return func(v any) (any, Violations) {
		var c coercer
		if out, _, like := r.coerce(&c, v, nil); like && len(c.found) == 0 {
			return out, nil
		}
		return t.Coerce(v)
	}
}

// A rest is what is left to be coerced of a value: all of it, or some of its parts. A nil
// one is nothing.
type rest struct {
	all    *Type
	in     *Type // the object that the value stands in, nil for none
	fields []fieldRest
	items  []*rest
}

type fieldRest struct {
	name string
	*rest
}

func (t *Type) rest(known any, owner siblings) *rest {
	_, unknown := known.(Unknown)
	if t.Kind == Union && !unknown {
		if of := owner.caseOf(t); of != nil {
			return of.rest(known, siblings{})
		}
		unknown = true // which case it is
	}
	if unknown {
		return &rest{all: t, in: owner.t}
	}
	left, some := &rest{}, false
	switch known := known.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(known)) {
			of, owner := t.elem(), siblings{}
			if f := t.Field(name); f != nil {
				of, owner = f.Type, siblings{t, known}
			}
			if r := of.rest(known[name], owner); r != nil {
				left.fields, some = append(left.fields, fieldRest{name, r}), true
			}
		}
	case []any:
		for _, item := range known {
			r := t.elem().rest(item, siblings{})
			left.items, some = append(left.items, r), some || r != nil
		}
	}
	if !some {
		return nil
	}
	return left
}

// coerce coerces what is left of a value that stands in an object, if in any. like is false
// where the value is of another shape than the one that was known.
func (r *rest) coerce(c *coercer, v any, object map[string]any) (out any, changed, like bool) {
	switch {
	case r == nil:
		return v, false, true
	case r.all != nil:
		out, changed = c.value(r.all, v, siblings{r.in, object})
		return out, changed, true
	}
	switch v := v.(type) {
	case map[string]any:
		e := edit{m: v}
		for _, f := range r.fields {
			inner, there := v[f.name]
			got, differs, like := f.coerce(c, inner, v)
			if !there || !like {
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
			got, differs, like := item.coerce(c, v[i], nil)
			if !like {
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
