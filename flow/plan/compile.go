package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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
	// Flow returns another flow of the project, or nil. nil: there are none.
	Flow func(name string) *flow.Flow
	// FlowNames are the names that Flow knows, for hints.
	FlowNames []string
	// Settings are the values of `settings`.
	Settings map[string]any
	// App returns the app of a connection that is known beforehand; ok is false for
	// one that only the vault may know. nil: none is known.
	App func(connection string) (app string, ok bool)
}

// A Compiler compiles flows that may call each other, each once.
type Compiler struct {
	lib      Library
	settings *schema.Type
	done     map[string]*compiled
}

type compiled struct {
	plan  *Plan
	diags diag.List
	busy  bool
}

// NewCompiler returns a compiler over a library. It is not safe for concurrent use.
func NewCompiler(lib Library) *Compiler {
	settings := &schema.Type{Kind: schema.Object}
	for _, name := range sortedKeys(lib.Settings) {
		settings.Fields = append(settings.Fields, &schema.Field{Name: name, Type: schema.Infer(lib.Settings[name]), Required: true})
	}
	return &Compiler{lib: lib, settings: settings, done: map[string]*compiled{}}
}

// Compile compiles one flow over a library; see Compiler.Compile.
func Compile(f *flow.Flow, lib Library) (*Plan, diag.List) {
	return NewCompiler(lib).Compile(f)
}

// Compile checks the whole flow and returns its plan, or nil when the diagnostics
// hold an error. Mistakes in flows that it calls are reported where they are called.
func (c *Compiler) Compile(f *flow.Flow) (*Plan, diag.List) {
	fc := &flowCompiler{
		Compiler: c,
		flow:     f,
		plan: &Plan{
			Name:        f.Name.Value,
			Description: f.Description,
			Sources:     map[string]*diag.Source{f.Name.Value: f.Source},
			Inputs:      &schema.Type{Kind: schema.Object},
			OutputType:  &schema.Type{Kind: schema.Object},
			Settings:    c.lib.Settings,
		},
		vars: map[string]*schema.Type{},
	}
	fc.compile()
	fc.diags.Sort()
	if fc.diags.HasErrors() {
		return nil, fc.diags
	}
	slices.Sort(fc.plan.Events)
	fc.plan.Events = slices.Compact(fc.plan.Events)
	slices.Sort(fc.plan.Connections)
	fc.plan.Connections = slices.Compact(fc.plan.Connections)
	fc.plan.Digest = digest(fc.plan.Sources)
	return fc.plan, fc.diags
}

// called compiles a flow that another one calls, once.
func (c *Compiler) called(f *flow.Flow) *compiled {
	if done := c.done[f.Name.Value]; done != nil {
		return done
	}
	done := &compiled{busy: true}
	c.done[f.Name.Value] = done
	done.plan, done.diags = c.Compile(f)
	done.busy = false
	return done
}

func digest(sources map[string]*diag.Source) string {
	h := sha256.New()
	for _, name := range sortedKeys(sources) {
		fmt.Fprintf(h, "%s %d\n", name, len(sources[name].Text))
		h.Write(sources[name].Text)
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
	returned   []returned
}

// A returned value is checked once the type of its output is known.
type returned struct {
	name  diag.Text
	node  *flow.Node
	value *Value
}

func (c *flowCompiler) compile() {
	f := c.flow
	for _, in := range f.Inputs {
		c.plan.Inputs.Fields = append(c.plan.Inputs.Fields, in.Field)
	}
	scope := expr.NewScope()
	scope.Bind("inputs", c.plan.Inputs)
	scope.Bind("settings", c.settings)
	every := stepIDs(f.Steps)
	for _, id := range every {
		scope.SetStep(id, expr.Step{Hidden: "has not run yet at this point"})
	}
	for _, id := range stepIDs(f.OnFailure) {
		scope.SetStep(id, expr.Step{Hidden: "runs only when the run fails"})
	}

	c.plan.Steps = c.block(f.Steps, scope, "")
	for _, b := range f.Outputs {
		v := c.value(b.Value, nil, scope)
		c.plan.Outputs = append(c.plan.Outputs, Output{b.Name.Value, v})
		c.plan.OutputType.Fields = append(c.plan.OutputType.Fields, &schema.Field{Name: b.Name.Value, Type: v.Type})
	}
	c.checkReturned()

	if len(f.OnFailure) > 0 {
		failed := scope.Fork()
		failed.Bind("error", call.ErrorType)
		for _, id := range every {
			if st, ok := failed.Step(id); ok && st.Hidden == "" {
				st.Outcomes = expr.Succeeded | expr.Failed | expr.Skipped
				failed.SetStep(id, st)
			}
		}
		c.plan.OnFailure = c.block(f.OnFailure, failed, "on_failure.")
	}
	if f.Timeout != nil {
		c.plan.Timeout = f.Timeout.Value
	}
	if f.Concurrency != nil {
		c.plan.Concurrency = &Concurrency{Limit: f.Concurrency.Limit, Reject: f.Concurrency.OnConflict == "reject"}
		if f.Concurrency.Key != nil {
			start := expr.NewScope()
			start.Bind("inputs", c.plan.Inputs)
			start.Bind("settings", c.settings)
			c.plan.Concurrency.Key = c.value(f.Concurrency.Key, schema.StringType, start)
		}
	}
	c.triggers()
	c.lint()
}

// stepIDs returns the ids of the steps and of all steps inside them.
func stepIDs(steps []*flow.Step) []string {
	var ids []string
	each(steps, func(s *flow.Step) {
		if s.ID.Value != "" {
			ids = append(ids, s.ID.Value)
		}
	})
	return ids
}

// each calls f for every step of the list and inside it, in the order of the file.
func each(steps []*flow.Step, f func(*flow.Step)) {
	for _, s := range steps {
		f(s)
		for _, inner := range blocks(s) {
			each(inner, f)
		}
	}
}

// blocks returns the lists of steps directly inside a step.
func blocks(s *flow.Step) [][]*flow.Step {
	var out [][]*flow.Step
	switch do := s.Do.(type) {
	case *flow.Switch:
		for _, c := range do.Cases {
			out = append(out, c.Steps)
		}
		out = append(out, do.Default)
	case *flow.Foreach:
		out = append(out, do.Steps)
	case *flow.Parallel:
		for _, b := range do.Branches {
			out = append(out, b.Steps)
		}
	case *flow.Try:
		out = append(out, do.Steps)
		for _, c := range do.Catch {
			out = append(out, c.Steps)
		}
		out = append(out, do.Finally)
	case *flow.WaitFor:
		out = append(out, do.Steps)
	}
	return out
}

// ends tells whether a list of steps never goes on to what follows it.
func ends(steps []*flow.Step) bool {
	for _, s := range steps {
		if s.If != nil || s.AllowFailure {
			continue
		}
		switch do := s.Do.(type) {
		case *flow.Return, *flow.Fail:
			return true
		case *flow.Switch:
			all := do.HasDefault && ends(do.Default)
			for _, c := range do.Cases {
				all = all && ends(c.Steps)
			}
			if all {
				return true
			}
		case *flow.Try:
			all := ends(do.Steps)
			for _, c := range do.Catch {
				all = all && ends(c.Steps)
			}
			if all || ends(do.Finally) {
				return true
			}
		}
	}
	return false
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
