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
			on:  on, at: "action.buttons", limit: items(1, 3), hint: "give 1 to 3; for more choices, send an interactive message of type list", source: page},
		{id: "button-type",
			doc: "The buttons of a message have the type reply or, in Direct Send, cta_url.",
			on:  on, at: "action.buttons[].type", limit: oneOf("reply", "cta_url"), hint: "write type: reply", source: oldReference},
		{id: "button-field",
			doc: "A button needs the object named by its type.",
			on:  on, at: "action.buttons[]", check: fieldOfType("reply cta_url"), source: page},
		{id: "button-url",
			doc: "Only Direct Send allows a button that opens an address among other buttons. Otherwise send a message of type cta_url, which has one such button.",
			on:  on, at: "action.buttons[].type", check: onlyReplies, hint: "send a message of type cta_url", source: directPage},
		{id: "cta-display-text",
			doc: "The text of a button that opens an address has 1 to 20 characters.",
			on:  on, at: "action.buttons[].cta_url.display_text", limit: length(1, 20), source: directPage},
		webAddress(rule{id: "cta-url",
			doc: "The address of a button starts with http:// or https://.",
			on:  on, at: "action.buttons[].cta_url.url", source: directPage}),
		{id: "button-id",
			doc: "The id of a button has 1 to 256 characters.",
			on:  on, at: "action.buttons[].reply.id", limit: length(1, 256), source: page},
		{id: "button-title",
			doc: "The title of a button has 1 to 20 characters.",
			on:  on, at: "action.buttons[].reply.title", limit: length(1, 20), source: page},
		{id: "button-id-unique",
			doc: "Each button of a message needs a different id, which is returned when the button is pressed.",
			on:  on, at: "action.buttons", check: unique("reply", "id"), source: oldReference},
		{id: "button-title-unique",
			doc: "Each button of a message needs a different title.",
			on:  on, at: "action.buttons", check: unique("reply", "title"), source: oldReference},
	}
}

func onlyReplies(v schema.Value, report reporter) {
	if text, ok := v.Text(); ok && text == "cta_url" {
		report(v, "only Direct Send allows a button of type cta_url among other buttons")
	}
}

func listRules() []rule {
	const page = "Cloud API, interactive list messages"
	list := kinds("list")
	return []rule{
		{id: "list-body-long",
			doc: "Meta's pages allow 4096 characters in the body of a list, its OpenAPI description 1024.",
			on:  list, at: "body.text", check: atMost(1024), warning: true, hint: "older versions of the API allow only 1024", source: openAPISource},
		{id: "list-button",
			doc: "The text of the button that opens a list has 1 to 20 characters.",
			on:  list, at: "action.button", limit: length(1, 20), source: page},
		{id: "list-sections",
			doc: "A list has 1 to 10 sections.",
			on:  list, at: "action.sections", limit: items(1, 10), source: page},
		{id: "list-section-rows",
			doc: "Each section of a list needs at least one row.",
			on:  list, at: "action.sections[].rows", limit: items(1, 0), source: page},
		{id: "list-rows-total",
			doc: "A list has at most ten rows across all its sections.",
			on:  list, at: "action.sections", check: maxTotal(10, "rows", "rows"), source: page},
		{id: "section-title",
			doc: "The title of a section has at most 24 characters.",
			on:  list + " " + kinds("product_list"), at: "action.sections[].title", limit: length(0, 24), source: page},
		{id: "section-title-empty",
			doc: "Leave out the title of a single section, or give it text. Meta treats empty text as none.",
			on:  list + " " + kinds("product_list"), at: "action.sections", check: onlySectionTitle, warning: true, hint: "leave title out", source: page},
		{id: "section-title-required",
			doc: "With more than one section, each needs a title. Meta's page always requires one, its reference only in this case.",
			on:  list + " " + kinds("product_list"), at: "action.sections", check: titledSections, hint: "give every section a title", source: oldReference},
		{id: "list-row-id",
			doc: "The id of a row has 1 to 200 characters.",
			on:  list, at: "action.sections[].rows[].id", limit: length(1, 200), source: page},
		{id: "list-row-id-unique",
			doc: "Each row of a list needs a different id, which is returned when the row is chosen.",
			on:  list, at: "action.sections", check: uniqueRows, source: page},
		{id: "list-row-title",
			doc: "The title of a row has 1 to 24 characters.",
			on:  list, at: "action.sections[].rows[].title", limit: length(1, 24), source: page},
		{id: "list-row-description",
			doc: "The description of a row has at most 72 characters.",
			on:  list, at: "action.sections[].rows[].description", limit: length(0, 72), source: page},
	}
}

func uniqueRows(v schema.Value, report reporter) {
	seen := map[string]bool{}
	for _, section := range v.Items() {
		for _, row := range section.Get("rows").Items() {
			id, ok := row.Get("id").Text()
			if ok && seen[id] {
				report(row.Get("id"), "%s is already the id of another row", mention(id))
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
			doc: `flow_message_version must be the text "3".`,
			on:  on, at: at + ".flow_message_version", limit: oneOf("3"), hint: `write "3"`, source: page},
		{id: "flow-one-of",
			doc: "Name a WhatsApp Flow by flow_id or by flow_name, but not by both.",
			on:  on, at: at, check: exactlyOne("flow_id", "flow_name"), source: page},
		{id: "flow-id",
			doc: "The ID or name of a Flow must not be empty.",
			on:  on, at: at + ".flow_id " + at + ".flow_name", limit: length(1, 0), source: page},
		{id: "flow-cta",
			doc: "The text of a Flow's button has 1 to 30 characters.",
			on:  on, at: at + ".flow_cta", limit: length(1, 30), source: page},
		{id: "flow-cta-length",
			doc: "Meta advises at most 30 characters for a Flow's button; an older reference allows 20.",
			on:  on, at: at + ".flow_cta", check: atMost(20), warning: true, hint: "some versions of the API refuse more than 20", source: oldReference},
		{id: "flow-cta-emoji",
			doc: "The text of a Flow's button must not contain an emoji.",
			on:  on, at: at + ".flow_cta", check: noEmoji, warning: true, hint: "remove the emoji", source: oldReference},
		{id: "flow-mode",
			doc: "The mode of a Flow is draft or published.",
			on:  on, at: at + ".mode", limit: oneOf("draft", "published"), source: page},
		{id: "flow-action",
			doc: "A Flow starts with a screen that you name (navigate) or that your endpoint chooses (data_exchange).",
			on:  on, at: at + ".flow_action", limit: oneOf("navigate", "data_exchange"), source: page},
		{id: "flow-payload",
			doc: "flow_action_payload says where a Flow starts. Only navigate needs it; with data_exchange your endpoint decides.",
			on:  on, at: at, check: payloadNavigates, hint: "leave flow_action_payload out", source: page},
		{id: "flow-payload-missing",
			doc: "An older reference requires flow_action_payload with navigate; according to the current page, the Flow starts with its first screen if it is missing.",
			on:  on, at: at, check: navigateHasPayload, warning: true, hint: "add flow_action_payload: {screen: …}", source: oldReference},
		{id: "flow-screen",
			doc: "The name of a screen must not be empty.",
			on:  on, at: at + ".flow_action_payload.screen", limit: length(1, 0), source: page},
		{id: "flow-data",
			doc: "The data of the first screen must be an object that is not empty.",
			on:  on, at: at + ".flow_action_payload.data", check: notEmptyData, hint: "leave data out if there is none", source: page},
		{id: "flow-data-text",
			doc: "The data of the first screen should be an object; one of Meta's examples has JSON text instead.",
			on:  on, at: at + ".flow_action_payload.data", check: dataAsText, warning: true, hint: "write data as an object", source: page},
		{id: "flow-token-missing",
			doc: `An older reference requires flow_token; according to the current page it defaults to "unused".`,
			on:  on, at: at, check: required("flow_token", "has no flow_token, which some versions of the API require"), warning: true, hint: "add flow_token: it is returned with the answer and tells you whose answer it is", source: oldReference},
	}
}

func payloadNavigates(v schema.Value, report reporter) {
	if action, ok := v.Get("flow_action").Text(); ok && action != "navigate" && v.Get("flow_action_payload").Present() {
		report(v.Get("flow_action_payload"), "is allowed only with flow_action navigate")
	}
}

func navigateHasPayload(v schema.Value, report reporter) {
	if action, ok := v.Get("flow_action").Text(); ok && action == "navigate" && !has(v, "flow_action_payload") {
		report(v, "navigates but has no flow_action_payload to say where, which some versions of the API require")
	}
}

func notEmptyData(v schema.Value, report reporter) {
	object, ok := v.Object()
	if text, isText := v.Text(); ok && len(object) == 0 || isText && strings.TrimSpace(text) == "" {
		report(v, "is empty")
	} else if !ok && !isText && !v.IsUnknown() {
		report(v, "must be an object")
	}
}

func dataAsText(v schema.Value, report reporter) {
	if text, ok := v.Text(); ok && strings.TrimSpace(text) != "" {
		report(v, "should be an object, but is text")
	}
}

func noEmoji(v schema.Value, report reporter) {
	if text, ok := v.Text(); ok && strings.ContainsFunc(text, func(r rune) bool {
		return r >= 0x1F000 && r <= 0x1FAFF || r >= 0x2600 && r <= 0x27BF || r == 0xFE0F || r == 0x20E3
	}) {
		report(v, "contains an emoji")
	}
}
