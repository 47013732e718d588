package whatsapp

import (
	"slices"
	"strings"

	"facteur/flow/schema"
)

const migrateHint = "the On-Premises API ended on 2025-10-23; convert the body with facteur message migrate FILE"

// onPremisesBody detects a body of the On-Premises API, and reports the field that shows it.
func onPremisesBody(body map[string]any) (schema.Violation, bool) {
	if _, cloud := body["messaging_product"]; cloud {
		return schema.Violation{}, false
	}
	v := schema.Violation{Rule: "on-premises", Hint: migrateHint}
	is := func(path schema.Path) (schema.Violation, bool) {
		v.Path, v.OnKey = path, true
		v.Message = "this is a body for the On-Premises API: it has no messaging_product but has " + path.String()
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
	for kind := range strings.FieldsSeq(fileTypes) {
		file, _ := body[kind].(map[string]any)
		if _, ok := file["provider"]; ok {
			return is(schema.Path{kind, "provider"})
		}
	}
	return v, false
}

// onPremisesFields are the fields that only the On-Premises API has, and their replacements.
var onPremisesFields = [...]struct{ name, of, hint string }{
	{"preview_url", "", "put it into the message: {body: …, preview_url: true}"},
	{"hsm", "", "write message_type: template, and put name, language and components into the message"},
	{"namespace", "", "leave it out: templates of the Cloud API have no namespace"},
	{"element_name", "hsm of ", "write name and components; facteur message migrate converts a whole body"},
	{"localizable_params", "hsm of ", "write name and components; facteur message migrate converts a whole body"},
	{"provider", "", "leave it out: give a link that needs no login, or upload the file and give its id"},
	{"ttl", "", "leave it out: a template has message_send_ttl_seconds, set when it is created"},
}

// detectOnPremisesFields returns a detector for a message of that type.
func detectOnPremisesFields(kind string) func(any) schema.Violations {
	names := []string{"ttl"}
	switch {
	case kind == templateType:
		names = []string{"namespace", "element_name", "localizable_params", "ttl"}
	case contains(fileTypes, kind):
		names = []string{"provider", "ttl"}
	}
	return func(v any) (found schema.Violations) {
		object, _ := v.(map[string]any)
		for _, f := range onPremisesFields {
			if _, ok := object[f.name]; ok && slices.Contains(names, f.name) {
				found = append(found, schema.Violation{Path: schema.Path{f.name}, Rule: "on-premises", OnKey: true,
					Message: f.name + " belongs to " + f.of + "the On-Premises API", Hint: f.hint})
			}
		}
		return found
	}
}

// inputMistakes detects, among the inputs of a send, fields that belong into the message or
// to the On-Premises API, and the names that fields have in a request's body.
func inputMistakes(v any) (found schema.Violations) {
	object, _ := v.(map[string]any)
	_, message := object["message"]
	if _, to := object["to"]; to && !message {
		for _, name := range [...]string{"type", "messaging_product", "recipient_type"} {
			if _, ok := object[name]; ok {
				return schema.Violations{{Rule: "message-whole-body", Message: "this is the body of a request",
					Hint: "a step has recipient, message_type and message; facteur import turns a body into a step"}}
			}
		}
	}
	found = append(renamed("to", "recipient")(object), renamed("type", "message_type")(object)...)
	for _, f := range onPremisesFields {
		if _, ok := object[f.name]; ok && f.of == "" {
			found = append(found, schema.Violation{Path: schema.Path{f.name}, Rule: "on-premises", OnKey: true,
				Message: f.name + " belongs here only in the On-Premises API", Hint: f.hint + "; facteur message migrate converts a whole body"})
		}
	}
	return found
}

// hsmType detects the message type that templates had in the On-Premises API.
func hsmType(v any) schema.Violations {
	if text, ok := v.(string); ok && strings.EqualFold(text, "hsm") {
		return schema.Violations{{Rule: "on-premises", Message: "hsm is a message type of the On-Premises API",
			Hint: "write template; facteur message migrate converts a whole body"}}
	}
	return nil
}
