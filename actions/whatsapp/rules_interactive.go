package whatsapp

import (
	"slices"
	"strings"

	"facteur/flow/schema"
)

const interactivePage = "Cloud API, interactive messages"

// kinds lists kinds of interactive messages for rule.on.
func kinds(names ...string) string {
	return interactiveType + "/" + strings.Join(names, " "+interactiveType+"/")
}

// allKindsBut lists all kinds of interactive messages except these.
func allKindsBut(names ...string) string {
	var rest []string
	for _, c := range actionSchema().Cases {
		if !slices.Contains(names, c.Value) {
			rest = append(rest, c.Value)
		}
	}
	return kinds(rest...)
}

// headerTypes are the types of a header, each with a field of the same name.
const headerTypes = "text image video document"

func interactiveRules() []rule {
	var all []string
	for _, c := range actionSchema().Cases {
		all = append(all, c.Value)
	}
	noHeader := kinds("product", "catalog_message", "carousel", "location_request_message", "call_permission_request")
	noFooter := kinds("carousel", "location_request_message", "call_permission_request")
	return []rule{
		{id: "interactive-type",
			doc: "The type of an interactive message must be one that Meta documents.",
			on:  interactiveType, at: "type", limit: inSmallLetters(strings.Join(all, " ")), source: interactivePage},
		{id: "interactive-header-type",
			doc: "A header shows text, an image, a video or a document.",
			on:  interactiveType, at: "header.type", limit: oneOf("text", "image", "video", "document"), source: interactivePage},
		{id: "interactive-header-field",
			doc: "A header must have the field named by its type, and no other: type image needs image.",
			on:  interactiveType, at: "header", check: fieldOfType(headerTypes), source: interactivePage},
		{id: "interactive-header-length",
			doc: "The text of a header has 1 to 60 characters.",
			on:  interactiveType, at: "header.text", limit: length(1, 60), source: interactivePage},
		{id: "interactive-header-subtext",
			doc: "The small text of a header has at most 60 characters.",
			on:  interactiveType, at: "header.sub_text", limit: length(0, 60), source: interactivePage},
		{id: "interactive-header-media",
			doc: "Give the file in a header by the id of an uploaded file or by a link.",
			on:  interactiveType, at: "header.image header.video header.document", check: exactlyOne("id", "link"), source: interactivePage},
		webAddress(rule{id: "interactive-header-link",
			doc: "The link of a file in a header starts with http:// or https://.",
			on:  interactiveType, at: "header.image.link header.video.link header.document.link", source: interactivePage}),
		{id: "interactive-body",
			doc: "This type of message needs a body; only single products and call permission requests may go without one.",
			on:  allKindsBut("product", "call_permission_request"), check: required("body", `needs a body: {text: "…"}`), source: interactivePage},
		{id: "interactive-body-text",
			doc: "The body of an interactive message has at least one character; the body of a list has at most 4096.",
			on:  interactiveType, at: "body.text", limit: length(1, 4096), source: interactivePage},
		{id: "interactive-body-length",
			doc: "The body of an interactive message has at most 1024 characters; only lists allow 4096.",
			on:  allKindsBut("list"), at: "body.text", check: atMost(1024), hint: "shorten it, or send part of it as a text message first", source: interactivePage},
		{id: "interactive-body-blank",
			doc: "Meta refuses a body that contains only white space.",
			on:  interactiveType, at: "body.text", check: notBlank, source: interactivePage},
		{id: "interactive-footer-length",
			doc: "A footer has at most 60 characters.",
			on:  interactiveType, at: "footer.text", limit: length(0, 60), source: interactivePage},
		{id: "interactive-footer-empty",
			doc: "A footer must not be empty. Meta's page requires text; its error messages allow a length from 0 to 60.",
			on:  interactiveType, at: "footer.text", check: notEmpty, warning: true, hint: "leave the footer out", source: interactivePage},
		{id: "interactive-no-header",
			doc: "Products, the catalogue, carousels and requests for a location or for permission to call take no header.",
			on:  noHeader, check: forbidden("header", "this type of message takes no header"), source: interactivePage},
		{id: "interactive-no-footer",
			doc: "Carousels and requests for a location or for permission to call take no footer.",
			on:  noFooter, check: forbidden("footer", "this type of message takes no footer"), source: interactivePage},
		{id: "interactive-header-text",
			doc: "Lists and product lists take only a header of type text.",
			on:  kinds("list", "product_list"), at: "header.type", check: only("text"), source: interactivePage},
		{id: "order-header",
			doc: "Meta documents orders only with an image as header.",
			on:  kinds("order_details"), at: "header.type", check: only("image"), warning: true, source: "Cloud API, payments"},
		{id: "product-list-header",
			doc: "A product list needs a header of type text.",
			on:  kinds("product_list"), check: required("header", "needs a header of type text"), source: interactivePage},
		paddingRule("button", "action.buttons[].reply.id action.buttons[].reply.title"),
		paddingRule("list", "action.button action.sections[].title action.sections[].rows[].id action.sections[].rows[].title"),
		paddingRule("cta_url", "action.parameters.display_text action.parameters.url"),
		paddingRule("voice_call", "action.parameters.display_text"),
		paddingRule("flow", "action.parameters.flow_cta"),
		paddingRule("product_list", "action.sections[].title"),
		paddingRule("carousel", subpaths("action.cards[].action", "parameters.display_text", "parameters.url", "buttons[].quick_reply.id", "buttons[].quick_reply.title")),

		nameRule("cta_url", "cta_url"),
		nameRule("flow", "flow"),
		nameRule("catalog_message", "catalog_message"),
		nameRule("location_request_message", "send_location"),
		nameRule("address_message", "address_message"),
		nameRule("order_details", "review_and_pay"),
		nameRule("order_status", "review_order"),
		nameRule("voice_call", "voice_call"),
		nameRule("call_permission_request", "call_permission_request"),
		nameRule("request_contact_info", "request_contact_info"),

		{id: "cta-display-text",
			doc: "The text of a button that opens an address has 1 to 20 characters.",
			on:  kinds("cta_url"), at: "action.parameters.display_text", limit: length(1, 20), source: interactivePage},
		webAddress(rule{id: "cta-url",
			doc: "The address of a button starts with http:// or https://.",
			on:  kinds("cta_url"), at: "action.parameters.url", source: interactivePage}),
		{id: "voice-call-text",
			doc: "The text of a call button has 1 to 20 characters.",
			on:  kinds("voice_call"), at: "action.parameters.display_text", limit: length(1, 20), source: "Cloud API, call buttons"},
		{id: "voice-call-ttl",
			doc: "A call button works for 1 to 43200 minutes (30 days).",
			on:  kinds("voice_call"), at: "action.parameters.ttl_minutes", limit: within(1, 43200), source: "Cloud API, call buttons"},
		{id: "voice-call-payload",
			doc: "The payload of a call button has at most 512 characters.",
			on:  kinds("voice_call"), at: "action.parameters.payload", limit: length(0, 512), source: "Cloud API, call buttons"},
		{id: "address-country",
			doc: "Addresses can be requested only in India.",
			on:  kinds("address_message"), at: "action.parameters.country", limit: oneOf("IN"), source: "Cloud API, address messages"},
		{id: "address-pin-code",
			doc: "An Indian postal code has at most 6 characters.",
			on:  kinds("address_message"), at: "action.parameters.values.in_pin_code action.parameters.saved_addresses[].value.in_pin_code", limit: length(0, 6), source: "Cloud API, address messages"},
	}
}

// paddingRule returns the same rule for each kind, with its own paths.
func paddingRule(kind, at string) rule {
	return rule{id: "action-padding",
		doc: "Meta refuses white space at the start or end of texts in actions and buttons.",
		on:  kinds(kind), at: at, check: noPadding, hint: "remove the white space around it", source: migrationPage}
}

// nameRule returns the same rule for each kind, with its own action name.
func nameRule(kind, name string) rule {
	return rule{id: "action-name",
		doc: "The name of an action must match the type of the message: cta_url, flow, catalog_message, send_location, address_message, review_and_pay, review_order, voice_call, call_permission_request or request_contact_info.",
		on:  kinds(kind), at: "action.name", limit: oneOf(name), source: interactivePage}
}

// only demands that a header is of one type.
func only(kind string) func(schema.Value, reporter) {
	return func(v schema.Value, report reporter) {
		if text, ok := v.Text(); ok && text != kind {
			report(v, "this type of message takes only a header of type %s", kind)
		}
	}
}
