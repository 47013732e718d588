package whatsapp

import (
	"strings"

	"facteur/flow/schema"
)

// header names the field of a header, by its type.
func headerFields() map[string]string {
	return map[string]string{"text": "text", "image": "image", "video": "video", "document": "document"}
}

func interactiveRules() []rule {
	const interactive = interactiveType + "/"
	page := "Cloud API, interactive messages"
	short := interactive + strings.Join([]string{"button", "cta_url", "flow", "product", "product_list", "catalog_message",
		"location_request_message", "address_message", "order_details", "order_status", "carousel", "voice_call",
		"call_permission_request", "request_contact_info"}, " "+interactive)
	withBody := interactive + strings.Join([]string{"button", "list", "cta_url", "flow", "product_list", "catalog_message",
		"location_request_message", "address_message", "order_details", "order_status", "carousel", "voice_call", "request_contact_info"}, " "+interactive)
	noHeader := interactive + strings.Join([]string{"product", "carousel", "location_request_message", "call_permission_request"}, " "+interactive)
	noFooter := interactive + strings.Join([]string{"carousel", "location_request_message", "call_permission_request"}, " "+interactive)
	return []rule{
		{id: "interactive-type-case",
			doc: "Meta documents the types of interactive messages in small letters. Capitals have been seen to work.",
			on:  interactiveType, at: "type", check: smallLetters, warning: true, hint: "write it in small letters", source: page},
		{id: "interactive-header-field",
			doc: "A header has the field that its type names, and no other: type image wants image.",
			on:  interactiveType, at: "header", check: named(headerFields()), source: page},
		{id: "interactive-header-media",
			doc: "A file in a header is given by the id of an upload or by a link, and not by both.",
			on:  interactiveType, at: "header.image header.video header.document", check: exactlyOne("id", "link"), source: page},
		{id: "interactive-body",
			doc: "This kind of message needs a body.",
			on:  withBody, check: needs("body", `needs a body: {text: "…"}`), source: page},
		{id: "interactive-body-length",
			doc: "The body of an interactive message has 1024 characters at most; only lists take 4096.",
			on:  short, at: "body.text", check: atMost(1024), hint: "shorten it, or send the rest as a text before it", source: page},
		{id: "interactive-body-blank",
			doc: "Meta refuses a body of white space only.",
			on:  interactiveType, at: "body.text", check: notEmpty, source: page},
		{id: "interactive-no-header",
			doc: "Products, carousels and requests for a location or for calls take no header.",
			on:  noHeader, check: forbidden("header", "this kind of message takes no header"), source: page},
		{id: "interactive-no-footer",
			doc: "Carousels and requests for a location or for calls take no footer.",
			on:  noFooter, check: forbidden("footer", "this kind of message takes no footer"), source: page},
		{id: "interactive-header-text",
			doc: "Lists and product lists take only a header of type text.",
			on:  interactive + "list " + interactive + "product_list", at: "header.type", check: textOnly, source: page},
		{id: "product-list-header",
			doc: "A product list needs a header of type text.",
			on:  interactive + "product_list", check: needs("header", "needs a header of type text"), source: page},
		{id: "button-id-unique",
			doc: "Each button of a message has an id of its own, which comes back when it is pressed.",
			on:  interactive + "button", at: "action.buttons", check: unique("reply", "id"), source: page},
		{id: "button-title-unique",
			doc: "Each button of a message has a title of its own.",
			on:  interactive + "button", at: "action.buttons", check: unique("reply", "title"), source: page},
		{id: "button-padding",
			doc: "Meta refuses white space at either end of the texts of buttons.",
			on:  interactive + "button", at: "action.buttons[].reply.id action.buttons[].reply.title", check: noPadding, source: cloudMove},
		{id: "url-padding",
			doc: "Meta refuses white space at either end of the texts of buttons.",
			on:  interactive + "cta_url", at: "action.parameters.display_text action.parameters.url", check: noPadding, source: cloudMove},
		{id: "flow-one-of",
			doc: "A WhatsApp Flow is named by flow_id or by flow_name, and not by both.",
			on:  interactive + "flow", at: "action.parameters", check: exactlyOne("flow_id", "flow_name"), source: page},
		{id: "flow-cta-length",
			doc: "Meta advises 30 characters at most for the button of a Flow; an older reference allows 20.",
			on:  interactive + "flow", at: "action.parameters.flow_cta", check: atMost(20), warning: true, hint: "some versions of the API refuse more than 20", source: "Messages reference, 2023"},
		{id: "flow-payload",
			doc: "flow_action_payload says where a Flow begins, which only navigate needs; with data_exchange your endpoint decides.",
			on:  interactive + "flow", at: "action.parameters", check: payloadNavigates, source: page},
	}
}

func smallLetters(v schema.Value, say report) {
	if text, ok := v.Text(); ok && text != strings.ToLower(text) {
		say(v, "%s is not written as Meta documents it", mention(text))
	}
}

func textOnly(v schema.Value, say report) {
	if kind, ok := v.Text(); ok && kind != "text" {
		say(v, "this kind of message takes only a header of type text")
	}
}

func payloadNavigates(v schema.Value, say report) {
	if action, ok := v.Get("flow_action").Text(); ok && action != "navigate" && v.Get("flow_action_payload").Present() {
		say(v.Get("flow_action_payload"), "only goes with flow_action navigate")
	}
}

func listRules() []rule {
	const list, products = interactiveType + "/list", interactiveType + "/product_list"
	page := "Cloud API, interactive list messages"
	return []rule{
		{id: "list-body-long",
			doc: "Meta's pages allow 4096 characters in the body of a list, its OpenAPI description 1024.",
			on:  list, at: "body.text", check: atMost(1024), warning: true, hint: "older versions of the API take 1024", source: "Meta's OpenAPI description, v23"},
		{id: "list-rows-total",
			doc: "A list has ten rows at most, all sections together.",
			on:  list, at: "action.sections", check: total(10, "rows", "rows"), source: page},
		{id: "list-row-id-unique",
			doc: "Each row of a list has an id of its own, which comes back when it is chosen.",
			on:  list, at: "action.sections", check: uniqueRows, source: page},
		{id: "section-title",
			doc: "With more than one section, each needs a title.",
			on:  list + " " + products, at: "action.sections", check: titledSections, source: page},
		{id: "list-padding",
			doc: "Meta refuses white space at either end of the texts of a list.",
			on:  list, at: "action.button action.sections[].title action.sections[].rows[].id action.sections[].rows[].title", check: noPadding, source: cloudMove},
		{id: "products-total",
			doc: "A product list has thirty products at most, all sections together.",
			on:  products, at: "action.sections", check: total(30, "product_items", "products"), source: page},
	}
}

func uniqueRows(v schema.Value, say report) {
	seen := map[string]bool{}
	for _, section := range v.Items() {
		for _, row := range section.Get("rows").Items() {
			id, ok := row.Get("id").Text()
			if ok && seen[id] {
				say(row.Get("id"), "%s is the id of another row already", mention(id))
			}
			seen[id] = true
		}
	}
}

func titledSections(v schema.Value, say report) {
	sections := v.Items()
	for _, section := range sections {
		if len(sections) > 1 && !section.Get("title").Present() {
			say(section, "has no title, which is required with more than one section")
		}
	}
}

func carouselRules() []rule {
	const carousel = interactiveType + "/carousel"
	page := "Cloud API, interactive carousel messages"
	return []rule{
		{id: "card-index-unique",
			doc: "Each card has an index of its own.",
			on:  carousel, at: "action.cards", check: unique("card_index"), source: page},
		{id: "card-type-same",
			doc: "All cards of a carousel are of one type.",
			on:  carousel, at: "action.cards", check: same("the type of cards", "type"), source: page},
		{id: "card-header-same",
			doc: "The headers of all cards are of one kind: image or video.",
			on:  carousel, at: "action.cards", check: same("the kind of header", "header", "type"), source: page},
		{id: "card-catalog-same",
			doc: "The products of all cards come from one catalogue.",
			on:  carousel, at: "action.cards", check: same("the catalogue", "action", "catalog_id"), source: page},
		{id: "card-header-field",
			doc: "A header has the field that its type names, and no other: type image wants image.",
			on:  carousel, at: "action.cards[].header", check: named(headerFields()), source: page},
		{id: "card-body-lines",
			doc: "The text of a card has two line breaks at most.",
			on:  carousel, at: "action.cards[].body.text", check: twoBreaks, source: page},
		{id: "card-padding",
			doc: "Meta refuses white space at either end of the texts of buttons.",
			on:  carousel, at: "action.cards[].action.parameters.display_text", check: noPadding, source: cloudMove},
	}
}

func twoBreaks(v schema.Value, say report) {
	if text, ok := v.Text(); ok && strings.Count(text, "\n") > 2 {
		say(v, "has %d line breaks, at most 2 are allowed", strings.Count(text, "\n"))
	}
}
