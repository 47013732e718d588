package expr

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"facteur/flow/schema"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
	"github.com/nyaruka/phonenumbers"
)

// What now(), uuid() and random() read: variables that an author cannot name. As variables
// they belong to one evaluation and are never constant-folded.
const (
	nowVariable    = "@now"
	randomVariable = "@source"
)

// functions declares our own functions. Names that begin with @ can only be called by macros.
func functions() []cel.EnvOption {
	text, dyn, integer := cel.StringType, cel.DynType, cel.IntType
	return []cel.EnvOption{
		cel.Function("e164", cel.Overload("e164_string_string", []*cel.Type{text, text}, text,
			cel.BinaryBinding(func(s, region ref.Val) ref.Val {
				return textOr(e164(string(s.(types.String)), string(region.(types.String))))
			}))),
		cel.Function("mask", cel.Overload("mask_string", []*cel.Type{text}, text,
			cel.UnaryBinding(func(s ref.Val) ref.Val { return types.String(mask(string(s.(types.String)))) }))),
		cel.Function("sha256", cel.Overload("sha256_string", []*cel.Type{text}, text,
			cel.UnaryBinding(func(s ref.Val) ref.Val {
				sum := sha256.Sum256([]byte(s.(types.String)))
				return types.String(hex.EncodeToString(sum[:]))
			}))),
		cel.Function("json", cel.Overload("json_dyn", []*cel.Type{dyn}, text,
			cel.UnaryBinding(func(v ref.Val) ref.Val { return textOr(jsonText(v)) }))),

		cel.Function("@uuid", cel.Overload("facteur_uuid", []*cel.Type{dyn}, text,
			cel.UnaryBinding(func(source ref.Val) ref.Val {
				r, err := randomOf(source, "uuid()")
				if err != nil {
					return types.WrapErr(err)
				}
				return types.String(r.UUID())
			}))),
		cel.Function("@random", cel.Overload("facteur_random", []*cel.Type{dyn, integer, integer}, integer,
			cel.FunctionBinding(random))),
		cel.Macros(
			constant("now", func(f cel.MacroExprFactory) ast.Expr { return f.NewIdent(nowVariable) }),
			constant("uuid", func(f cel.MacroExprFactory) ast.Expr { return f.NewCall("@uuid", f.NewIdent(randomVariable)) }),
			cel.GlobalMacro("random", 2, func(f cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
				return f.NewCall("@random", f.NewIdent(randomVariable), args[0], args[1]), nil
			}),
		),

		// duration("7d") takes our durations besides CEL's.
		cel.Function("@duration",
			cel.Overload("facteur_duration_string", []*cel.Type{text}, cel.DurationType,
				cel.UnaryBinding(func(s ref.Val) ref.Val {
					d, err := parseDuration(string(s.(types.String)))
					if err != nil {
						return types.WrapErr(err)
					}
					return types.Duration{Duration: d}
				})),
			cel.Overload("facteur_duration_duration", []*cel.Type{cel.DurationType}, cel.DurationType,
				cel.UnaryBinding(func(d ref.Val) ref.Val { return d }))),
		renamed("duration", 1, false),

		// The results of replace and join can be as long as the product of their
		// arguments: ours check the size before they allocate.
		cel.Function("@replace",
			cel.Overload("facteur_replace", []*cel.Type{text, text, text}, text, cel.FunctionBinding(replace)),
			cel.Overload("facteur_replace_n", []*cel.Type{text, text, text, integer}, text, cel.FunctionBinding(replace))),
		renamed("replace", 2, true),
		renamed("replace", 3, true),
		cel.Function("@join",
			cel.Overload("facteur_join", []*cel.Type{cel.ListType(text)}, text, cel.UnaryBinding(func(l ref.Val) ref.Val {
				return textOr(join(l.(traits.Lister), ""))
			})),
			cel.Overload("facteur_join_string", []*cel.Type{cel.ListType(text), text}, text, cel.BinaryBinding(func(l, sep ref.Val) ref.Val {
				return textOr(join(l.(traits.Lister), string(sep.(types.String))))
			}))),
		renamed("join", 0, true),
		renamed("join", 1, true),

		sortedFunction(),
	}
}

// constant returns a macro for a function without arguments.
func constant(name string, expand func(cel.MacroExprFactory) ast.Expr) cel.Macro {
	return cel.GlobalMacro(name, 0, func(f cel.MacroExprFactory, _ ast.Expr, _ []ast.Expr) (ast.Expr, *cel.Error) {
		return expand(f), nil
	})
}

// renamed returns a macro that turns a call of name into a call of the global @name.
func renamed(name string, args int, member bool) cel.EnvOption {
	if member {
		return cel.Macros(cel.ReceiverMacro(name, args, func(f cel.MacroExprFactory, target ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
			return f.NewCall("@"+name, append([]ast.Expr{target}, args...)...), nil
		}))
	}
	return cel.Macros(cel.GlobalMacro(name, args, func(f cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
		return f.NewCall("@"+name, args...), nil
	}))
}

// costs sets the cost of functions whose cost is not one unit.
func costs() []interpreter.CostTrackerOption {
	fixed := func(units uint64) interpreter.FunctionTracker {
		return func([]ref.Val, ref.Val) *uint64 { return &units }
	}
	result := func(_ []ref.Val, v ref.Val) *uint64 {
		units := 1 + size(v)/10
		return &units
	}
	operands := func(args []ref.Val, v ref.Val) *uint64 {
		units := 1 + size(v)/10
		for _, a := range args {
			units += size(a) / 10
		}
		return &units
	}
	return []interpreter.CostTrackerOption{
		interpreter.OverloadCostTracker("e164_string_string", fixed(100)),
		interpreter.OverloadCostTracker(formatOverload, fixed(50)),
		interpreter.OverloadCostTracker("pad_int_int", operands),
		interpreter.OverloadCostTracker("mask_string", operands),
		interpreter.OverloadCostTracker("sha256_string", operands),
		interpreter.OverloadCostTracker("json_dyn", result),
		interpreter.OverloadCostTracker("facteur_replace", operands),
		interpreter.OverloadCostTracker("facteur_replace_n", operands),
		interpreter.OverloadCostTracker("facteur_join", operands),
		interpreter.OverloadCostTracker("facteur_join_string", operands),
		interpreter.OverloadCostTracker(sortedOverload, operands),
		interpreter.OverloadCostTracker("string_format", operands),
	}
}

func size(v ref.Val) uint64 {
	if s, ok := v.(traits.Sizer); ok {
		if n, ok := s.Size().(types.Int); ok && n > 0 {
			return uint64(n)
		}
	}
	return 1
}

func textOr(s string, err error) ref.Val {
	if err != nil {
		return types.WrapErr(err)
	}
	return types.String(s)
}

func e164(s, region string) (string, error) {
	if err := validRegion(region); err != nil {
		return "", fmt.Errorf("e164: %w", err)
	}
	region = strings.ToUpper(region)
	number, err := phonenumbers.Parse(s, region)
	if err != nil || !phonenumbers.IsPossibleNumber(number) {
		return "", fmt.Errorf("e164: %q cannot be a phone number in %s", mask(s), region)
	}
	return phonenumbers.Format(number, phonenumbers.E164), nil
}

// mask replaces all of a text but its last characters by *: it keeps 4 of 12 or more, 2 of 6
// or more.
func mask(s string) string {
	r := []rune(s)
	keep := 0
	switch {
	case len(r) >= 12:
		keep = 4
	case len(r) >= 6:
		keep = 2
	}
	return strings.Repeat("*", len(r)-keep) + string(r[len(r)-keep:])
}

func replace(args ...ref.Val) ref.Val {
	s, old, by := string(args[0].(types.String)), string(args[1].(types.String)), string(args[2].(types.String))
	n := -1
	if len(args) == 4 {
		n = int(args[3].(types.Int))
	}
	times := strings.Count(s, old)
	if n >= 0 {
		times = min(times, n)
	}
	if times > 0 && len(by) > maxSize/times {
		return types.WrapErr(errTooLarge)
	}
	return types.String(strings.Replace(s, old, by, n))
}

func join(list traits.Lister, separator string) (string, error) {
	var b strings.Builder
	for it := list.Iterator(); it.HasNext() == types.True; {
		s, ok := it.Next().(types.String)
		if !ok {
			return "", errors.New("join takes a list of strings")
		}
		if b.Len()+len(s)+len(separator) > maxSize {
			return "", errTooLarge
		}
		b.WriteString(string(s))
		if it.HasNext() == types.True {
			b.WriteString(separator)
		}
	}
	return b.String(), nil
}

// parseDuration parses our durations ("7d") and CEL's ("1.5h").
func parseDuration(s string) (time.Duration, error) {
	if d, err := schema.ParseDuration(s); err == nil {
		return d, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration; write one such as \"90s\", \"24h\" or \"7d\"", s)
	}
	return d, nil
}

func random(args ...ref.Val) ref.Val {
	r, err := randomOf(args[0], "random(a, b)")
	if err != nil {
		return types.WrapErr(err)
	}
	a, b := int64(args[1].(types.Int)), int64(args[2].(types.Int))
	if a > b {
		return types.NewErr("random(%d, %d): the first number is greater than the second", a, b)
	}
	n, err := r.Int(a, b)
	if err != nil {
		return types.WrapErr(err)
	}
	return types.Int(n)
}
