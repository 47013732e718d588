package expr

import (
	"fmt"
	"reflect"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// Vars is what a program reads when it is evaluated.
type Vars struct {
	Values Values    // nil: there are none
	Now    time.Time // of now()
	Random Random    // of random() and uuid(); nil: they are errors
}

func (v *Vars) value(name string) (any, bool) {
	if v.Values == nil {
		return nil, false
	}
	return v.Values.Value(name)
}

// Values are the variables: plain values (see schema.Coerce).
type Values interface {
	// Value returns the value of a variable, if there is one.
	Value(name string) (v any, ok bool)
}

// A Map is Values by name.
type Map map[string]any

// Value implements Values.
func (m Map) Value(name string) (any, bool) {
	v, ok := m[name]
	return v, ok
}

// Random is the source of random() and uuid().
type Random interface {
	// Int returns an integer from a to b, both included.
	Int(a, b int64) (int64, error)
	// UUID returns a random UUID, version 4.
	UUID() string
}

// An activation adapts Vars to CEL.
type activation Vars

// ResolveName returns the value of a variable.
func (v *activation) ResolveName(name string) (any, bool) {
	switch name {
	case nowVariable:
		return types.Timestamp{Time: v.Now}, true
	case randomVariable:
		return randomSource{v.Random}, true
	}
	return (*Vars)(v).value(name)
}

// Parent returns nil: there is one level of variables.
func (v *activation) Parent() interpreter.Activation { return nil }

// A randomSource carries a Random through CEL, as a value that an author cannot reach.
type randomSource struct{ random Random }

func randomOf(v ref.Val, function string) (Random, error) {
	if s, ok := v.(randomSource); ok && s.random != nil {
		return s.random, nil
	}
	return nil, fmt.Errorf("%s is not available here", function)
}

func (s randomSource) ConvertToNative(reflect.Type) (any, error) {
	return nil, fmt.Errorf("a source of random values has no other form")
}

func (s randomSource) ConvertToType(ref.Type) ref.Val { return types.NoSuchOverloadErr() }
func (s randomSource) Equal(ref.Val) ref.Val          { return types.False }
func (s randomSource) Type() ref.Type                 { return types.DynType }
func (s randomSource) Value() any                     { return nil }
