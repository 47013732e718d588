package suite

// JSONSchema returns the JSON Schema (2020-12) of test files.
func JSONSchema() map[string]any {
	out := fileType().JSONSchema(false)
	out["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	out["title"] = "A flow test of Facteur"
	oneOrList(out)
	codesMayBeNumbers(out)
	return out
}

// codesMayBeNumbers allows the code of an error to be written as 131026, without quotes,
// because strings take unquoted digits as written.
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

// oneOrList allows a case's crash to be written without a list, see listCrashes.
func oneOrList(file map[string]any) {
	at := file
	for _, key := range []string{"properties", "cases", "items", "properties"} {
		at, _ = at[key].(map[string]any)
	}
	list, _ := at["crash"].(map[string]any)
	at["crash"] = map[string]any{"description": list["description"], "anyOf": []any{list["items"], list}}
}
