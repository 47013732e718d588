package plan

import "facteur/flow/schema"

// step is the schema of a step: exactly one kind, with its companions beside it.
func (w *flowSchema) step() keys {
	steps, someSteps, condition := w.ref("steps"), w.ref("some_steps"), w.ref("condition")
	flag := func(doc string) keys { return described(doc, keys{"type": "boolean"}) }
	cases := func(required ...any) keys {
		return keys{"type": "array", "minItems": 1, "items": closed(keys{
			"when":  condition("when these steps run"),
			"steps": someSteps(""),
		}, required...)}
	}
	expressionOf := func(t *schema.Type) keys { return schema.NewSchemaWriter(true, t).Write(t) }
	values := func(doc string, least int) keys {
		object := described(doc, objectOf(keys{}))
		if least > 0 {
			object["minProperties"] = least
		}
		return object
	}
	returned := values("ends the flow, with values for some or all of its outputs", 0)
	returned["type"] = []any{"object", "null"}
	branches := described("branches that run at the same time, by name", objectOf(steps("")))
	branches["minProperties"] = 1

	actions, _ := w.catalog.Names()
	out := closed(keys{
		"id":            w.ref("id")("the name under which other steps read this one: steps.<id>"),
		"description":   described("what the step is for, for people", text()),
		"if":            condition("the step runs only if this is true"),
		"allow_failure": flag("the flow continues if the step fails"),
		"sensitive":     flag("hide its outputs wherever they are shown to people"),

		"action":     described("the action to run", enumOf(anys(actions)...)),
		"connection": w.ref("connection")("a name in the vault"),
		"with":       described("the inputs of the action or the flow", keys{}),
		"retry": described("how often and when to try again", closed(keys{
			"attempts":  described("how many attempts in all; 3 by default", integerBetween(1, 100)),
			"delay":     described("the delay before the second attempt; 1s by default", literalDuration()),
			"factor":    described("what each further delay is multiplied by; 2 by default", keys{"type": "number", "minimum": 1, "maximum": 100}),
			"max_delay": described("the longest delay; 5m by default", literalDuration()),
			"when":      condition("retry only errors for which this is true; can read error"),
		})),
		"timeout": described("how long one attempt may take; 30s by default", literalDuration()),
		"await": described("wait for news about the call, such as its delivery", closed(keys{
			"state":   described("the state to wait for", text()),
			"timeout": described("how long to wait for it; 1h by default", literalDuration()),
		}, "state")),
		"on_unknown":      described("what to do when it is unknown whether the call happened; fail by default", enumOf("fail", "resend")),
		"unknown_timeout": described("how long to wait for news before that; 10m by default", literalDuration()),
		"idempotent":      flag("doing it twice is harmless"),

		"set":         values("sets variables, which are read as vars.<name>", 1),
		"switch":      described("runs the first case whose condition is true", cases("when", "steps")),
		"default":     someSteps("runs when no case is true"),
		"foreach":     described("runs steps for each item of a list", expressionOr("array")),
		"as":          w.ref("id")("the name of the current item in the steps"),
		"concurrency": described("how many items to process at the same time; 1 by default", integerBetween(1, 1000)),
		"steps":       steps(""),
		"collect":     described("the result of each item, listed in steps.<id>.outputs.items", keys{"not": keys{"type": "null"}}),
		"parallel":    branches,
		"try":         steps("steps whose failure is handled"),
		"catch":       described("the first case that is true handles the failure; can read error", cases("steps")),
		"finally":     steps("always runs at the end, whatever happened"),
		"wait":        described("waits for a duration, e.g. 24h", expressionOf(schema.DurationType)),
		"wait_until":  described("waits until a time; continues at once if it is in the past", expressionOf(schema.TimestampType)),
		"wait_for":    w.waitFor(),
		"on_timeout":  described("what to do when no event came; fail by default", keys{"anyOf": []any{enumOf("fail", "continue"), steps("")}}),
		"call":        w.ref("id")("runs another flow of the project"),
		"return":      returned,
		"fail": described("ends the flow, or the try around it, with an error", closed(keys{
			"code": described("a short code, for use in conditions", scalar()), "message": described("an explanation for people", scalar()),
		}, "code", "message")),
	})

	var kinds []any
	for _, kind := range []string{"action", "set", "switch", "foreach", "parallel", "try", "wait", "wait_until", "wait_for", "call", "return", "fail"} {
		kinds = append(kinds, keys{"required": []any{kind}})
	}
	out["oneOf"] = kinds
	beside := keys{"foreach": []any{"as", "steps"}}
	for kind, companions := range map[string][]string{
		"action":   {"connection", "retry", "timeout", "await", "on_unknown", "unknown_timeout", "idempotent"},
		"switch":   {"default"},
		"foreach":  {"as", "concurrency", "steps", "collect"},
		"try":      {"catch", "finally"},
		"wait_for": {"on_timeout"},
	} {
		for _, key := range companions {
			beside[key] = []any{kind}
		}
	}
	out["dependentRequired"] = beside
	out["dependentSchemas"] = keys{
		"with": keys{"anyOf": []any{keys{"required": []any{"action"}}, keys{"required": []any{"call"}}}},
		"call": keys{"properties": keys{"with": expressionOr("object")}},
		"try":  keys{"anyOf": []any{keys{"required": []any{"catch"}}, keys{"required": []any{"finally"}}}},
		"on_timeout": keys{"anyOf": []any{
			keys{"properties": keys{"on_timeout": keys{"const": "fail"}}},
			keys{"properties": keys{"wait_for": keys{"anyOf": []any{keys{"required": []any{"timeout"}}, keys{"required": []any{"until"}}}}}},
		}},
	}
	var choices []any
	for _, name := range actions {
		choices = append(choices, w.action(name))
	}
	if len(choices) > 0 {
		out["allOf"] = choices
	}
	return out
}

func anys(texts []string) []any {
	out := make([]any, len(texts))
	for i, text := range texts {
		out[i] = text
	}
	return out
}

// action is the schema of what an action allows beside it: its inputs, its states, and whether
// it takes a connection.
func (w *flowSchema) action(name string) keys {
	sig := w.catalog.Action(name)
	beside := keys{"action": keys{"description": sig.Doc}, "with": w.types.Write(sig.In)}
	var required []any
	for _, f := range sig.In.Fields {
		if f.Required && f.Default == nil {
			required = []any{"with"}
		}
	}
	switch {
	case sig.App == "":
		beside["connection"] = false
	case !sig.ConnectionOptional:
		required = append(required, "connection")
	}
	if sig.Settle == nil {
		beside["await"] = false
	} else {
		beside["await"] = keys{"properties": keys{"state": enumOf(anys(sig.States)...)}}
	}
	then := keys{"properties": beside}
	if required != nil {
		then["required"] = required
	}
	return keys{"if": keys{"required": []any{"action"}, "properties": keys{"action": keys{"const": name}}}, "then": then}
}

// waitFor is the schema of wait_for, which depends on the kind of event.
func (w *flowSchema) waitFor() keys {
	_, events := w.catalog.Names()
	out := closed(keys{
		"event":      described("the kind of event", enumOf(anys(events)...)),
		"from":       described("whose messages to wait for", scalar()),
		"path":       described("the path to wait on", scalar()),
		"connection": w.ref("connection")("the connection that verifies the sender; none: anybody may send it"),
		"when":       w.ref("condition")("only events for which this is true; can read event"),
		"timeout":    described("how long to wait, e.g. 24h", schema.DurationType.JSONSchema(true)),
		"until":      described("until when to wait, instead of timeout", schema.TimestampType.JSONSchema(true)),
	}, "event")
	out["not"] = keys{"required": []any{"timeout", "until"}}
	var cases []any
	for _, name := range events {
		event := w.catalog.Event(name)
		beside := keys{"event": keys{"description": event.Doc}}
		for _, key := range []string{"from", "path"} {
			if key != event.By {
				beside[key] = false
			}
		}
		if !event.Connection {
			beside["connection"] = false
		}
		then := keys{"properties": beside}
		required := w.requiredConnection(name)
		if event.By != "" {
			required = append(required, event.By)
		}
		if len(required) > 0 {
			then["required"] = required
		}
		cases = append(cases, keys{"if": keys{"required": []any{"event"}, "properties": keys{"event": keys{"const": name}}}, "then": then})
	}
	if len(cases) > 0 {
		out["allOf"] = cases
	}
	return described("waits for an event", out)
}
