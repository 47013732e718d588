package main

import (
	"facteur/flow/plan"
	"facteur/flow/diag"
	"facteur/flow/suite"

	"github.com/spf13/cobra"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema flow|test|project",
		Short: "Print the JSON Schema of a file, for editors",
		Long: `Print the JSON Schema of flows, flow tests or the project file, for editors. With the
YAML extension of most editors, write it to a file and name that in the first line:

  # yaml-language-server: $schema=flow.schema.json`,
		Example:   "  facteur schema flow > flow.schema.json",
		Args:      exactly("flow, test or project"),
		ValidArgs: []string{"flow", "test", "project"},
		RunE: func(_ *cobra.Command, args []string) error {
			catalog, err := descriptions()
			if err != nil {
				return err
			}
			switch args[0] {
			case "flow":
				return a.printJSON(plan.JSONSchema(catalog))
			case "test":
				return a.printJSON(suite.JSONSchema())
			case "project":
				s := projectType().JSONSchema(false)
				s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
				s["title"] = "The project file of Facteur"
				return a.printJSON(s)
			}
			return wrong(diag.DidYouMean(args[0], "schemas", []string{"flow", "test", "project"}), "there is no schema of %q", args[0])
		},
	}
}
