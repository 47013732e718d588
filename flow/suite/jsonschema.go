package suite

import (
	"facteur/flow/plan"
	"facteur/flow/schema"
)

// JSONSchema returns the JSON Schema (2020-12) of test files. For the flows that it is
// given it also says what their inputs and outputs are.
func JSONSchema(flows ...*plan.Plan) map[string]any {
	shape := fileType()
	types := []*schema.Type{shape}
	for _, p := range flows {
		types = append(types, p.Inputs)
	}
	w := schema.NewSchemaWriter(false, types...)
	out := w.Write(shape)
	out["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	out["title"] = "A flow test of Facteur"
	oneOrList(out)
	codesMayBeNumbers(out)
	var rules []any
	var names []any
	for _, p := range flows {
		names = append(names, p.Name)
		outputs := map[string]any{}
		for _, name := range p.OutputType.Names() {
			outputs[name] = true
		}
		rules = append(rules, map[string]any{
			"if": properties("flow", map[string]any{"const": p.Name}),
			"then": properties("cases", map[string]any{"items": map[string]any{"properties": map[string]any{
				"inputs": w.Write(p.Inputs),
				"expect": properties("outputs", map[string]any{"properties": outputs, "additionalProperties": false}),
			}}}),
		})
	}
	if rules != nil {
		out["allOf"] = rules
		out["properties"].(map[string]any)["flow"].(map[string]any)["enum"] = names
	}
	if len(w.Defs) > 0 {
		out["$defs"] = w.Defs
	}
	return out
}

func properties(name string, of map[string]any) map[string]any {
	return map[string]any{"properties": map[string]any{name: of}}
}

// codesMayBeNumbers lets the code of an error stand as 131026, without quotes: a text takes
// the digits as they are written.
func codesMayBeNumbers(at any) {
	switch at := at.(type) {
	case []any:
		for _, item := range at {
			codesMayBeNumbers(item)
		}
	case map[string]any:
		for key, value := range at {
			if code, ok := value.(map[string]any); ok && key == "code" && code["type"] == "string" {
				code["type"] = []any{"string", "integer"}
			}
			codesMayBeNumbers(value)
		}
	}
}

// oneOrList lets a case's crash stand without a list around it, as listCrashes reads it.
func oneOrList(file map[string]any) {
	at := file
	for _, key := range []string{"properties", "cases", "items", "properties"} {
		at, _ = at[key].(map[string]any)
	}
	list, _ := at["crash"].(map[string]any)
	at["crash"] = map[string]any{"description": list["description"], "anyOf": []any{list["items"], list}}
}
