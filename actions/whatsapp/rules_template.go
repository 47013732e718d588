package whatsapp

import (
	"strings"

	"facteur/flow/schema"
)

// parameterFields names the field of a template parameter, by its type.
func parameterFields() map[string]string {
	return map[string]string{
		"text": "text", "currency": "currency", "date_time": "date_time", "image": "image", "video": "video",
		"document": "document", "location": "location", "payload": "payload", "action": "action",
		"coupon_code": "coupon_code", "limited_time_offer": "limited_time_offer", "product": "product",
		"order_status": "order_status", "ttl_minutes": "ttl_minutes", "tap_target_configuration": "tap_target_configuration",
	}
}

func templateRules() []rule {
	page := "Cloud API, template messages"
	list := []rule{
		{id: "template-part-once", on: templateType, at: "components", check: partOnce, source: page},
		{id: "template-button-unique", on: templateType, at: "components", check: uniqueButtons, source: page},
		{id: "template-code-equal", on: templateType, at: "components", check: equalCodes, warning: true,
			hint: "in an authentication template, the body and button 0 carry the same code", source: "Cloud API, authentication templates"},
		{id: "template-cards-unique", on: templateType, at: "components[].cards", check: unique("card_index"), source: page},
		{id: "template-cards", on: templateType, at: "components[]", check: cardsOnCarousel, source: page},
	}
	for _, at := range []string{"components[]", "components[].cards[].components[]"} {
		list = append(list,
			rule{id: "template-button", on: templateType, at: at, check: buttonParts, source: page},
			rule{id: "template-parameter-names", on: templateType, at: at, check: allNamed, source: page},
			rule{id: "template-header-length", on: templateType, at: at, check: shortHeader, source: "Messages reference, 2023"},
			rule{id: "template-parameter-field", on: templateType, at: at + ".parameters[]", check: named(parameterFields()), source: page},
			rule{id: "template-text", on: templateType, at: at + ".parameters[].text", check: oneLine,
				hint: "put it on one line; in an expression: replace line breaks", source: observed},
		)
		for _, file := range []string{"image", "video", "document"} {
			list = append(list, rule{id: "template-media", on: templateType, at: at + ".parameters[]." + file, check: exactlyOne("id", "link"), source: page})
		}
	}
	return list
}

func partOnce(v schema.Value, say report) {
	seen := map[string]bool{}
	for _, component := range v.Items() {
		kind, _ := textOf(component, "type")
		if kind = strings.ToLower(kind); kind == "button" || kind == "" {
			continue
		}
		if seen[kind] {
			say(component.Get("type"), "a template has only one %s", kind)
		}
		seen[kind] = true
	}
}

func uniqueButtons(v schema.Value, say report) {
	seen := map[string]bool{}
	for _, component := range v.Items() {
		index, ok := scalarText(component.Get("index"))
		if ok && seen[index] {
			say(component.Get("index"), "there is a button %s already", index)
		}
		seen[index] = seen[index] || ok
	}
}

func isButton(v schema.Value) bool {
	kind, _ := textOf(v, "type")
	return strings.EqualFold(kind, "button")
}

func buttonParts(v schema.Value, say report) {
	if !isButton(v) {
		for _, name := range []string{"index", "sub_type"} {
			if has(v, name) {
				say(v.Get(name), "only goes with a component of type button")
			}
		}
		return
	}
	kind, ok := textOf(v, "sub_type")
	if !ok && !has(v, "sub_type") {
		say(v, "is a button and has no sub_type")
	}
	index := v.Get("index")
	if !has(v, "index") {
		if !strings.EqualFold(kind, "voice_call") {
			say(v, "is a button and has no index: 0 for the template's first button")
		}
		return
	}
	text, ok := scalarText(index)
	if !ok || len(text) != 1 || onlyDigits(text) != text {
		say(index, "is not the place of a button, 0 to 9")
	}
}

func cardsOnCarousel(v schema.Value, say report) {
	kind, _ := textOf(v, "type")
	switch carousel := strings.EqualFold(kind, "carousel"); {
	case carousel && !has(v, "cards"):
		say(v, "is a carousel and has no cards")
	case !carousel && has(v, "cards"):
		say(v.Get("cards"), "only goes with a component of type carousel")
	}
}

func allNamed(v schema.Value, say report) {
	if !has(v, "parameters") {
		return
	}
	parameters := v.Get("parameters").Items()
	named := 0
	for _, p := range parameters {
		if has(p, "parameter_name") {
			named++
		}
	}
	if named > 0 && named < len(parameters) {
		say(v.Get("parameters"), "some have a parameter_name and some have none: a template names all or none")
	}
	if named > 1 {
		unique("parameter_name")(v.Get("parameters"), say)
	}
}

func shortHeader(v schema.Value, say report) {
	if kind, _ := textOf(v, "type"); !strings.EqualFold(kind, "header") {
		return
	}
	for _, p := range v.Get("parameters").Items() {
		atMost(60)(p.Get("text"), say)
	}
}

func oneLine(v schema.Value, say report) {
	text, ok := v.Text()
	switch {
	case !ok:
	case strings.TrimSpace(text) == "":
		say(v, "holds nothing, which Meta refuses")
	case strings.ContainsAny(text, "\n\r"):
		say(v, "has a line break, which Meta refuses in parameters")
	case strings.ContainsRune(text, '\t'):
		say(v, "has a tab, which Meta refuses in parameters")
	case strings.Contains(text, "     "):
		say(v, "has more than four spaces in a row, which Meta refuses in parameters")
	}
}

// equalCodes suspects an authentication template where the body and a URL button both
// carry a code of the same length and nothing else.
func equalCodes(v schema.Value, say report) {
	var body, button string
	var at schema.Value
	for _, component := range v.Items() {
		if !has(component, "parameters") {
			continue
		}
		parameters := component.Get("parameters").Items()
		if len(parameters) != 1 {
			continue
		}
		text, ok := parameters[0].Get("text").Text()
		if !ok || len(text) < 4 || len(text) > 15 || onlyDigits(text) != text {
			continue
		}
		kind, _ := textOf(component, "type")
		sub, _ := textOf(component, "sub_type")
		switch {
		case strings.EqualFold(kind, "body"):
			body = text
		case isButton(component) && strings.EqualFold(sub, "url"):
			button, at = text, parameters[0].Get("text")
		}
	}
	if body != "" && len(body) == len(button) && body != button {
		say(at, "differs from the code in the body")
	}
}
