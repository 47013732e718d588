package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/graph"
	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/plan"
	"facteur/flow/record"
	"facteur/flow/suite"
	"facteur/project"

	"github.com/spf13/cobra"
)

// codes explains the codes of diagnostics and of steps. Those of messages are rules, and
// those that are numbers Meta's.
var codes = slices.Concat(flow.Codes, expr.Codes, plan.Codes, record.Codes, suite.Codes, requestCodes, stepCodes)

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "explain CODE",
		Short:   "Explain the code of a diagnostic or of a step's error, including Meta's",
		Example: "  facteur explain 131026\n  facteur explain maybe-unset\n  facteur explain outcome_unknown",
		Args:    exactly("CODE"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.explain(args[0]) },
	}
}

func (a *app) explain(code string) error {
	code = strings.Trim(code, "[]#() ")
	if n, err := strconv.ParseInt(code, 10, 64); err == nil {
		e, ok := graph.Explain(n)
		if !ok {
			return project.UserError("see Meta's page of error codes; Facteur classifies this error by its is_transient field and the HTTP status", "%d is not a known WhatsApp error code", n)
		}
		return a.explainMeta(e)
	}
	text, ok := codes.Explain(code)
	if !ok {
		text, ok = whatsapp.ExplainRule(code)
	}
	if ok {
		fmt.Fprintln(a.stdout, code)
		for part := range strings.SplitSeq(text, "\n\n") {
			fmt.Fprintf(a.stdout, "\n%s\n", wrap(part, ""))
		}
		return nil
	}
	hint := "look for the code in brackets at the end of a diagnostic, or in the error of a step"
	if near := diag.Suggest(code, append(codes.Codes(), whatsapp.RuleIDs()...)); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return project.UserError(hint, "there is no code %q", code)
}

// explainMeta tells about one of Meta's error codes: cause, what the engine does, what
// you can do.
func (a *app) explainMeta(e graph.Explanation) error {
	code := strconv.FormatInt(e.Code, 10)
	if e.Last > e.Code {
		code += "-" + strconv.FormatInt(e.Last, 10)
	}
	fmt.Fprintf(a.stdout, "%s %s [%s]\n\n", code, e.Title, e.Class)
	for _, line := range [...]struct{ name, text string }{
		{"cause", e.Cause}, {"facteur", e.Does}, {"you can", e.Cure},
	} {
		if line.text != "" {
			fmt.Fprintf(a.stdout, "%-8s %s\n", line.name+":", wrap(line.text, "         "))
		}
	}
	if e.HTTP != 0 {
		fmt.Fprintf(a.stdout, "status:  usually HTTP %d\n", e.HTTP)
	}
	if e.Source != "" {
		fmt.Fprintf(a.stdout, "source:  %s\n", e.Source)
	}
	return nil
}
