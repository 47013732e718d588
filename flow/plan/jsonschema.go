package plan

import (
	"fmt"

	"facteur/flow/call"
	"facteur/flow/schema"
)

// JSONSchema returns the JSON Schema (2020-12) of flow files over a catalogue. Editors
// complete and document with it: `with` follows `action`, a message its type, and each place
// that takes expressions takes ${…}. It finds less than Parse and Compile do, and accepts all
// that they accept.
func JSONSchema(catalog call.Catalog) map[string]any {
	w := newFlowSchema(catalog)
	id := w.ref("id")
	flow := described("a flow: inputs, steps, outputs", closed(keys{
		"flow":        id("the name of the flow, unique in the project"),
		"description": described("what the flow is for, for people", text()),
		"inputs":      described("the parameters of the flow and their types, as in JSON Schema", objectOf(w.ref("type")(""))),
		"steps":       w.ref("steps")("what the flow does, in order"),
		"outputs":     described("the results of the flow, by name", objectOf(keys{})),
		"on_failure":  w.ref("steps")("steps that run once when the run fails; `error` says why"),
		"triggers":    described("what starts the flow in the daemon", keys{"type": "array", "items": w.trigger()}),
		"timeout":     described("how long a run may take, e.g. 7d", literalDuration()),
		"concurrency": described("limits how many runs go on at the same time", closed(keys{
			"key":         described("runs with the same key count together; all runs do if it is not given", scalar()),
			"limit":       described("how many at the same time; 1 by default", integerBetween(1, 1_000_000)),
			"on_conflict": described("what happens to a run over the limit; queue by default", enumOf("queue", "reject")),
		})),
	}, "flow", "steps"))
	flow["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	flow["title"] = "Facteur flow"
	flow["$defs"] = w.defs
	return flow
}

// keys is a JSON Schema, or the properties of one.
type keys = map[string]any

// A flowSchema builds the definitions of the flow schema.
type flowSchema struct {
	catalog call.Catalog
	types   *schema.SchemaWriter
	defs    keys
}

func newFlowSchema(catalog call.Catalog) *flowSchema {
	actions, _ := catalog.Names()
	inputs := make([]*schema.Type, len(actions))
	for i, name := range actions {
		inputs[i] = catalog.Action(name).In
	}
	types := schema.NewSchemaWriter(true, inputs...)
	w := &flowSchema{catalog, types, types.Defs}
	w.defs["id"] = keys{"type": "string", "pattern": "^[a-z][a-z0-9_]*$", "maxLength": 63}
	w.defs["connection"] = keys{"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_.-]*$", "maxLength": 64}
	w.defs["condition"] = keys{"type": []any{"string", "boolean"}, "not": keys{"pattern": `^\s*\$\{`}}
	w.defs["steps"], w.defs["some_steps"], w.defs["step"] = true, true, true // reserve the names
	w.defs["type"] = inputType()
	w.defs["step"] = w.step()
	step := keys{"$ref": "#/$defs/step"}
	w.defs["steps"] = keys{"type": "array", "minItems": 1, "items": step}
	w.defs["some_steps"] = keys{"type": "array", "items": step}
	return w
}

// ref returns a function that makes a reference to a definition, with a description.
func (w *flowSchema) ref(name string) func(doc string) keys {
	return func(doc string) keys { return described(doc, keys{"$ref": "#/$defs/" + name}) }
}

func described(doc string, schema keys) keys {
	if doc != "" {
		schema["description"] = doc
	}
	return schema
}

// closed is the schema of an object with these properties and no others.
func closed(properties keys, required ...any) keys {
	object := keys{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		object["required"] = required
	}
	return object
}

// objectOf is the schema of an object whose keys are ids.
func objectOf(value keys) keys {
	return keys{"type": "object", "propertyNames": keys{"$ref": "#/$defs/id"}, "additionalProperties": value}
}

func enumOf(values ...any) keys { return keys{"enum": values} }

func integerBetween(least, most int) keys {
	return keys{"type": "integer", "minimum": least, "maximum": most}
}

// text is the schema of text for people, which unquoted YAML may read as another type.
func text() keys { return keys{"type": []any{"string", "number", "boolean"}} }

// scalar is the schema of a text, a number, a boolean or an expression.
func scalar() keys { return text() }

func literalDuration() keys { return schema.DurationType.JSONSchema(false) }

func expressionOr(kind string) keys {
	return keys{"type": []any{kind, "string"}, "pattern": `\$\{`}
}

// inputType is the schema of the type of an input or of a part of one.
func inputType() keys {
	self := func(doc string) keys { return described(doc, keys{"$ref": "#/$defs/type"}) }
	flag := keys{"type": "boolean"}
	size := func(doc string, least int) keys { return described(doc, keys{"type": "integer", "minimum": least}) }
	keywords := func(of string) keys {
		switch of {
		case "string":
			return keys{
				"format":    described("the format of the text", enumOf("date-time", "duration", "e164", "email", "uri", "uuid")),
				"pattern":   described("a regular expression (RE2)", text()),
				"minLength": size("in characters", 0),
				"maxLength": size("in characters", 1),
			}
		case "integer", "number":
			return keys{"minimum": keys{"type": "number"}, "maximum": keys{"type": "number"}}
		case "array":
			return keys{"items": self("the type of the items"), "minItems": size("", 0), "maxItems": size("", 1)}
		case "object":
			return keys{
				"properties":           keys{"type": "object", "additionalProperties": self("")},
				"required":             keys{"type": "array", "items": keys{"type": "string"}},
				"additionalProperties": keys{"anyOf": []any{flag, self("the type of the values")}},
			}
		}
		return nil
	}
	kinds := []any{"string", "integer", "number", "boolean", "array", "object"}
	properties := keys{
		"type":        described("the type of the value", enumOf(kinds...)),
		"description": described("what it is, for people", text()),
		"enum":        described("the allowed values", keys{"type": "array", "minItems": 1}),
		"default":     described("the value if none is given; an input with a default is optional", keys{}),
		"sensitive":   described("hide the value wherever it is shown to people", flag),
	}
	var cases []any
	for _, kind := range kinds {
		others := keys{} // keywords of other types
		for _, other := range kinds {
			for word, value := range keywords(fmt.Sprint(other)) {
				properties[word] = value
				if _, mine := keywords(fmt.Sprint(kind))[word]; !mine {
					others[word] = false
				}
			}
		}
		cases = append(cases, keys{
			"if":   keys{"properties": keys{"type": keys{"const": kind}}, "required": []any{"type"}},
			"then": keys{"properties": others},
		})
	}
	out := closed(properties, "type")
	out["allOf"] = cases
	out["dependentRequired"] = keys{"required": []any{"properties"}}
	return out
}

func (w *flowSchema) trigger() keys {
	inputs := described("values for the flow's inputs", objectOf(keys{}))
	always := described("start a run even if the event resumed a waiting run", keys{"type": "boolean"})
	trigger := closed(keys{
		"webhook": described("starts a run for each request to a path", closed(keys{
			"path":       described("the path, such as /orders/shipped", keys{"type": "string", "pattern": "^/[^ ?#]*$"}),
			"connection": w.ref("connection")("the connection that verifies the sender; none: anybody may send it"),
			"when":       w.ref("condition")("only requests for which this is true; can read event"),
			"dedupe":     described("a second request with the same value starts no run", scalar()),
			"inputs":     inputs,
			"always":     always,
		}, append(w.requiredConnection("webhook"), "path")...)),
		"schedule": described("starts a run at the times of a cron expression", closed(keys{
			"cron":     described(`minute, hour, day of the month, month, day of the week, e.g. "30 9 * * mon-fri"`, keys{"type": "string"}),
			"timezone": described("the time zone, such as Europe/Paris; UTC by default", keys{"type": "string"}),
			"missed":   described("what to do about times that were missed while nothing ran; skip by default", enumOf("skip", "once")),
			"inputs":   inputs,
		}, "cron")),
		"whatsapp_message": described("starts a run for each inbound message", closed(keys{
			"sender_phone_id": described("only messages to this phone number ID", text()),
			"when":            w.ref("condition")("only messages for which this is true; can read event"),
			"inputs":          inputs,
			"always":          always,
		})),
	})
	trigger["minProperties"], trigger["maxProperties"] = 1, 1
	return trigger
}

// requiredConnection returns the key connection if events of this kind need one, to prove who
// sends them.
func (w *flowSchema) requiredConnection(event string) []any {
	if e := w.catalog.Event(event); e == nil || e.App == "" {
		return nil
	}
	return []any{"connection"}
}
