package whatsapp

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"facteur/flow/schema"
)

// A mistake is a form that other tools and older documents use; its finding says how Meta
// takes it.
type mistake struct {
	on, at string // as those of a rule
	detect func(v map[string]any) schema.Violations
}

const otherShapeRule = "other-shape"

func commonMistakes() []mistake {
	return []mistake{
		{interactiveType, "", looseAction},
		{"interactive/button", "action.buttons[]", flatButton},
		{"interactive/list", "action", looseRows},
		{"interactive/cta_url", "action", parametersOf("cta_url")},
		{"interactive/voice_call", "action", parametersOf("voice_call")},
		{"interactive/address_message", "action", parametersOf("address_message")},
		{"interactive/flow", "action", parametersOf("flow")},
		{"interactive/catalog_message", "action", unwantedField("catalog_id", "it is always the catalog connected to the account")},
		{templateType, "", looseParameters},
		{templateType, "components[]", creationFields},
		{templateType, "components[]", callButton},
		{"text", "", renamed("text", "body")},
		{"image", "", renamed("url", "link")},
		{"video", "", renamed("url", "link")},
		{"document", "", renamed("url", "link")},
		{"audio", "", allOf(renamed("url", "link"), unwantedField("caption", "audio files have none; send the text as a separate message"))},
		{"sticker", "", allOf(renamed("url", "link"), unwantedField("caption", "stickers have none; send the text as a separate message"))},
		{"location", "", allOf(renamed("lat", "latitude"), renamed("lng", "longitude"), renamed("lon", "longitude"), renamed("long", "longitude"))},
	}
}

// detectMistakes returns the schema of a message type, with detection of the common
// mistakes in it.
func detectMistakes(of *schema.Type, messageType string) *schema.Type {
	for _, s := range commonMistakes() {
		on, kind, _ := strings.Cut(s.on, "/")
		if on != messageType {
			continue
		}
		of = withTypeAt(of, parsePath(s.at), kind, func(t *schema.Type) { t.DetectMistake = thenDetect(t.DetectMistake, s.detect) })
	}
	switch messageType {
	case templateType:
		for _, at := range []string{"components[].parameters[]", "components[].cards[].components[].parameters[]"} {
			of = withTypeAt(of, parsePath(at), "", func(t *schema.Type) { t.DetectMistake = bareText })
		}
	case interactiveType:
		of = withTypeAt(of, parsePath("header"), "", func(t *schema.Type) { t.DetectMistake = bareText })
	}
	return of
}

// thenDetect adds a detector for objects to a DetectMistake, which may be nil.
func thenDetect(before func(any) schema.Violations, is func(map[string]any) schema.Violations) func(any) schema.Violations {
	return func(v any) (found schema.Violations) {
		if before != nil {
			found = before(v)
		}
		if object, ok := v.(map[string]any); ok {
			found = append(found, is(object)...)
		}
		return found
	}
}

// misplaced is a finding about the key at a path or, where the path is empty, about the value.
func misplaced(path schema.Path, message, hint string) schema.Violations {
	return schema.Violations{{Path: path, OnKey: len(path) > 0, Rule: otherShapeRule, Message: message, Hint: hint}}
}

// jsonText renders a value as JSON for a hint, "…" where it is long or not known yet.
func jsonText(v any) string {
	if text, err := schema.AppendJSON(nil, v); err == nil && len(text) <= 400 {
		return string(text)
	}
	return "…"
}

// pick returns the fields of v that have these names.
func pick(v map[string]any, names ...string) map[string]any {
	part := map[string]any{}
	for _, name := range names {
		if inner, ok := v[name]; ok {
			part[name] = inner
		}
	}
	return part
}

// firstOf returns the first field of v that is there, "…" if none is.
func firstOf(v map[string]any, names ...string) any {
	for _, name := range names {
		if inner, ok := v[name]; ok {
			return inner
		}
	}
	return "…"
}

// flatButton detects a button whose id and title stand beside its type.
func flatButton(v map[string]any) schema.Violations {
	if has := pick(v, "reply", "cta_url"); len(has) > 0 {
		return nil
	}
	if inner, ok := v["quick_reply"].(map[string]any); ok { // as in the card of a carousel
		v = inner
	}
	if len(pick(v, "id", "title", "text", "label")) == 0 {
		return nil
	}
	return misplaced(nil, "the id and title of a button belong inside reply", `write {"type":"reply","reply":`+
		`{"id":`+jsonText(firstOf(v, "id", "payload"))+`,"title":`+jsonText(firstOf(v, "title", "text", "label"))+"}}")
}

// bareText detects a plain text where an object {type: text, text: …} belongs.
func bareText(v any) schema.Violations {
	switch v.(type) {
	case string, int64, float64:
		return misplaced(nil, "the value must be an object that names its type", `write {"type": "text", "text": `+jsonText(fmt.Sprint(v))+"}")
	}
	return nil
}

// looseParameters detects the parameters of a template outside of components.
func looseParameters(v map[string]any) schema.Violations {
	values, ok := v["parameters"].([]any)
	if _, there := v["components"]; !ok || there {
		return nil
	}
	values = slices.Clone(values)
	for i, value := range values {
		if _, unknown := value.(schema.Unknown); unknown {
			value = "…"
		}
		if bareText(value) != nil {
			values[i] = map[string]any{"type": "text", "text": fmt.Sprint(value)}
		}
	}
	return misplaced(schema.Path{"parameters"}, "the values belong inside components", `write "components": [{"type":"body","parameters":`+jsonText(values)+"}]")
}

// creationFields detects the fields of components that exist only where a template is created.
func creationFields(v map[string]any) (found schema.Violations) {
	for _, name := range [...]string{"text", "format", "example", "buttons", "add_security_recommendation", "code_expiration_minutes"} {
		if _, ok := v[name]; ok {
			found = append(found, schema.Violation{Path: schema.Path{name}, Rule: "template-made", OnKey: true,
				Message: name + " belongs to the creation of a template; a message only fills the template in",
				Hint:    "give only the values, as in parameters: [{type: text, text: …}], and leave out components that take none"})
		}
	}
	return found
}

// callButton detects a component for a phone number button, which takes no parameters.
func callButton(v map[string]any) schema.Violations {
	if kind, ok := v["sub_type"].(string); ok && strings.EqualFold(kind, "phone_number") {
		return misplaced(nil, "a button that calls a number takes no parameter", "leave the component out: the number is part of the template")
	}
	return nil
}

// looseRows detects rows outside of sections.
func looseRows(v map[string]any) schema.Violations {
	rows, ok := v["rows"]
	if _, sections := v["sections"]; !ok || sections {
		return nil
	}
	return misplaced(nil, "the rows of a list belong inside sections", `write {"button":`+jsonText(firstOf(v, "button"))+`,"sections":[{"rows":`+jsonText(rows)+"}]}")
}

// parametersOf detects parameters that stand beside the name of an action.
func parametersOf(action string) func(map[string]any) schema.Violations {
	names := actionSchema().Case(action).Field("parameters").Type.Names()
	return func(v map[string]any) schema.Violations {
		loose := pick(v, names...)
		if _, ok := v["parameters"]; ok || len(loose) == 0 {
			return nil
		}
		return misplaced(nil, "the settings of "+action+" belong inside parameters", `write {"name":"`+action+`","parameters":`+jsonText(loose)+"}")
	}
}

// looseAction detects parts of an action that stand beside it.
func looseAction(v map[string]any) schema.Violations {
	loose := pick(v, "buttons", "button", "sections", "cards", "parameters")
	if _, ok := v["action"]; ok || len(loose) == 0 {
		return nil
	}
	if rows, ok := v["rows"]; ok {
		loose["sections"] = []any{map[string]any{"rows": rows}}
	}
	return misplaced(nil, "buttons, sections, cards and parameters belong inside action", `write "action": `+jsonText(loose)+" instead")
}

// renamed detects a field under the name that it has elsewhere.
func renamed(from, to string) func(map[string]any) schema.Violations {
	return func(v map[string]any) schema.Violations {
		inner, ok := v[from]
		if _, there := v[to]; !ok || there {
			return nil
		}
		found := misplaced(schema.Path{from}, "this field is called "+to+" here", `write "`+to+`": `+jsonText(inner))
		found[0].MeantField = to
		return found
	}
}

// unwantedField detects a field that does not exist here, and often does elsewhere.
func unwantedField(name, why string) func(map[string]any) schema.Violations {
	return func(v map[string]any) schema.Violations {
		if _, ok := v[name]; !ok {
			return nil
		}
		return misplaced(schema.Path{name}, "there is no field "+name+" here", "leave it out: "+why)
	}
}

// allOf runs all of the detectors.
func allOf(all ...func(map[string]any) schema.Violations) func(map[string]any) schema.Violations {
	return func(v map[string]any) (found schema.Violations) {
		for _, detect := range all {
			found = append(found, detect(v)...)
		}
		return found
	}
}

// bodyMistakes detects fields in the body of a request that belong elsewhere.
func bodyMistakes(v any) (found schema.Violations) {
	body, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	add := func(name, message, hint string) {
		found = append(found, misplaced(schema.Path{name}, message, hint)...)
	}
	text, _ := body["text"].(map[string]any)
	for name, inner := range body {
		switch name {
		case "hsm":
			add(name, "hsm belongs to the On-Premises API", hsmHint(body))
		case "ttl":
			add(name, "ttl belongs to the On-Premises API", "leave it out: a template has message_send_ttl_seconds, set when it is created")
		case "preview_url":
			add(name, "preview_url belongs inside text", `write "text":{"body":`+jsonText(cmp.Or(text["body"], any("…")))+`,"preview_url":`+jsonText(inner)+"}")
		case "access_token", "token":
			add(name, "a token does not belong in a body", "leave it out, and send the header Authorization: Bearer …")
		case "message", "body":
			if _, is := inner.(string); is && len(text) == 0 && typeOf(body) == "text" {
				add(name, "the body of a text message belongs inside the object text", `write "text":{"body":`+jsonText(inner)+"}")
			}
		}
	}
	if _, there := body[interactiveType]; !there && typeOf(body) == interactiveType {
		loose := pick(body, "header", "body", "footer", "action")
		for name := range loose {
			add(name, "it belongs inside interactive", `write "interactive":{"type":"…", …} with `+name+" in it")
		}
	}
	return found
}

// hsmHint shows the template message that replaces an hsm, the On-Premises form of it.
func hsmHint(body map[string]any) string {
	hsm, _ := body["hsm"].(map[string]any)
	var values []any
	params, _ := hsm["localizable_params"].([]any)
	for _, p := range params {
		values = append(values, map[string]any{"type": "text", "text": cmp.Or(get(p, "default"), any("…"))})
	}
	template := map[string]any{"name": firstOf(hsm, "element_name"), "language": map[string]any{"code": cmp.Or(get(hsm["language"], "code"), any("…"))}}
	if len(values) > 0 {
		template["components"] = []any{map[string]any{"type": "body", "parameters": values}}
	}
	return `write "type":"template","template":` + jsonText(template)
}

// typingWithoutRead detects a typing indicator without the read status that it goes with.
func typingWithoutRead(body map[string]any) (schema.Violations, bool) {
	_, typing := body["typing_indicator"]
	kind, typed := body["type"].(string)
	if _, read := body["status"]; !typing || read || typed && slices.Contains(strings.Fields(messageTypes), kind) {
		return nil, false
	}
	return misplaced(schema.Path{"typing_indicator"}, "it can be sent only together with marking a message as read, and is shown to that message's sender",
		`write {"messaging_product":"whatsapp","status":"read","message_id":`+jsonText(cmp.Or(body["message_id"], any("wamid.…")))+`,"typing_indicator":{"type":"text"}}`), true
}

// recipientList detects a list where one recipient belongs.
func recipientList(v any) schema.Violations {
	if _, list := v.([]any); list {
		return misplaced(nil, "a message can be sent to only one person", "send a separate request for each person")
	}
	return nil
}
