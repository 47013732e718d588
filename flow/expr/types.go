package expr

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"facteur/flow/call"
	"facteur/flow/schema"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// Names of CEL types that stand for objects begin with @, which no variable and no field can:
// a type named like a variable would hide it.
const (
	stepsTypeName = "@steps"
	varsTypeName  = "@vars"
	stepPrefix    = "@step:"
	objectPrefix  = "@object:"
)

// objects names each object type that a check comes across, so that the schema type can be
// found again from CEL's.
type objects struct {
	byType map[*schema.Type]*types.Type
	byName []*schema.Type
}

func (o *objects) named(t *schema.Type) *types.Type {
	if named := o.byType[t]; named != nil {
		return named
	}
	if o.byType == nil {
		o.byType = map[*schema.Type]*types.Type{}
	}
	named := types.NewObjectType(objectPrefix + strconv.Itoa(len(o.byName)))
	o.byType[t] = named
	o.byName = append(o.byName, t)
	return named
}

func (o *objects) find(name string) *schema.Type {
	number, ok := strings.CutPrefix(name, objectPrefix)
	if !ok {
		return nil
	}
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= len(o.byName) {
		return nil
	}
	return o.byName[i]
}

// celType returns the CEL type of values of t.
func (o *objects) celType(t *schema.Type) *types.Type {
	if t == nil {
		return types.DynType
	}
	switch t.Kind {
	case schema.String:
		return types.StringType
	case schema.Bool:
		return types.BoolType
	case schema.Int:
		return types.IntType
	case schema.Number:
		return types.DoubleType
	case schema.Timestamp:
		return types.TimestampType
	case schema.Duration:
		return types.DurationType
	case schema.List:
		return types.NewListType(o.celType(t.Elem))
	case schema.Map:
		return types.NewMapType(types.StringType, o.celType(t.Elem))
	case schema.Object:
		if t.Open && len(t.Fields) == 0 {
			return types.NewMapType(types.StringType, types.DynType)
		}
		return o.named(t)
	}
	return types.DynType
}

// schemaType returns the schema type of an expression of type t, and whether it is optional.
func (s *Scope) schemaType(t *types.Type) (of *schema.Type, optional bool) {
	switch t.Kind() {
	case types.StringKind:
		return schema.StringType, false
	case types.BoolKind:
		return schema.BoolType, false
	case types.IntKind, types.UintKind:
		return schema.IntType, false
	case types.DoubleKind:
		return schema.NumberType, false
	case types.TimestampKind:
		return schema.TimestampType, false
	case types.DurationKind:
		return schema.DurationType, false
	case types.ListKind:
		elem, _ := s.schemaType(t.Parameters()[0])
		return schema.ListOf(elem), false
	case types.MapKind:
		elem, _ := s.schemaType(t.Parameters()[1])
		return schema.MapOf(elem), false
	case types.StructKind:
		switch name := t.TypeName(); {
		case strings.HasPrefix(name, stepPrefix):
			return stepType(s.steps.m[name[len(stepPrefix):]].Outputs), false
		case name == varsTypeName:
			return s.varsType(), false
		default:
			if found := s.objects.find(name); found != nil {
				return found, false
			}
		}
	case types.OpaqueKind:
		if isOptional(t) {
			of, _ := s.schemaType(t.Parameters()[0])
			return of, true
		}
	}
	return schema.AnyType, false
}

// literalFields returns the fields of a map literal, nil if some of its keys are not literals
// or if it is none.
func (s *Scope) literalFields(tree *ast.AST) []*schema.Field {
	if tree.Expr().Kind() != ast.MapKind {
		return nil
	}
	var fields []*schema.Field
	for _, entry := range tree.Expr().AsMap().Entries() {
		e := entry.AsMapEntry()
		name, ok := textOf(e.Key())
		if !ok {
			return nil
		}
		t, _ := s.schemaType(tree.GetType(e.Value().ID()))
		fields = append(fields, &schema.Field{Name: name, Type: t, Required: !e.IsOptional()})
	}
	return fields
}

// stepType is the type of steps.<id>: what a skipped step lacks is not required.
func stepType(outputs *schema.Type) *schema.Type {
	return &schema.Type{Kind: schema.Object, Fields: []*schema.Field{
		{Name: "status", Type: schema.StringType, Required: true, Always: true},
		{Name: "outputs", Type: outputs},
		{Name: "attempts", Type: schema.IntType, Required: true, Always: true},
		{Name: "error", Type: call.ErrorType},
	}}
}

// varsType is the type of vars as a whole; each variable may be unset.
func (s *Scope) varsType() *schema.Type {
	t := &schema.Type{Kind: schema.Object}
	for _, name := range slices.Sorted(maps.Keys(s.vars.m)) {
		t.Fields = append(t.Fields, &schema.Field{Name: name, Type: s.vars.m[name]})
	}
	return t
}

// A provider gives CEL's checker the types of the scope in its current state.
type provider struct{ *Scope }

var errNoEnum = types.WrapErr(errors.New("there are no enums"))

func (provider) EnumValue(string) ref.Val { return errNoEnum }

func (provider) FindIdent(name string) (ref.Val, bool) {
	switch name {
	case "bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint":
		return shared().provider.FindIdent(name)
	}
	return nil, false
}

func (provider) FindStructType(name string) (*types.Type, bool) {
	if !strings.HasPrefix(name, "@") {
		return nil, false
	}
	return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
}

func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	switch {
	case name == stepsTypeName:
		return p.visibleSteps(), true
	case name == varsTypeName:
		return slices.Sorted(maps.Keys(p.vars.m)), true
	case strings.HasPrefix(name, stepPrefix):
		return []string{"status", "outputs", "attempts", "error"}, true
	}
	if t := p.objects.find(name); t != nil {
		return t.Names(), true
	}
	return nil, false
}

func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	t := p.fieldType(name, field)
	if t == nil {
		return nil, false
	}
	return &types.FieldType{Type: t}, true
}

func (p provider) fieldType(name, field string) *types.Type {
	switch {
	case name == stepsTypeName:
		if _, ok := p.steps.m[field]; ok {
			return types.NewObjectType(stepPrefix + field)
		}
	case name == varsTypeName:
		if t, ok := p.vars.m[field]; ok {
			return p.objects.celType(t)
		}
	case strings.HasPrefix(name, stepPrefix):
		if t := stepField(p.steps.m[name[len(stepPrefix):]].Outputs, field); t != nil {
			return p.objects.celType(t)
		}
	default:
		t := p.objects.find(name)
		if t == nil {
			return nil
		}
		if f := t.Field(field); f != nil {
			return p.objects.celType(f.Type)
		}
		if t.Open {
			return types.DynType
		}
	}
	return nil
}

// stepField returns the type of steps.<id>.<field>, or nil.
func stepField(outputs *schema.Type, field string) *schema.Type {
	switch field {
	case "status":
		return schema.StringType
	case "attempts":
		return schema.IntType
	case "error":
		return call.ErrorType
	case "outputs":
		if outputs == nil {
			return schema.AnyType
		}
		return outputs
	}
	return nil
}

func (provider) NewValue(name string, _ map[string]ref.Val) ref.Val {
	return types.NewErr("there is no type %s", name)
}

// typeName returns the name of a CEL type in diagnostics.
func typeName(t *types.Type) string {
	switch t.Kind() {
	case types.DynKind, types.AnyKind, types.ErrorKind, types.TypeParamKind:
		return "any"
	case types.NullTypeKind:
		return "null"
	case types.ListKind:
		if elem := typeName(t.Parameters()[0]); elem != "any" {
			return "list of " + elem
		}
		return "list"
	case types.MapKind:
		if elem := typeName(t.Parameters()[1]); elem != "any" {
			return "map of " + elem
		}
		return "map"
	case types.StructKind:
		if strings.HasPrefix(t.TypeName(), stepPrefix) {
			return "step"
		}
		return "object"
	case types.TimestampKind:
		return "timestamp"
	case types.DurationKind:
		return "duration"
	case types.TypeKind:
		return "type"
	case types.OpaqueKind:
		if isOptional(t) {
			return "optional " + typeName(t.Parameters()[0])
		}
	}
	return t.TypeName()
}

func isOptional(t *types.Type) bool {
	return t.Kind() == types.OpaqueKind && t.TypeName() == types.OptionalType.TypeName()
}
