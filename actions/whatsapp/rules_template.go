package whatsapp

import (
	"slices"
	"strings"

	"facteur/flow/schema"
)

const (
	templatesPage = "Cloud API, template messages"
	templateName  = `^[a-z0-9_]*$`

	// The paths of a template's components and of their parameters, including those of cards.
	templateParts = "components[] components[].cards[].components[]"
	parameterList = "components[].parameters components[].cards[].components[].parameters"
	eachParameter = "components[].parameters[] components[].cards[].components[].parameters[]"
)

func templateRules() []rule {
	return []rule{
		{id: "template-name",
			doc: "The name of a template consists of lower-case letters, digits and _, and has 1 to 512 characters.",
			on:  templateType, at: "name", limit: both(length(1, 512), pattern(templateName)), hint: "write it as WhatsApp Manager shows it: lower-case letters, digits and _", source: templatesPage},
		{id: "template-language-code",
			doc: "The language of a template must be one of Meta's codes, such as fr or en_US.",
			on:  templateType, at: "language.code", limit: pattern(`^[A-Za-z]{2,3}(_[A-Za-z]+)?$`), hint: "write it as WhatsApp Manager shows it, such as fr or en_US", source: oldReference},
		{id: "template-policy",
			doc: "The only language policy is deterministic; the current pages no longer mention one.",
			on:  templateType, at: "language.policy", check: deterministic, warning: true, hint: "leave policy out", source: oldReference},
		{id: "template-part-type",
			doc: "A component fills in the header, the body, a button, the carousel, the offer, the tap target or the order's status.",
			on:  templateType, at: subpaths(templateParts, "type"), limit: inAnyCase("header body button carousel limited_time_offer tap_target_configuration order_status footer"), source: templatesPage},
		{id: "template-part-once",
			doc: "A template has one header, one body and one carousel; only button components may occur more than once.",
			on:  templateType, at: "components", check: partOnce, source: templatesPage},
		{id: "template-button-unique",
			doc: "Each button component must fill in a different button of the template.",
			on:  templateType, at: "components components[].cards[].components", check: uniqueButtons, source: templatesPage},
		{id: "template-button",
			doc: "A button component must say which button it fills in (index, from 0) and of which kind (sub_type); other components have neither. Only voice_call may go without an index.",
			on:  templateType, at: templateParts, check: buttonParts, source: migrationPage},
		{id: "template-button-index",
			doc: "The index of a button is 0 to 9, as a number or as text.",
			on:  templateType, at: templateParts, check: buttonIndex, source: templatesPage},
		{id: "template-button-type",
			doc: "The kind of a template's button is quick_reply, url, copy_code, catalog, mpm, flow, voice_call, order_details or payment_request.",
			on:  templateType, at: subpaths(templateParts, "sub_type"), limit: inAnyCase("quick_reply url copy_code catalog mpm flow voice_call order_details payment_request"), source: templatesPage},
		{id: "template-button-parameters",
			doc: "A button component needs parameters. Leave out buttons that take none.",
			on:  templateType, at: templateParts, check: buttonParameters, hint: "add parameters, or leave the component out", source: oldReference},
		{id: "template-button-parameter",
			doc: "The parameter of a button must match its kind: payload for quick_reply, text for url, coupon_code for copy_code, action for catalog, mpm, flow, order_details and payment_request.",
			on:  templateType, at: templateParts, check: buttonParameter, source: oldReference},
		{id: "template-quick-reply-text",
			doc: "The parameter of a quick_reply button is a payload, which is returned when the button is pressed. Samples from 2022, and tools that follow them, have a text parameter instead.",
			on:  templateType, at: templateParts, check: quickReplyText, warning: true, hint: `write {"type": "payload", "payload": …}`, source: observed},
		{id: "template-cards",
			doc: "A carousel component needs cards, and only a carousel component may have them.",
			on:  templateType, at: "components[]", check: cardsOnCarousel, source: templatesPage},
		{id: "template-carousel-cards",
			doc: "The carousel of a template has 2 to 10 cards.",
			on:  templateType, at: "components[].cards", limit: items(2, 10), source: "Cloud API, carousel templates"},
		{id: "template-cards-unique",
			doc: "Each card component must fill in a different card of the carousel.",
			on:  templateType, at: "components[].cards", check: unique("card_index"), source: templatesPage},
		{id: "template-card-index",
			doc: "The index of a card is 0 to 9, as a number or as text.",
			on:  templateType, at: "components[].cards[].card_index", check: slotIndex("card"), source: templatesPage},
		{id: "template-offer",
			doc: "A limited_time_offer component must say when the offer ends.",
			on:  templateType, at: "components[]", check: ofType("type", "limited_time_offer", offerEnds), source: "Cloud API, limited-time offer templates"},
		{id: "template-code-equal",
			doc: "An authentication template needs the same code in the body and in button 0.",
			on:  templateType, at: "components", check: equalCodes, warning: true, hint: "give the same code in both", source: "Cloud API, authentication templates"},
		{id: "template-code-length",
			doc: "The code of an authentication template has at most 15 characters. The same text in the body and the button suggests such a code.",
			on:  templateType, at: "components", check: shortCode, warning: true, hint: "if it is an authentication code, shorten it", source: "Cloud API, authentication templates"},
		{id: "template-body-length",
			doc: "A parameter of a body has at most 1024 characters, or 32768 if the body is the template's only part.",
			on:  templateType, at: "components", check: shortBody, source: oldReference},
	}
}

// subpaths appends each field to each path of a list.
func subpaths(places string, fields ...string) string {
	var out []string
	for place := range strings.FieldsSeq(places) {
		for _, field := range fields {
			out = append(out, strings.Replace(place+"."+field, ".[]", "[]", 1))
		}
	}
	return strings.Join(out, " ")
}

func partOnce(v schema.Value, report reporter) {
	seen := map[string]bool{}
	for _, component := range v.Items() {
		kind, _ := textOf(component, "type")
		if kind = strings.ToLower(kind); kind == "button" || kind == "" {
			continue
		}
		if seen[kind] {
			report(component.Get("type"), "a template can have only one %s", kind)
		}
		seen[kind] = true
	}
}

func uniqueButtons(v schema.Value, report reporter) {
	seen := map[string]bool{}
	for _, component := range v.Items() {
		if !isButton(component) {
			continue
		}
		index, ok := scalarText(component.Get("index"))
		if ok && seen[index] {
			report(component.Get("index"), "there is already a button %s", index)
		}
		seen[index] = seen[index] || ok
	}
}

// isButton tells whether a component fills in a button; if kinds are given, of one of these.
func isButton(v schema.Value, kinds ...string) bool {
	if !isPart(v, "button") {
		return false
	}
	if len(kinds) == 0 {
		return true
	}
	of, _ := textOf(v, "sub_type")
	return slices.ContainsFunc(kinds, func(kind string) bool { return strings.EqualFold(kind, of) })
}

func buttonParts(v schema.Value, report reporter) {
	if !isButton(v) {
		if _, ok := textOf(v, "type"); !ok {
			return
		}
		for _, name := range []string{"index", "sub_type"} {
			if has(v, name) {
				report(v.Get(name), "is allowed only in a component of type button")
			}
		}
		return
	}
	kind, ok := textOf(v, "sub_type")
	if !ok && !has(v, "sub_type") {
		report(v, "is a button but has no sub_type")
	}
	if !has(v, "index") && !strings.EqualFold(kind, "voice_call") {
		report(v, "is a button but has no index (0 for the template's first button)")
	}
}

func buttonIndex(v schema.Value, report reporter) {
	if isButton(v) && has(v, "index") {
		slotIndex("button")(v.Get("index"), report)
	}
}

// slotIndex demands 0 to 9, as a number or a text.
func slotIndex(of string) func(schema.Value, reporter) {
	return func(v schema.Value, report reporter) {
		if text, ok := scalarText(v); !v.IsUnknown() && (!ok || len(text) != 1 || !areDigits(text)) {
			report(v, "is not the index of a %s, 0 to 9", of)
		}
	}
}

func buttonParameters(v schema.Value, report reporter) {
	if !isButton(v) || isButton(v, "catalog", "flow", "voice_call") {
		return // their parameters are optional
	}
	if !has(v, "parameters") {
		report(v, "is a button but has no parameters")
	} else if list, ok := v.Get("parameters").List(); ok && len(list) == 0 {
		report(v.Get("parameters"), "contains no parameter")
	}
}

// buttonParameter demands that the parameters of a button match its kind.
func buttonParameter(v schema.Value, report reporter) {
	if !isButton(v) || !has(v, "parameters") {
		return
	}
	kind, _ := textOf(v, "sub_type")
	var want string
	switch kind = strings.ToLower(kind); kind {
	case "quick_reply":
		want = "payload"
	case "url":
		want = "text"
	case "copy_code":
		want = "coupon_code"
	case "catalog", "mpm", "flow", "payment_request":
		want = "action"
	case "order_details":
		want = "action order_details"
	case "voice_call":
		want = "ttl_minutes payload"
	default:
		return
	}
	for _, p := range v.Get("parameters").Items() {
		of, ok := textOf(p, "type")
		if kind == "quick_reply" && strings.EqualFold(of, "text") {
			continue // quickReplyText warns of it
		}
		if ok && !contains(want, of) {
			var forms []string
			for want := range strings.FieldsSeq(want) {
				forms = append(forms, "{type: "+want+", "+want+": …}")
			}
			report(p.Get("type"), "a button of kind %s takes a parameter %s", kind, strings.Join(forms, " or "))
		}
	}
}

func quickReplyText(v schema.Value, report reporter) {
	if !isButton(v, "quick_reply") {
		return
	}
	for _, p := range v.Get("parameters").Items() {
		if of, _ := textOf(p, "type"); strings.EqualFold(of, "text") {
			report(p.Get("type"), "a button of kind quick_reply takes a parameter {type: payload, payload: …}")
		}
	}
}

// contains tells whether a word is in a list of words, ignoring case.
func contains(words, word string) bool {
	for w := range strings.FieldsSeq(words) {
		if strings.EqualFold(w, word) {
			return true
		}
	}
	return false
}

func deterministic(v schema.Value, report reporter) {
	if text, ok := v.Text(); ok && text != "deterministic" {
		report(v, "%s is not a policy: Meta accepts only deterministic", mention(text))
	}
}

func offerEnds(v schema.Value, report reporter) {
	if !has(v, "parameters") && !has(v, "limited_time_offer") {
		report(v, "is an offer but has no parameters that say when it ends")
	}
}

func cardsOnCarousel(v schema.Value, report reporter) {
	kind, _ := textOf(v, "type")
	switch carousel := strings.EqualFold(kind, "carousel"); {
	case carousel && !has(v, "cards"):
		report(v, "is a carousel but has no cards")
	case !carousel && has(v, "cards"):
		report(v.Get("cards"), "is allowed only in a component of type carousel")
	}
}

// isPart tells whether a component is of that type.
func isPart(v schema.Value, part string) bool {
	kind, _ := textOf(v, "type")
	return strings.EqualFold(kind, part)
}

func shortBody(v schema.Value, report reporter) {
	list := v.Items()
	most := 1024
	if len(list) == 1 {
		most = 32768
	}
	for _, component := range list {
		ofType("type", "body", shortTexts(most))(component, report)
	}
}

// authenticationCodes returns the only parameter of the body and that of a URL button, and
// where the latter is. ok is false if either is missing or not the only one.
func authenticationCodes(v schema.Value) (body string, button string, at schema.Value, ok bool) {
	found := 0
	for _, component := range v.Items() {
		isURL := isButton(component, "url")
		if !isURL && !isPart(component, "body") {
			continue
		}
		list := component.Get("parameters").Items()
		if len(list) != 1 {
			return "", "", at, false
		}
		text, known := textOf(list[0], "text")
		if !known {
			return "", "", at, false
		}
		found++
		if isURL {
			button, at = text, list[0].Get("text")
		} else {
			body = text
		}
	}
	return body, button, at, found == 2 && body != "" && button != ""
}

// equalCodes takes a template for an authentication template if its body and its URL button
// both have a code of the same length as their only parameter.
func equalCodes(v schema.Value, report reporter) {
	body, button, at, ok := authenticationCodes(v)
	isCode := func(s string) bool { return len(s) >= 4 && len(s) <= 15 && areDigits(s) }
	if ok && isCode(body) && isCode(button) && len(body) == len(button) && body != button {
		report(at, "differs from the code in the body")
	}
}

func shortCode(v schema.Value, report reporter) {
	if body, button, at, ok := authenticationCodes(v); ok && body == button {
		atMost(15)(at, report)
	}
}
