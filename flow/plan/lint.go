package plan

import (
	"regexp"
	"slices"

	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/expr"
)

// unusedInputs warns about inputs that no expression reads. It says nothing if an expression
// did not compile, which may be the one that reads them.
func (c *flowCompiler) unusedInputs() {
	if c.broken || c.inputsRead[""] {
		return
	}
	for _, in := range c.flow.Inputs {
		if name := in.Name.Value; name != "" && !c.inputsRead[name] {
			c.diags.Warnf("unused-input", in.Name.Whole, "remove it, or use it as ${inputs."+name+"}", "no expression reads the input %q", name)
		}
	}
}

// endlessFinally warns about waits without a time-out in finally, which also runs when the run
// is cancelled or out of time.
func (c *flowCompiler) endlessFinally() {
	wait := func(s *flow.Step) {
		if do, ok := s.Do.(*flow.WaitFor); ok && do.Timeout == nil && do.Until == nil {
			c.diags.Warnf("endless-finally", do.Range, "add a timeout to wait_for", "a run that should end may wait here forever, because finally always runs to its end")
		}
	}
	visit := func(s *flow.Step) {
		if do, ok := s.Do.(*flow.Try); ok {
			each(do.Finally, wait)
		}
	}
	each(c.flow.Steps, visit)
	each(c.flow.OnFailure, visit)
}

// dotted matches the shortest expressions, such as inputs.phone.
var dotted = regexp.MustCompile(`^[a-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$`)

// bareExpression warns about a text that looks like an expression without its ${ } and would
// compile as one: the same text for every run is hardly what a key is meant to be.
func (c *flowCompiler) bareExpression(t diag.Text, s *expr.Scope) {
	if c.lib.Stored || !dotted.MatchString(t.Value) {
		return
	}
	_, found := expr.Compile(diag.Generated("${"+t.Value+"}", t.Whole), s)
	if slices.ContainsFunc(found, func(d diag.Diagnostic) bool { return d.Severity == diag.Error && d.Code != "maybe-unset" }) {
		return
	}
	c.diags.Warnf("bare-expression", t.Whole, "for its value, write ${"+t.Value+"}", "this is the text %q, not its value", t.Value)
}
