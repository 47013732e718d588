package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"
)

// A Library is what a flow may refer to.
type Library struct {
	Catalog call.Catalog
	// Flow returns another flow of the project, the same one each time, or nil for one
	// that does not exist or cannot be read. nil: there are none.
	Flow func(name string) *flow.Flow
	// FlowNames are the names of the flows of the project, for hints, also of those
	// that cannot be read.
	FlowNames []string
	// Settings are the values of `settings`.
	Settings map[string]any
	// App returns the app of a connection that is known beforehand; ok is false for
	// one that only the vault may know. nil: none is known.
	App func(connection string) (app string, ok bool)
	// Others returns the names of the connections that are known beforehand, when the
	// given one is not among them. nil: none is known.
	Others func(connection string) []string
	// Stored says that the flows are the stored source of a run that goes on: they
	// were accepted when it started. Names and types are checked, but not limits,
	// rules of messages, what only the surroundings say, or what is merely unwise:
	// those may have changed since, and a run that started is to end.
	Stored bool
}

// A Compiler compiles flows that may call each other, each once.
type Compiler struct {
	lib          Library
	settings     map[string]any
	settingsType *schema.Type
	done         map[*flow.Flow]*compiled
}

type compiled struct {
	plan     *Plan        // also of a flow with mistakes: then only its inputs and outputs are of use
	gives    *schema.Type // the outputs of a call of it that succeeded
	diags    diag.List
	settings settingsRead
}

// mostDiagnostics bounds what is reported about one flow.
const mostDiagnostics = 200

// NewCompiler returns a compiler over a library. It is not safe for concurrent use.
func NewCompiler(lib Library) *Compiler {
	c := &Compiler{lib: lib, settings: lib.Settings, done: map[*flow.Flow]*compiled{}}
	c.settingsType = schema.InferObject(lib.Settings)
	if settings, found := c.settingsType.Coerce(lib.Settings); found.Err() == nil {
		c.settings, _ = settings.(map[string]any)
	}
	if c.settings == nil {
		c.settings = map[string]any{}
	}
	return c
}

// Compile compiles one flow over a library; see Compiler.Compile.
func Compile(f *flow.Flow, lib Library) (*Plan, diag.List) {
	return NewCompiler(lib).Compile(f)
}

// Compile checks the whole flow and returns its plan, or nil when the diagnostics
// hold an error. That a flow which it calls has mistakes is reported at the first call
// of it; what they are, when that flow is compiled itself.
func (c *Compiler) Compile(f *flow.Flow) (*Plan, diag.List) {
	done := c.compiled(f)
	if done.diags.HasErrors() {
		return nil, done.diags
	}
	return done.plan, done.diags
}

func (c *Compiler) compiled(f *flow.Flow) *compiled {
	if done := c.done[f]; done != nil {
		return done
	}
	fc := &flowCompiler{
		Compiler: c,
		flow:     f,
		plan: &Plan{
			Name:        f.Name.Value,
			Description: f.Description,
			Sources:     map[string]*diag.Source{f.Name.Value: f.Source},
			Inputs:      &schema.Type{Kind: schema.Object, NullIsNone: true},
			OutputType:  &schema.Type{Kind: schema.Object},
			Settings:    c.settings,
		},
		vars: map[string]*schema.Type{},
	}
	fc.compile()
	done := &compiled{fc.plan, fc.gives, fc.diags, fc.reads}
	done.diags.Sort()
	if n := len(done.diags); n > mostDiagnostics {
		done.diags = done.diags[:mostDiagnostics]
		done.diags[mostDiagnostics-1].Hint += fmt.Sprintf(" (%d more are not shown)", n-mostDiagnostics)
	}
	fc.plan.Unrun = unrun(fc.plan.All)
	fc.plan.Events = distinct(fc.plan.Events)
	fc.plan.Connections = distinct(fc.plan.Connections)
	fc.plan.Texts = make(map[string]string, len(fc.plan.Sources)+1)
	for name, src := range fc.plan.Sources {
		fc.plan.Texts[name] = string(src.Text)
	}
	if text, ok := fc.reads.text(c.settings); ok {
		fc.plan.Texts[SettingsText] = text
	}
	fc.plan.Digest = digest(fc.plan.Name, fc.plan.Texts)
	c.done[f] = done
	return done
}

func unrun(steps []*Step) map[string]any {
	skipped := map[string]any{"status": "skipped", "attempts": int64(0)}
	out := map[string]any{}
	for _, s := range steps {
		if s.ID != "" {
			out[s.ID] = skipped
		}
	}
	return out
}

func digest(name string, texts map[string]string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", name)
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		fmt.Fprintf(h, "%s %d\n%s", name, len(texts[name]), texts[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// A flowCompiler compiles one flow.
type flowCompiler struct {
	*Compiler
	flow  *flow.Flow
	plan  *Plan
	diags diag.List
	vars  map[string]*schema.Type // of every variable that the flow sets: one type a name
	// concurrent is the kind of the innermost construct that runs steps at the same
	// time, "" outside; `return` is not allowed in one.
	concurrent string
	outer      *expr.Scope // around the innermost foreach; nil outside
	outermost  *expr.Scope // around the outermost foreach; nil outside
	returned   []returned
	ends       []early
	gives      *schema.Type
	reads      settingsRead
	blamed     []string // called flows whose mistakes were mentioned

	// For advice: what was compiled, and whether something did not.
	texts      []diag.Text
	conditions []string
	broken     bool
}

// notYet is why a step cannot be read before it.
const notYet = "it has not run yet"

func (c *flowCompiler) compile() {
	f := c.flow
	for _, in := range f.Inputs {
		c.plan.Inputs.Fields = append(c.plan.Inputs.Fields, in.Field)
	}
	scope := c.outside()
	scope.Bind("inputs", c.plan.Inputs)
	hide(scope, f.Steps, notYet)
	hide(scope, f.OnFailure, "it runs only when the run fails")
	start := scope.Fork()

	c.plan.Steps = c.block(f.Steps, scope, "")
	for _, b := range f.Outputs {
		v := c.value(b.Value, nil, scope)
		c.plan.Outputs = append(c.plan.Outputs, Output{b.Name.Value, v})
		c.plan.OutputType.Fields = append(c.plan.OutputType.Fields, &schema.Field{Name: b.Name.Value, Type: v.Type})
	}
	c.checkReturned()
	c.gives = c.given(scope)

	if len(f.OnFailure) > 0 {
		failed := c.interrupted(start, scope, f.Steps)
		hide(failed, f.OnFailure, notYet)
		failed.Bind("error", call.ErrorType)
		c.plan.OnFailure = c.block(f.OnFailure, failed, "on_failure.")
	}
	if f.Timeout != nil {
		c.plan.Timeout = f.Timeout.Value
	}
	if f.Concurrency != nil {
		c.plan.Concurrency = &Concurrency{Limit: f.Concurrency.Limit, Reject: f.Concurrency.OnConflict == "reject"}
		if f.Concurrency.Key != nil {
			s := c.outside()
			s.Bind("inputs", c.plan.Inputs)
			c.plan.Concurrency.Key = c.value(f.Concurrency.Key, schema.StringType, s)
		}
	}
	c.triggers()
	if !c.lib.Stored {
		c.unusedInputs()
		c.endlessFinally()
	}
}

// outside returns the scope of what is there before a run.
func (c *flowCompiler) outside() *expr.Scope {
	s := expr.NewScope()
	s.Bind("settings", c.settingsType)
	if c.lib.Stored {
		s.Trust()
	}
	return s
}

func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
