package expr

import (
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/containers"
	"github.com/google/cel-go/common/decls"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
	"github.com/google/cel-go/interpreter"
)

// Limits of one expression.
const (
	maxCost      = 1_000_000 // of an evaluation, in CEL's units: about one per look-up
	maxSize      = 1 << 20   // bytes of a result, roughly
	maxDepth     = 100       // of lists and maps in a result
	maxLength    = 16_384    // code points of an expression
	maxRecursion = 100       // of the parser
)

// An environment is what all scopes share: the parser, the functions, the run-time. Only its
// names belong to a scope, which makes a scope cheap.
type environment struct {
	cel       *cel.Env
	checker   *checker.Env
	provider  types.Provider
	program   []cel.ProgramOption
	functions []string // callable by an author, sorted
	global    []string // those called without a receiver
}

var shared = sync.OnceValue(newEnvironment)

// newEnvironment panics on errors: it builds from constants only, so that any test would
// notice.
func newEnvironment() *environment {
	options := []cel.EnvOption{
		cel.OptionalTypes(),
		ext.Strings(),
		ext.Math(),
		ext.Lists(),
		ext.Encoders(ext.EncodersVersion(0)), // later versions add json.encode, whose cost is always over the limit
		ext.Regex(),
		ext.TwoVarComprehensions(),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(maxLength),
		cel.ParserRecursionLimit(maxRecursion),
	}
	env, err := cel.NewEnv(append(append(options, functions()...), formatFunctions()...)...)
	if err != nil {
		panic("expr: " + err.Error())
	}
	base, err := checker.NewEnv(containers.DefaultContainer, env.CELTypeProvider(), checker.CrossTypeNumericComparisons(true))
	if err != nil {
		panic("expr: " + err.Error())
	}
	e := &environment{cel: env, checker: base, provider: env.CELTypeProvider(), program: []cel.ProgramOption{
		cel.EvalOptions(cel.OptOptimize),
		cel.OptimizeRegex(interpreter.MatchesRegexOptimization),
		cel.CostLimit(maxCost),
		cel.CostTrackerOptions(costs()...),
	}}
	for name, fn := range env.Functions() {
		if err := base.AddFunctions(fn); err != nil {
			panic("expr: " + err.Error())
		}
		if isNameByte(name[0]) && !strings.HasPrefix(name, "_") {
			e.functions = append(e.functions, name)
			if slices.ContainsFunc(fn.OverloadDecls(), func(o *decls.OverloadDecl) bool { return !o.IsMemberFunction() }) {
				e.global = append(e.global, name)
			}
		}
	}
	for _, m := range env.Macros() {
		e.functions = append(e.functions, m.Function())
		if !m.IsReceiverStyle() {
			e.global = append(e.global, m.Function())
		}
	}
	slices.Sort(e.functions)
	e.functions = slices.Compact(e.functions)
	slices.Sort(e.global)
	e.global = slices.Compact(e.global)
	return e
}

// checkerEnv returns the environment of CEL's checker with the names of the scope.
func (s *Scope) checkerEnv() (*checker.Env, error) {
	if s.checker != nil {
		return s.checker, nil
	}
	env, err := checker.NewEnv(containers.DefaultContainer, provider{s},
		checker.CrossTypeNumericComparisons(true), checker.ValidatedDeclarations(shared().checker))
	if err != nil {
		return nil, err
	}
	declared := make([]*decls.VariableDecl, 0, len(s.names.m)+4)
	for name, t := range s.names.m {
		declared = append(declared, decls.NewVariable(name, s.objects.celType(t)))
	}
	declared = append(declared,
		decls.NewVariable("steps", types.NewObjectType(stepsTypeName)),
		decls.NewVariable("vars", types.NewObjectType(varsTypeName)),
		decls.NewVariable(nowVariable, types.TimestampType),
		decls.NewVariable(randomVariable, types.DynType))
	if err := env.AddIdents(declared...); err != nil {
		return nil, err
	}
	s.checker = env
	return env, nil
}

// Reserved reports whether a name cannot be given to a step, a variable or a foreach's item,
// and what it already is: "a word of CEL", "a variable" or "a function".
func Reserved(name string) (what string, ok bool) {
	switch name {
	case "inputs", "steps", "vars", "settings", "run", "error", "event":
		return "a variable", true
	}
	if isKeyword(name) {
		return "a word of CEL", true
	}
	for _, fn := range shared().global {
		if space, _, _ := strings.Cut(fn, "."); space == name {
			return "a function", true
		}
	}
	return "", false
}

// isKeyword reports whether a name is reserved by CEL.
func isKeyword(name string) bool {
	switch name {
	case "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in",
		"let", "loop", "namespace", "null", "package", "return", "true", "var", "void", "while":
		return true
	}
	return false
}
