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
	// Flow returns another flow of the project, the same pointer each time, or nil if it does
	// not exist or cannot be parsed. nil: there are no other flows.
	Flow func(name string) *flow.Flow
	// FlowNames are the names of all flows of the project, for hints, including those that
	// cannot be parsed.
	FlowNames []string
	// Settings are the values of `settings`.
	Settings map[string]any
	// ConnectionApp returns the app of a connection; ok is false for one that only the vault
	// may know. nil: no connection is known before the run.
	ConnectionApp func(connection string) (app string, ok bool)
	// OtherConnections returns the names of the connections known before the run, or nothing
	// if the given one is among them. nil: none is known.
	OtherConnections func(connection string) []string
	// Stored says that the source was stored with a run that is being resumed. It was accepted
	// when the run started, so only names and types are checked. Limits, rules of messages,
	// connections and lint are not: they may have changed since, and a run that has started
	// must be able to finish.
	Stored bool
}

// A Compiler compiles flows that may call each other, each once.
type Compiler struct {
	lib          Library
	settings     map[string]any
	settingsType *schema.Type
	done         map[*flow.Flow]*compiled
}

// compiled is the result for one flow.
type compiled struct {
	plan         *Plan        // of a flow with errors, only its inputs and outputs are usable
	callOutputs  *schema.Type // the type of the outputs of a successful call of the flow
	diags        diag.List
	settingsRead usage // including that of called flows
}

// maxDiagnostics bounds the diagnostics of one flow.
const maxDiagnostics = 200

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

// Compile checks the whole flow and returns its plan, or nil if the diagnostics hold an error.
// Errors in a called flow are reported once, at its first call; the details when that flow is
// compiled itself.
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
			Inputs:      &schema.Type{Kind: schema.Object, NullIsAbsent: true},
			OutputType:  &schema.Type{Kind: schema.Object},
			Settings:    c.settings,
		},
		vars:         map[string]*schema.Type{},
		settingsRead: usage{}, inputsRead: usage{},
	}
	fc.compile()
	done := &compiled{fc.plan, fc.callOutputs, fc.diags, fc.settingsRead}
	done.diags.Sort()
	if n := len(done.diags); n > maxDiagnostics {
		done.diags = done.diags[:maxDiagnostics]
		done.diags[maxDiagnostics-1].Hint += fmt.Sprintf(" (%d more are not shown)", n-maxDiagnostics)
	}
	fc.plan.InitialSteps = initialSteps(fc.plan.AllSteps)
	fc.plan.Events = distinct(fc.plan.Events)
	fc.plan.Connections = distinct(fc.plan.Connections)
	fc.plan.Texts = make(map[string]string, len(fc.plan.Sources)+1)
	for name, src := range fc.plan.Sources {
		fc.plan.Texts[name] = string(src.Text)
	}
	if text, ok := storedSettings(c.settings, fc.settingsRead); ok {
		fc.plan.Texts[SettingsText] = text
	}
	fc.plan.Digest = digest(fc.plan.Name, fc.plan.Texts)
	c.done[f] = done
	return done
}

// initialSteps returns what expressions see of the steps before any has run.
func initialSteps(steps []*Step) map[string]any {
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
	vars  map[string]*schema.Type // the type of each variable that the flow sets
	// concurrent names the innermost construct that runs steps concurrently, "" outside of
	// any; `return` is not allowed in one.
	concurrent      string
	aroundLoop      *expr.Scope // the scope around the innermost foreach; nil outside
	aroundLoops     *expr.Scope // the scope around the outermost foreach; nil outside
	returnedValues  []returnedValue
	earlyReturns    []earlyReturn
	callOutputs     *schema.Type
	settingsRead    usage
	inputsRead      usage
	broken          bool     // whether an expression did not compile
	reportedCallees []string // called flows whose errors were mentioned
}

// notYet is why a step cannot be read by those before it.
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
	c.callOutputs = c.callOutputType(scope)

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

// outside returns the scope of what exists before a run.
func (c *flowCompiler) outside() *expr.Scope {
	s := expr.NewScope()
	s.Bind("settings", c.settingsType)
	if c.lib.Stored {
		s.AllowAbsent()
	}
	return s
}

func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
