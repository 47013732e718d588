package whatsapp

import (
	"strings"

	"facteur/flow/schema"
)

func buttonRules() []rule {
	const page = "Cloud API, reply buttons messages"
	on := kinds("button")
	return []rule{
		{id: "buttons-count",
			doc: "A message has 1 to 3 buttons; a list has room for ten rows.",
			on:  on, at: "action.buttons", limit: items(1, 3), hint: "give 1 to 3; for more choices write an interactive message of type list", source: page},
		{id: "button-type",
			doc: "The buttons of a message are of type reply, in Direct Send also of type cta_url.",
			on:  on, at: "action.buttons[].type", limit: oneOf("reply", "cta_url"), hint: "write type: reply", source: oldReference},
		{id: "button-field",
			doc: "A button has the object that its type names.",
			on:  on, at: "action.buttons[]", check: fieldOfType("reply cta_url"), source: page},
		{id: "button-url",
			doc: "Only in Direct Send may a button among others open an address. Elsewhere a message of type cta_url has one such button.",
			on:  on, at: "action.buttons[].type", check: onlyReplies, hint: "send a message of type cta_url", source: directPage},
		{id: "cta-display-text",
			doc: "The button that opens an address says 1 to 20 characters.",
			on:  on, at: "action.buttons[].cta_url.display_text", limit: length(1, 20), source: directPage},
		webAddress(rule{id: "cta-url",
			doc: "The address of a button begins with http:// or https://.",
			on:  on, at: "action.buttons[].cta_url.url", source: directPage}),
		{id: "button-id",
			doc: "The id of a button has 1 to 256 characters.",
			on:  on, at: "action.buttons[].reply.id", limit: length(1, 256), source: page},
		{id: "button-title",
			doc: "A button says 1 to 20 characters.",
			on:  on, at: "action.buttons[].reply.title", limit: length(1, 20), source: page},
		{id: "button-id-unique",
			doc: "Each button of a message has an id of its own, which comes back when it is pressed.",
			on:  on, at: "action.buttons", check: unique("reply", "id"), source: oldReference},
		{id: "button-title-unique",
			doc: "Each button of a message has a title of its own.",
			on:  on, at: "action.buttons", check: unique("reply", "title"), source: oldReference},
	}
}

func onlyReplies(v schema.Value, report reporter) {
	if text, ok := v.Text(); ok && text == "cta_url" {
		report(v, "only Direct Send takes a button of type cta_url among others")
	}
}

func listRules() []rule {
	const page = "Cloud API, interactive list messages"
	list := kinds("list")
	return []rule{
		{id: "list-body-long",
			doc: "Meta's pages allow 4096 characters in the body of a list, its OpenAPI description 1024.",
			on:  list, at: "body.text", check: atMost(1024), warning: true, hint: "older versions of the API take 1024", source: openAPISource},
		{id: "list-button",
			doc: "The button that opens a list says 1 to 20 characters.",
			on:  list, at: "action.button", limit: length(1, 20), source: page},
		{id: "list-sections",
			doc: "A list has 1 to 10 sections.",
			on:  list, at: "action.sections", limit: items(1, 10), source: page},
		{id: "list-section-rows",
			doc: "Each section of a list has a row at least.",
			on:  list, at: "action.sections[].rows", limit: items(1, 0), source: page},
		{id: "list-rows-total",
			doc: "A list has ten rows at most, all sections together.",
			on:  list, at: "action.sections", check: maxTotal(10, "rows", "rows"), source: page},
		{id: "section-title",
			doc: "The title of a section has 24 characters at most.",
			on:  list + " " + kinds("product_list"), at: "action.sections[].title", limit: length(0, 24), source: page},
		{id: "section-title-empty",
			doc: "The title of the only section is left out, or says something. Meta reads an empty text as none.",
			on:  list + " " + kinds("product_list"), at: "action.sections", check: onlySectionTitle, warning: true, hint: "leave title out", source: page},
		{id: "section-title-required",
			doc: "With more than one section, each needs a title. Meta's page demands it always, its reference only then.",
			on:  list + " " + kinds("product_list"), at: "action.sections", check: titledSections, hint: "give every section a title", source: oldReference},
		{id: "list-row-id",
			doc: "The id of a row has 1 to 200 characters.",
			on:  list, at: "action.sections[].rows[].id", limit: length(1, 200), source: page},
		{id: "list-row-id-unique",
			doc: "Each row of a list has an id of its own, which comes back when it is chosen.",
			on:  list, at: "action.sections", check: uniqueRows, source: page},
		{id: "list-row-title",
			doc: "The title of a row has 1 to 24 characters.",
			on:  list, at: "action.sections[].rows[].title", limit: length(1, 24), source: page},
		{id: "list-row-description",
			doc: "The description of a row has 72 characters at most.",
			on:  list, at: "action.sections[].rows[].description", limit: length(0, 72), source: page},
	}
}

func uniqueRows(v schema.Value, report reporter) {
	seen := map[string]bool{}
	for _, section := range v.Items() {
		for _, row := range section.Get("rows").Items() {
			id, ok := row.Get("id").Text()
			if ok && seen[id] {
				report(row.Get("id"), "%s is the id of another row already", mention(id))
			}
			seen[id] = true
		}
	}
}

func titledSections(v schema.Value, report reporter) {
	sections := v.Items()
	if len(sections) < 2 {
		return
	}
	for _, section := range sections {
		title := section.Get("title")
		if text, ok := title.Text(); !title.Present() || ok && text == "" {
			report(section, "has no title, which is required with more than one section")
		}
	}
}

func onlySectionTitle(v schema.Value, report reporter) {
	sections := v.Items()
	if len(sections) != 1 {
		return
	}
	if title, ok := textOf(sections[0], "title"); ok && title == "" {
		report(sections[0].Get("title"), "is empty")
	}
}

func flowRules() []rule {
	const page = "Cloud API, sending Flows"
	on, at := kinds("flow"), "action.parameters"
	return []rule{
		{id: "flow-message-version",
			doc: `flow_message_version is the text "3".`,
			on:  on, at: at + ".flow_message_version", limit: oneOf("3"), hint: `write "3"`, source: page},
		{id: "flow-one-of",
			doc: "A WhatsApp Flow is named by flow_id or by flow_name, and not by both.",
			on:  on, at: at, check: exactlyOne("flow_id", "flow_name"), source: page},
		{id: "flow-id",
			doc: "The ID or the name of a Flow is not empty.",
			on:  on, at: at + ".flow_id " + at + ".flow_name", limit: length(1, 0), source: page},
		{id: "flow-cta",
			doc: "The button of a Flow says 1 to 30 characters.",
			on:  on, at: at + ".flow_cta", limit: length(1, 30), source: page},
		{id: "flow-cta-length",
			doc: "Meta advises 30 characters at most for the button of a Flow; an older reference allows 20.",
			on:  on, at: at + ".flow_cta", check: atMost(20), warning: true, hint: "some versions of the API refuse more than 20", source: oldReference},
		{id: "flow-cta-emoji",
			doc: "The button of a Flow shows no emoji.",
			on:  on, at: at + ".flow_cta", check: noEmoji, warning: true, hint: "leave the emoji out", source: oldReference},
		{id: "flow-mode",
			doc: "A Flow is sent as draft or published.",
			on:  on, at: at + ".mode", limit: oneOf("draft", "published"), source: page},
		{id: "flow-action",
			doc: "A Flow begins with a screen that you name (navigate) or that your endpoint chooses (data_exchange).",
			on:  on, at: at + ".flow_action", limit: oneOf("navigate", "data_exchange"), source: page},
		{id: "flow-payload",
			doc: "flow_action_payload says where a Flow begins, which only navigate needs; with data_exchange your endpoint decides.",
			on:  on, at: at, check: payloadNavigates, hint: "leave flow_action_payload out", source: page},
		{id: "flow-payload-missing",
			doc: "An older reference demands flow_action_payload with navigate; the current page begins with the first screen.",
			on:  on, at: at, check: navigateHasPayload, warning: true, hint: "add flow_action_payload: {screen: …}", source: oldReference},
		{id: "flow-screen",
			doc: "The name of a screen is not empty.",
			on:  on, at: at + ".flow_action_payload.screen", limit: length(1, 0), source: page},
		{id: "flow-data",
			doc: "The data of the first screen are an object that is not empty.",
			on:  on, at: at + ".flow_action_payload.data", check: notEmptyData, hint: "leave data out where there are none", source: page},
		{id: "flow-data-text",
			doc: "The data of the first screen are an object; one of Meta's examples has them as a text with JSON.",
			on:  on, at: at + ".flow_action_payload.data", check: dataAsText, warning: true, hint: "write them as an object", source: page},
		{id: "flow-token-missing",
			doc: `An older reference demands flow_token; the current page takes "unused" for it.`,
			on:  on, at: at, check: required("flow_token", "has no flow_token, which some versions of the API demand"), warning: true, hint: "add flow_token: it comes back with the answer and tells whose it is", source: oldReference},
	}
}

func payloadNavigates(v schema.Value, report reporter) {
	if action, ok := v.Get("flow_action").Text(); ok && action != "navigate" && v.Get("flow_action_payload").Present() {
		report(v.Get("flow_action_payload"), "only goes with flow_action navigate")
	}
}

func navigateHasPayload(v schema.Value, report reporter) {
	if action, ok := v.Get("flow_action").Text(); ok && action == "navigate" && !has(v, "flow_action_payload") {
		report(v, "navigates, and has no flow_action_payload that says where to, which some versions of the API demand")
	}
}

func notEmptyData(v schema.Value, report reporter) {
	object, ok := v.Object()
	if text, isText := v.Text(); ok && len(object) == 0 || isText && strings.TrimSpace(text) == "" {
		report(v, "are empty")
	} else if !ok && !isText && !v.IsUnknown() {
		report(v, "are no object")
	}
}

func dataAsText(v schema.Value, report reporter) {
	if text, ok := v.Text(); ok && strings.TrimSpace(text) != "" {
		report(v, "are a text, where an object belongs")
	}
}

func noEmoji(v schema.Value, report reporter) {
	if text, ok := v.Text(); ok && strings.ContainsFunc(text, func(r rune) bool {
		return r >= 0x1F000 && r <= 0x1FAFF || r >= 0x2600 && r <= 0x27BF || r == 0xFE0F || r == 0x20E3
	}) {
		report(v, "has an emoji")
	}
}
