package whatsapp

import (
	"slices"
	"strings"

	"facteur/flow/schema"
)

const migrateHint = "On-Premises ended on 2025-10-23; translate the body: facteur message migrate FILE"

// onPremisesBody tells whether a body is one of the On-Premises API, and what shows it.
func onPremisesBody(body map[string]any) (schema.Violation, bool) {
	if _, cloud := body["messaging_product"]; cloud {
		return schema.Violation{}, false
	}
	v := schema.Violation{Rule: "on-premises", Hint: migrateHint}
	is := func(path schema.Path) (schema.Violation, bool) {
		v.Path, v.OnKey = path, true
		v.Message = "this is a body of the On-Premises API, which has no messaging_product and has " + path.String()
		return v, true
	}
	for _, name := range [...]string{"preview_url", "hsm", "ttl"} {
		if _, ok := body[name]; ok {
			return is(schema.Path{name})
		}
	}
	template, _ := body[templateType].(map[string]any)
	if _, ok := template["namespace"]; ok {
		return is(schema.Path{templateType, "namespace"})
	}
	for _, kind := range strings.Fields(fileTypes) {
		file, _ := body[kind].(map[string]any)
		if _, ok := file["provider"]; ok {
			return is(schema.Path{kind, "provider"})
		}
	}
	return v, false
}

// onPremisesFields recognises, in the object of a message type, the fields that only
// the On-Premises API has.
func onPremisesFields(kind string) func(any) schema.Violations {
	gone := func(name, message, hint string) schema.Violations {
		return schema.Violations{{Path: schema.Path{name}, Rule: "on-premises", OnKey: true, Message: message, Hint: hint}}
	}
	return func(v any) (found schema.Violations) {
		object, _ := v.(map[string]any)
		switch {
		case kind == templateType:
			if _, ok := object["namespace"]; ok {
				found = append(found, gone("namespace", "namespace belongs to the On-Premises API", "leave it out: the account knows its templates")...)
			}
			for _, name := range [...]string{"element_name", "localizable_params"} {
				if _, ok := object[name]; ok {
					found = append(found, gone(name, name+" belongs to hsm of the On-Premises API", "write name and components; facteur message migrate does it for a whole body")...)
				}
			}
		case contains(fileTypes, kind):
			if _, ok := object["provider"]; ok {
				found = append(found, gone("provider", "provider belongs to the On-Premises API", "leave it out: give a link that needs no login, or upload the file and give its id")...)
			}
		}
		if _, ok := object["ttl"]; ok {
			found = append(found, gone("ttl", "ttl belongs to the On-Premises API", "leave it out: a template has message_send_ttl_seconds, set where it is made")...)
		}
		return found
	}
}

// notTheMessage recognises what is no message at all: a text with JSON in it, and the
// whole body of a request.
func notTheMessage(v any) schema.Violations {
	switch v := v.(type) {
	case string:
		text := strings.TrimSpace(v)
		if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
			return schema.Violations{{Rule: "message-text", Message: "the message is a text that holds JSON",
				Hint: "leave out the quotes around it: message: " + brief(text)}}
		}
	case map[string]any:
		return wholeBody(v)
	}
	return nil
}

// notInputs recognises, beside the inputs of a send, what belongs into the message, to
// the On-Premises API, or has another name in a body.
func notInputs(v any) (found schema.Violations) {
	object, _ := v.(map[string]any)
	if _, to := object["to"]; to {
		for _, name := range [...]string{"type", "messaging_product", "recipient_type"} {
			if _, ok := object[name]; ok {
				return schema.Violations{{Rule: "message-whole-body", Message: "this is the body of a request",
					Hint: "a step has recipient, message_type and message: facteur import makes one of a body"}}
			}
		}
	}
	found = renamed("to", "recipient")(object)
	for _, f := range misplaced {
		if _, ok := object[f.name]; ok {
			found = append(found, schema.Violation{Path: schema.Path{f.name}, Rule: "on-premises", OnKey: true,
				Message: f.name + " stands here in the On-Premises API only", Hint: f.hint + "; facteur message migrate translates a whole body"})
		}
	}
	return found
}

var misplaced = [...]struct{ name, hint string }{
	{"preview_url", "write it into the message: {body: …, preview_url: true}"},
	{"hsm", "write message_type: template, and name, language and components into the message"},
	{"namespace", "leave it out: the account knows its templates"},
	{"ttl", "leave it out: a template has message_send_ttl_seconds, set where it is made"},
	{"provider", "leave it out: give a link that needs no login, or upload the file and give its id"},
}

// hsmType recognises the message type that templates had.
func hsmType(v any) schema.Violations {
	if text, ok := v.(string); ok && strings.EqualFold(text, "hsm") {
		return schema.Violations{{Rule: "on-premises", Message: "hsm is a message type of the On-Premises API",
			Hint: "write template; facteur message migrate translates a whole body"}}
	}
	return nil
}

func wholeBody(v map[string]any) schema.Violations {
	_, product := v["messaging_product"]
	_, to := v["to"]
	if _, hsm := v["hsm"]; hsm {
		return schema.Violations{{Rule: "on-premises", Message: "this is the body of a request to the On-Premises API", Hint: migrateHint}}
	}
	if !product && !to {
		return nested(v)
	}
	found := schema.Violation{Rule: "message-whole-body", Message: "this is the whole body of a request; message takes only the object of the message",
		Hint: "facteur import makes a step of a body"}
	kind := typeOf(v)
	if inner, ok := v[kind]; ok {
		found.Message = "this is the whole body of a request; message takes only what stands in its " + kind
		if text, err := schema.AppendJSON(nil, inner); err == nil && len(text) <= 200 {
			found.Hint = "write message_type: " + kind + " and message: " + string(text) + "; facteur import does it for you"
		}
	}
	return schema.Violations{found}
}

// nested recognises what Meta's documentation shows around the object of a message: its name.
func nested(v map[string]any) schema.Violations {
	if len(v) != 1 {
		return nil
	}
	for kind, inner := range v {
		switch inner.(type) {
		case map[string]any, []any:
		default:
			return nil
		}
		if !slices.Contains(strings.Fields(messageTypes), kind) {
			return nil
		}
		found := schema.Violation{Rule: "message-whole-body", Message: "message takes only what stands in its " + kind, Hint: "leave out the line " + kind + ":"}
		if text, err := schema.AppendJSON(nil, inner); err == nil && len(text) <= 200 {
			found.Hint = "write message: " + string(text)
		}
		return schema.Violations{found}
	}
	return nil
}

func brief(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return text
}
