package plan

import (
	"regexp"
	"slices"

	"facteur/flow/diag"
	"facteur/flow/expr"
)

// dotted is the form of the shortest expressions, such as inputs.phone.
var dotted = regexp.MustCompile(`^[a-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$`)

// bare warns about a text that is written as an expression is, and would be one: the same
// text for every run is hardly what was meant by a key.
func (c *flowCompiler) bare(t diag.Text, s *expr.Scope) {
	if c.lib.Stored || !dotted.MatchString(t.Value) {
		return
	}
	_, found := expr.Compile(diag.Generated("${"+t.Value+"}", t.Whole), s)
	if slices.ContainsFunc(found, func(d diag.Diagnostic) bool { return d.Severity == diag.Error && d.Code != "maybe-unset" }) {
		return
	}
	c.diags.Warnf("bare-expression", t.Whole, "for its value write ${"+t.Value+"}", "this is the text %q, not its value", t.Value)
}
