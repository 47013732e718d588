package whatsapp

import (
	"slices"
	"strings"

	"facteur/flow/schema"
)

// messageMistakes detects what is not the object of a message: a text that holds JSON, and
// the whole body of a request.
func messageMistakes(v any) schema.Violations {
	switch v := v.(type) {
	case string:
		text := strings.TrimSpace(v)
		if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
			return schema.Violations{{Rule: "message-text", Message: "the message is text that contains JSON",
				Hint: "leave out the quotes around it: message: " + brief(text)}}
		}
	case map[string]any:
		return wholeBody(v)
	}
	return nil
}

// wholeBody detects the body of a request where only its message belongs.
func wholeBody(v map[string]any) schema.Violations {
	_, product := v["messaging_product"]
	_, to := v["to"]
	if _, hsm := v["hsm"]; hsm {
		return schema.Violations{{Rule: "on-premises", Message: "this is the body of a request to the On-Premises API", Hint: migrateHint}}
	}
	if !product && !to {
		return wrappedMessage(v)
	}
	found := schema.Violation{Rule: "message-whole-body", Message: "this is the whole body of a request, but message takes only the object for the message type",
		Hint: "facteur import turns a body into a step"}
	kind := typeOf(v)
	if inner, ok := v[kind]; ok {
		found.Message = "this is the whole body of a request, but message takes only the content of its " + kind
		if text, err := schema.AppendJSON(nil, inner); err == nil && len(text) <= 200 {
			found.Hint = "write message_type: " + kind + " and message: " + string(text) + "; facteur import does this for you"
		}
	}
	return schema.Violations{found}
}

// wrappedMessage detects a message inside an object with only its type's name, as Meta's
// documentation shows it.
func wrappedMessage(v map[string]any) schema.Violations {
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
		found := schema.Violation{Rule: "message-whole-body", Message: "message takes only the content of " + kind, Hint: "leave out the line " + kind + ":"}
		if text, err := schema.AppendJSON(nil, inner); err == nil && len(text) <= 200 {
			found.Hint = "write message: " + string(text)
		}
		return schema.Violations{found}
	}
	return nil
}

// brief shortens a text for a hint: one line, 80 characters.
func brief(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return text
}
