package expr

import (
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// CEL iterates over maps in Go's random order, which would break replay. So every
// comprehension over what is or may be a map goes through @sorted.
const (
	sortedName     = "@sorted"
	sortedOverload = "facteur_sorted"
)

func sortedFunction() cel.EnvOption {
	return cel.Function(sortedName, cel.Overload(sortedOverload, []*cel.Type{cel.DynType}, cel.DynType,
		cel.UnaryBinding(sorted)))
}

// sorted returns a map that iterates in the order of its keys, and any other value unchanged.
func sorted(v ref.Val) ref.Val {
	m, ok := v.(traits.Mapper)
	if !ok {
		return v
	}
	keys := make([]ref.Val, 0, int(size(m)))
	for it := m.Iterator(); it.HasNext() == types.True; {
		keys = append(keys, it.Next())
	}
	slices.SortFunc(keys, compareKeys)
	return sortedMap{m, keys}
}

// compareKeys orders keys by type, then by value.
func compareKeys(a, b ref.Val) int {
	if c, ok := a.(traits.Comparer); ok {
		if n, ok := c.Compare(b).(types.Int); ok {
			return int(n)
		}
	}
	return rank(a) - rank(b)
}

func rank(key ref.Val) int {
	switch key.(type) {
	case types.Bool:
		return 0
	case types.Int, types.Uint, types.Double:
		return 1
	}
	return 2
}

type sortedMap struct {
	traits.Mapper
	keys []ref.Val
}

func (m sortedMap) Iterator() traits.Iterator { return &keyIterator{keys: m.keys} }

type keyIterator struct {
	randomSource // an iterator has to be a ref.Val; only the two methods below are called
	keys         []ref.Val
}

func (i *keyIterator) HasNext() ref.Val { return types.Bool(len(i.keys) > 0) }

func (i *keyIterator) Next() ref.Val {
	if len(i.keys) == 0 {
		return nil
	}
	key := i.keys[0]
	i.keys = i.keys[1:]
	return key
}
