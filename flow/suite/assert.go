package suite

import (
	"strings"

	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

// runType is the type of `run` in an assertion.
var runType = &schema.Type{Kind: schema.Object, Fields: []*schema.Field{
	{Name: "id", Type: schema.StringType, Required: true, Always: true},
	{Name: "flow", Type: schema.StringType, Required: true, Always: true},
	{Name: "status", Type: schema.StringType, Required: true, Always: true},
	{Name: "started_at", Type: schema.TimestampType, Required: true, Always: true},
	{Name: "ended_at", Type: schema.TimestampType, Required: true, Always: true},
	{Name: "elapsed", Type: schema.DurationType, Required: true, Always: true},
}}

// compileAssertion compiles an assertion for a run with these states of its steps; nil is a
// run in which every step succeeded.
func compileAssertion(text diag.Text, p *plan.Plan, states map[string]map[string]any) (*expr.Program, diag.List) {
	scope := expr.NewScope()
	scope.AllowAbsent() // the inputs of the run are known
	for name, t := range map[string]*schema.Type{
		"inputs": p.Inputs, "outputs": p.OutputType, "settings": schema.InferObject(p.Settings), "error": call.ErrorType, "run": runType,
	} {
		scope.Bind(name, t)
	}
	loops := loopsOf(p)
	for _, s := range p.AllSteps {
		if s.ID == "" {
			continue
		}
		known := expr.Step{Outputs: outputsOf(s), Outcomes: expr.Succeeded}
		switch state := states[s.ID]; {
		case loops[s.ID] != "":
			known = expr.Step{Hidden: "it is inside the foreach " + loops[s.ID] + "; read what that collects"}
		case states == nil:
		case state == nil:
			known.Outcomes = expr.Skipped
		case state["status"] != string(machine.Succeeded):
			known.Outcomes = expr.Failed
			known.Outputs = markPresent(known.Outputs, state["outputs"])
		}
		scope.SetStep(s.ID, known)
	}
	program, _, _, found := expr.Condition(text, scope)
	return program, found
}

// outputsOf returns the type of a step's outputs.
func outputsOf(s *plan.Step) *schema.Type {
	switch do := s.Do.(type) {
	case *plan.Action:
		return do.Signature.Out
	case *plan.WaitFor:
		return do.Event.Type
	case *plan.CallFlow:
		return do.Plan.OutputType
	case *plan.Foreach:
		item := schema.AnyType
		if do.Collect != nil {
			item = do.Collect.Type
		}
		return &schema.Type{Kind: schema.Object, Fields: []*schema.Field{{Name: "items", Type: schema.ListOf(item), Always: true}}}
	}
	return &schema.Type{Kind: schema.Object}
}

// markPresent marks the outputs that a failed step has as always present.
func markPresent(t *schema.Type, outputs any) *schema.Type {
	values, _ := outputs.(map[string]any)
	if t.Kind != schema.Object || len(values) == 0 {
		return t
	}
	known := *t
	known.Fields = make([]*schema.Field, len(t.Fields))
	for i, f := range t.Fields {
		known.Fields[i] = f
		if _, ok := values[f.Name]; ok && !f.Always {
			always := *f
			always.Always = true
			known.Fields[i] = &always
		}
	}
	return &known
}

// loopsOf maps the ids of steps inside a foreach to the place of that foreach.
func loopsOf(p *plan.Plan) map[string]string {
	found := map[string]string{}
	var walk func(steps []*plan.Step, loop string)
	walk = func(steps []*plan.Step, loop string) {
		for _, s := range steps {
			if s.ID != "" && loop != "" {
				found[s.ID] = loop
			}
			inside := loop
			if s.Kind == "foreach" {
				inside = s.Place
			}
			for _, inner := range s.Blocks() {
				walk(inner, inside)
			}
		}
	}
	walk(p.Steps, "")
	walk(p.OnFailure, "")
	return found
}

// statesOf returns what expressions see of the steps that ran, by id.
func statesOf(p *plan.Plan, r *host.Result) map[string]map[string]any {
	states := map[string]map[string]any{}
	for _, s := range r.Steps {
		if s.ID == "" || s.Path != s.ID || s.Flow != p.Name || s.Status == machine.Skipped {
			continue
		}
		outputs := s.Outputs
		if outputs == nil {
			outputs = map[string]any{}
		}
		state := map[string]any{"status": string(s.Status), "attempts": int64(s.Attempts), "outputs": outputs}
		if s.Status != machine.Succeeded {
			state["status"] = string(machine.Failed) // also when it was cancelled, as in the flow
			err := s.Error
			if err == nil {
				err = &call.Error{Code: "cancelled", Class: "flow"}
			}
			state["error"] = err.Value(s.Path)
		}
		states[s.ID] = state
	}
	return states
}

// valuesOf returns the variables of assertions.
func (c *Case) valuesOf(r *host.Result, states map[string]map[string]any) map[string]any {
	steps := map[string]any{}
	for _, s := range c.plan.AllSteps {
		if state, ran := states[s.ID]; ran {
			steps[s.ID] = state
		} else if s.ID != "" {
			steps[s.ID] = map[string]any{"status": string(machine.Skipped), "attempts": int64(0)}
		}
	}
	err := r.Error
	if err == nil {
		err = &call.Error{}
	}
	return map[string]any{
		"inputs": orEmpty(c.inputs), "steps": steps, "outputs": orEmpty(r.Outputs), "settings": orEmpty(c.plan.Settings),
		"error": err.Value(idOf(r.Step)),
		"run": map[string]any{
			"id": r.Run, "flow": r.Flow, "status": string(r.Status),
			"started_at": r.Started, "ended_at": r.Ended, "elapsed": r.Ended.Sub(r.Started),
		},
	}
}

// assert evaluates one assertion.
func (c *Case) assert(text diag.Text, r *host.Result) []Failure {
	states := statesOf(c.plan, r)
	values := c.valuesOf(r, states)
	program, found := compileAssertion(text, c.plan, states)
	f := Failure{Range: text.Whole, Message: "is false: " + strings.TrimSpace(text.Value), Details: valuesRead(text.Value, values)}
	if program == nil {
		f.Message = "cannot be evaluated: " + strings.TrimSpace(text.Value)
		for _, d := range found {
			if d.Code != "maybe-unset" { // the values show what is missing
				f.Details = append(f.Details, d.Message)
			}
		}
		return []Failure{f}
	}
	holds, err := program.Eval(expr.Vars{Values: expr.Map(values), Now: r.Ended})
	switch {
	case err != nil:
		f.Message = "cannot be evaluated: " + strings.TrimSpace(text.Value)
		f.Details = append(f.Details, err.Error())
	case holds == true:
		return nil
	}
	return []Failure{f}
}
