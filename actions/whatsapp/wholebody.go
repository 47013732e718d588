package whatsapp

import (
	"slices"
	"strings"

	"facteur/flow/schema"
)

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

// wholeBody recognises the body of a request in the place of the message in it.
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

// brief is a text on one line, at a length that people read.
func brief(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return text
}
