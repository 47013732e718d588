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
	const (
		parts = "components[] components[].cards[].components[]"
		each  = "components[].parameters[] components[].cards[].components[].parameters[]"
		page  = "Cloud API, template messages"
	)
	return []rule{
		{id: "template-part-once",
			doc: "A template has one header, one body, one carousel; only buttons come more than once.",
			on:  templateType, at: "components", check: partOnce, source: page},
		{id: "template-button-unique",
			doc: "Each button component fills in another button of the template.",
			on:  templateType, at: "components", check: uniqueButtons, source: page},
		{id: "template-code-equal",
			doc: "In an authentication template the code stands in the body and in button 0, and both are equal.",
			on:  templateType, at: "components", check: equalCodes, warning: true, source: "Cloud API, authentication templates"},
		{id: "template-cards-unique",
			doc: "Each card component fills in another card of the carousel.",
			on:  templateType, at: "components[].cards", check: unique("card_index"), source: page},
		{id: "template-cards",
			doc: "A carousel component has cards, and only a carousel component has them.",
			on:  templateType, at: "components[]", check: cardsOnCarousel, source: page},
		{id: "template-button",
			doc: "A button component says which button it fills in (index, from 0) and its kind (sub_type); other components have neither.",
			on:  templateType, at: parts, check: buttonParts, source: page},
		{id: "template-parameter-names",
			doc: "A template names all its parameters or none; a name comes once.",
			on:  templateType, at: parts, check: allNamed, source: page},
		{id: "template-header-length",
			doc: "A text in the header of a template has 60 characters at most.",
			on:  templateType, at: parts, check: shortHeader, source: "Messages reference, 2023"},
		{id: "template-parameter-field",
			doc: "A parameter has the field that its type names, and no other: type currency wants currency.",
			on:  templateType, at: each, check: named(parameterFields()), source: page},
		{id: "template-media",
			doc: "A file in a template is given by the id of an upload or by a link, and not by both.",
			on:  templateType, at: below(each, "image", "video", "document"), check: exactlyOne("id", "link"), source: page},
		{id: "template-text",
			doc: "Meta refuses parameters that are empty, or that hold a line break, a tab or more than four spaces in a row (132018, 132000, 131008). No page says so.",
			on:  templateType, at: below(each, "text"), check: oneLine, hint: "put it on one line; in an expression: replace line breaks", source: observed},
	}
}

// below gives the places of fields below places.
func below(places string, fields ...string) string {
	var out []string
	for _, place := range strings.Fields(places) {
		for _, field := range fields {
			out = append(out, place+"."+field)
		}
	}
	return strings.Join(out, " ")
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
