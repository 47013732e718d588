package main

import (
	"encoding/json"

	"facteur/flow/diag"
	"facteur/flow/plan"
	"facteur/flow/suite"
	"facteur/project"

	"github.com/spf13/cobra"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema flow|test|project",
		Short: "Print the JSON Schema of a file, for editors",
		Long: `Print the JSON Schema of flows, flow tests or the project file, for editors. For the YAML
extension of most editors, write it to a file and name that file in the first line:

  # yaml-language-server: $schema=flow.schema.json`,
		Example:   "  facteur schema flow > flow.schema.json",
		Args:      exactly("flow, test or project"),
		ValidArgs: schemaNames,
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := schemaOf(args[0])
			if err == nil {
				_, err = a.stdout.Write(text)
			}
			return err
		},
	}
}

var schemaNames = []string{"flow", "test", "project"}

// schemaOf returns a JSON Schema, on one line: nobody reads it, and indented it is five
// times as long.
func schemaOf(name string) ([]byte, error) {
	var s map[string]any
	switch name {
	case "flow":
		catalog, err := project.Descriptions()
		if err != nil {
			return nil, err
		}
		s = plan.JSONSchema(catalog)
	case "test":
		s = suite.JSONSchema()
	case "project":
		s = project.FileType().JSONSchema(false)
		s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
		s["title"] = "The project file of Facteur"
	default:
		return nil, project.UserError(diag.DidYouMean(name, "schemas", schemaNames), "there is no schema of %q", name)
	}
	text, err := json.Marshal(s)
	return append(text, '\n'), err
}
