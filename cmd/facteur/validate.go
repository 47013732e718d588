package main

import (
	"cmp"
	"fmt"

	"facteur/flow/diag"

	"github.com/spf13/cobra"
)

func (a *app) validateCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "validate PATH…",
		Short: "Check flows, tests and whole projects without running anything",
		Long: `Check flows, tests and whole projects without running anything.

A path is a flow, a flow test, a project file, or a folder, which checks every flow and test
below it, with the project that it belongs to. Every mistake is reported with its position;
"facteur explain CODE" explains the code in brackets.`,
		Example: "  facteur validate .\n  facteur validate order_shipped.flow.yaml --json",
		Args:    atLeastOne("PATH"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.validate(args, asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return c
}

func (a *app) validate(paths []string, asJSON bool) error {
	c := newChecker()
	for _, path := range paths {
		if err := c.path(path); err != nil {
			return err
		}
	}
	a.templatesNote(c.projects)
	c.found = c.withoutRepeats()
	c.found.Sort()
	if asJSON {
		if c.found == nil {
			c.found = diag.List{}
		}
		if err := a.printJSON(map[string]any{"flows": c.flows, "tests": c.tests, "findings": c.found}); err != nil {
			return err
		}
		if c.found.HasErrors() {
			return &exitError{code: exitUser}
		}
		return nil
	}
	err := a.diagnose(c.found)
	fmt.Fprintf(a.stderr, "%s and %s checked: %s\n", count(c.flows, "flow"), count(c.tests, "test file"), cmp.Or(c.found.Deduplicate().Tally(), "no problems"))
	return err
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
