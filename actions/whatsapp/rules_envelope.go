package whatsapp

import (
	"slices"
	"strings"
	"time"

	"facteur/flow/schema"
)

// Sources of rules: the pages of Meta's documentation, and others.
const (
	messagesPage  = "Cloud API, messages"
	oldReference  = "Messages reference, 2023"
	migrationPage = "Cloud API, migrating from On-Premises"
	groupsPage    = "Cloud API, groups"
	directPage    = "Direct Send"
	marketingPage = "Marketing Messages API"
	openAPISource = "Meta's OpenAPI description, v23, https://github.com/facebook/openapi"
	bsuidPage     = "Business-scoped user IDs, https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids"
	observed      = "seen in production"
	ours          = "Facteur"
)

// inputRules are on the fields of a send's input beside the message.
func inputRules() []rule {
	return []rule{
		{id: "sender-phone-id",
			doc: "sender_phone_id is Meta's ID of the sender number and consists of digits only. It is not the phone number itself.",
			at:  "sender_phone_id", check: isID, hint: senderHint, source: messagesPage},
		{id: "reaction-no-reply",
			doc:   "A reaction names its message in message_id, so it must not have a context.",
			check: ofType("message_type", reactionType, forbidden("reply_to", "a reaction cannot be a reply")), hint: "leave reply_to out: the message_id of the reaction names its message", source: messagesPage},
		{id: "fallback-useless",
			doc:   "A fallback is sent when the 24-hour window is closed. A template needs no window, so its fallback is never sent.",
			check: ofType("message_type", templateType, forbidden("fallback", "is never sent for a template")), warning: true, hint: "leave fallback out: a template can be sent at any time", source: messagesPage},
		{id: "reply-to-padding",
			doc: "The id of a message must not have white space around it.",
			at:  "reply_to", check: noPadding, source: messagesPage},
	}
}

// customRules documents the rules that have no check of their own, because they are
// implemented in sender.check, in CheckBody or in the DetectMistake of a schema.
func customRules() []rule {
	return []rule{
		{id: "recipient-format",
			doc:  "The recipient is a phone number with + and country code, of a length used in that country, or a business-scoped user ID. Without the +, Meta would put the sender's country code before it.",
			hint: countryCode, source: messagesPage},
		{id: "recipient-doubtful",
			doc:     "The phone number has a valid length, but is not in a range known to be in use.",
			warning: true, hint: "check the number; it is sent unchanged", source: "libphonenumber"},
		{id: "to-format",
			doc:  "to must be a phone number: +, digits, spaces, hyphens, dots and parentheses; Meta refuses 00 in place of the +. Put a business-scoped user ID into recipient.",
			hint: example, source: messagesPage},
		{id: "to-placeholder",
			doc:     "PHONE_NUMBER, <PHONE> or 91xxxxxxxxxx is what documentation writes in place of a phone number.",
			warning: true, hint: "write the real number", source: ours},
		{id: "to-plus",
			doc:     "Meta puts the sender's country code before a number without a +. Flows refuse such numbers.",
			warning: true, hint: "write + and the country code", source: messagesPage},
		{id: "to-doubtful",
			doc:     "No country is known to use phone numbers like this one.",
			warning: true, hint: "check the number", source: "libphonenumber"},
		{id: "null-field",
			doc:     "A field that is null counts as absent. Meta does not document this, but several tools send such fields and Meta accepts their messages.",
			warning: true, hint: "leave it out", source: observed},
		{id: "json-text",
			doc:     "In place of an object or a list, the Graph API also accepts text that contains it as JSON, and several tools send that. Meta's pages show the object itself.",
			warning: true, hint: "leave out the quotes around it", source: observed},
		{id: "interactive-type-case",
			doc:     "Meta documents the types of interactive messages in lower case. Upper case has been seen to work, and flows convert it to lower case.",
			warning: true, hint: "write it in lower case", source: observed},
		{id: "on-premises",
			doc:  "The On-Premises API has ended: it has delivered nothing since 2025-10-23. The Cloud API refuses its fields preview_url (at the top), hsm, namespace, provider and ttl, because it refuses every field that it does not know.",
			hint: "convert the body with facteur message migrate FILE", source: migrationPage},
		{id: "template-made",
			doc:  "The components have text, format, buttons and example only when a template is created. A message has just the values that fill them in, and no component for parts that take no value.",
			hint: "give only the values, as in parameters: [{type: text, text: …}], and leave out components that take none", source: templatesPage},
		{id: "other-shape",
			doc:  "Other tools and older pages of Meta put this field in another place, or give it another name. Meta refuses fields that it does not know.",
			hint: "write it as the hint of the finding shows", source: messagesPage},
		{id: "message-text",
			doc:  "message must be the object itself, not text that contains its JSON.",
			hint: "leave out the quotes around it", source: ours},
		{id: "message-whole-body",
			doc:  "message is only the object under the name of the type; sender, recipient and type are fields of the step.",
			hint: "facteur import turns a whole body into a step", source: ours},
		{id: "message-placeholder",
			doc:  "Other tools write {{name}} to insert a value, and so does Meta when a template is created. In a message it is sent literally; write an expression as ${…}. When only a body is checked, this is a warning.",
			hint: "write ${inputs.name}", source: ours},
	}
}

// An uncheckedDemand is a demand of Meta's that no rule can check, and where it is checked
// instead.
type uncheckedDemand struct{ demand, checked string }

// uncheckedDemands lists what Meta demands of messages and the body alone does not show.
func uncheckedDemands() []uncheckedDemand {
	const fetched = "by Meta, which fetches the file after it has accepted the message: 131053 arrives as a failed status"
	return []uncheckedDemand{
		{"the kind and size of an audio file: AAC, AMR, MP3, MP4, OGG (OPUS), up to 16 MB", fetched},
		{"the kind and size of a document: text, PDF, Office, up to 100 MB", fetched},
		{"the kind and size of an image: JPEG or PNG with 8 bits, up to 5 MB", fetched},
		{"the kind and size of a video: MP4 or 3GPP with H.264 and AAC, up to 16 MB", fetched},
		{"the kind and size of a sticker: WEBP of 512 by 512 pixels, up to 100 KB, or 500 KB if animated", fetched},
		{"whether the host of a link is one that Meta accepts", fetched},
		{"whether the message that a reaction refers to is at most 30 days old", "by Meta: 131009 arrives later"},
		{"whether recipient_identity_key_hash is still valid", "by Meta: 137000"},
		{"how often a person was asked for permission to call: at most once in 24 hours and twice in 7 days", "by Meta: 138009"},
		{"whether an order's expiration is at least 300 seconds ahead", "by Meta, which knows when the message arrives"},
		{"whether an order's reference_id was used before", "by Meta: 2046"},
		{"the length of a template's text with its parameters filled in: up to 1024 characters", "by Meta (132005); the parameters themselves are checked here"},
		{"the number, names and types of a template's parameters, buttons and cards", "in flows, against the templates that facteur templates pull has stored"},
		{"the length of a URL button's whole address: up to 2000 characters", "in flows, against the templates; the suffix is checked here"},
		{"the size of a webhook: up to 3 MB and 1000 changes", "when webhooks are received"},
	}
}

// envelopeRules are on the fields of a request's body around the message.
func envelopeRules() []rule {
	return []rule{
		{id: "messaging-product",
			doc: "Every body needs messaging_product: whatsapp.",
			on:  onBody + " " + onRead, at: "messaging_product", limit: oneOf("whatsapp"), hint: "write whatsapp", source: messagesPage},
		{id: "recipient-type",
			doc: "recipient_type is individual (one person) or group.",
			on:  onBody, at: "recipient_type", limit: oneOf("individual", "group"), source: messagesPage},
		{id: "to-required",
			doc: "A body must say who gets the message: in to, or in recipient for a business-scoped user ID.",
			on:  onBody, check: needsRecipient, hint: "add to, a phone number with + and country code", source: messagesPage},
		{id: "to-wins",
			doc: "If a body has both to and recipient, Meta uses to.",
			on:  onBody, check: bothRecipients, warning: true, hint: "leave one of them out", source: bsuidPage},
		{id: "recipient-user-id",
			doc: "recipient must be a business-scoped user ID: two capital letters, a dot, then letters and digits.",
			on:  onBody, at: "recipient", limit: pattern(userIDPattern), hint: "put a phone number into to", source: bsuidPage},
		{id: "authentication-user-id",
			doc: "Authentication messages need a phone number; Meta refuses a business-scoped user ID (131062).",
			on:  onBody, check: authenticatesNumber, hint: "send it to a phone number", source: bsuidPage},
		{id: "message-type",
			doc: "The type must name the object that holds the message.",
			on:  onBody, at: "type", limit: oneOf("text", "image", "video", "audio", "document", "sticker", "location", "contacts", "interactive", "template", "reaction", pinType), source: messagesPage},
		{id: "type-missing",
			doc: "According to an older reference, a body without a type is a text message; Meta's OpenAPI description requires the type.",
			on:  onBody, check: needsType, hint: "add the type: it is the name of the object that holds the message", source: openAPISource},
		{id: "type-missing-interactive",
			doc: "One of Meta's own examples leaves out the type of an interactive message.",
			on:  onBody, check: interactiveWithoutType, warning: true, hint: "add type: interactive", source: openAPISource},
		{id: "message-missing",
			doc: "A body needs the object named by its type: it holds the message.",
			on:  onBody, check: needsMessage, source: messagesPage},
		{id: "message-of-other-type",
			doc: "A body must not hold the object of another type.",
			on:  onBody, check: oneMessage, hint: "leave it out, or change the type", source: migrationPage},
		{id: "callback-data",
			doc: "biz_opaque_callback_data is returned on every status webhook and has at most 512 characters.",
			on:  onBody, at: "biz_opaque_callback_data", limit: length(0, 512), source: oldReference},
		{id: "context-message-id",
			doc: "A context names a message by its id (wamid), which has at most 128 characters.",
			on:  onBody, at: "context.message_id", limit: length(1, 128), source: messagesPage},
		{id: "reaction-no-context",
			doc: "A reaction names its message itself, so it cannot be a reply.",
			on:  onBody, check: ofType("type", reactionType, forbidden("context", "a reaction cannot be a reply")), hint: "leave context out", source: messagesPage},
		{id: "identity-key-hash",
			doc: "recipient_identity_key_hash is the hash from a webhook and must not be empty.",
			on:  onBody, at: "recipient_identity_key_hash", limit: length(1, 0), source: messagesPage},
		{id: "group-only",
			doc: "Messages can be pinned only in groups.",
			on:  onBody, check: pinInGroup, hint: "add recipient_type: group", source: groupsPage},
		{id: "group-message",
			doc: "Groups accept texts, files and templates; Meta documents no other messages for them.",
			on:  onBody, check: groupTakes, warning: true, source: groupsPage},
		{id: "pin-type",
			doc: "The type of a pin is pin or unpin.",
			on:  onBody, at: "pin.type", limit: oneOf("pin", "unpin"), source: groupsPage},
		{id: "pin-message-id",
			doc: "A pin names a message by its id (wamid), which has at most 128 characters.",
			on:  onBody, at: "pin.message_id", limit: length(1, 128), source: groupsPage},
		{id: "pin-expiration",
			doc: "A message can be pinned for 1 to 30 days.",
			on:  onBody, at: "pin.expiration_days", limit: within(1, 30), source: groupsPage},
		{id: "direct-category",
			doc: "Direct Send accepts messages of the categories utility, authentication and service.",
			on:  onBody, at: "category", limit: oneOf("utility", "authentication", "service"), source: directPage},
		{id: "direct-ttl",
			doc: "Direct Send tries for 30 to 43200 seconds, or at most 900 for the category authentication.",
			on:  onBody, check: directTTL, source: directPage},
		{id: "direct-body",
			doc: "Text sent with the category utility or authentication has at most 1024 characters.",
			on:  onBody, check: directBody, source: directPage},
		{id: "direct-message",
			doc: "Direct Send accepts texts and interactive messages with buttons (button, cta_url, voice_call); for authentication, only texts.",
			on:  onBody, check: directTakes, source: directPage},
		{id: "direct-buttons",
			doc: "In Direct Send a message has up to 10 buttons; at most two of them open an address, and these must come first.",
			on:  onBody, check: directButtons, source: directPage},
		{id: "direct-template",
			doc: "Only messages of the category utility may name the template that Meta creates from them.",
			on:  onBody, check: directTemplate, hint: "add category: utility, or leave direct_send_config out", source: directPage},
		{id: "direct-template-name",
			doc: "A template's name consists of lower-case letters, digits and _, and has at most 512 characters.",
			on:  onBody, at: "direct_send_config.template_name", limit: both(length(1, 512), pattern(templateName)), source: directPage},
		{id: "marketing-policy",
			doc: "product_policy says what happens to a template that the Marketing Messages API cannot send.",
			on:  onBody, at: "product_policy", limit: oneOf("CLOUD_API_FALLBACK", "STRICT"), source: marketingPage},
		{id: "marketing-bid",
			doc: "The multiplier of a template's maximum price must be greater than 0.",
			on:  onBody, at: "bid_spec.per_message_bid_multiplier", check: positive, source: marketingPage},
		{id: "marketing-template",
			doc: "Marketing messages must be templates.",
			on:  onBody, check: marketingIsTemplate, hint: "send a template, or leave the field out", source: marketingPage},

		{id: "read-status",
			doc: "The only status that a body can set is read.",
			on:  onRead, at: "status", limit: oneOf("read"), source: messagesPage},
		{id: "read-message-id",
			doc: "The message that was read is named by its id (wamid), which has at most 128 characters.",
			on:  onRead, at: "message_id", limit: length(1, 128), source: messagesPage},
		{id: "typing-type",
			doc: "The type of a typing indicator must be text.",
			on:  onRead, at: "typing_indicator.type", limit: oneOf("text"), source: messagesPage},
	}
}

func isID(v schema.Value, report reporter) {
	if text, ok := v.Text(); ok && (text == "" || !areDigits(text)) {
		report(v, "%s is not a phone number ID", mention(text))
	}
}

func needsRecipient(v schema.Value, report reporter) {
	if to, ok := textOf(v, "to"); !has(v, "recipient") && (!has(v, "to") || ok && to == "") {
		report(v, "does not say who gets the message")
	}
}

func bothRecipients(v schema.Value, report reporter) {
	if to, ok := textOf(v, "to"); has(v, "to") && has(v, "recipient") && !(ok && to == "") {
		report(v.Get("recipient"), "is ignored, because to is present too")
	}
}

func authenticatesNumber(v schema.Value, report reporter) {
	if category, _ := textOf(v, "category"); category == "authentication" && has(v, "recipient") && !has(v, "to") {
		report(v.Get("recipient"), "an authentication message needs a phone number")
	}
}

func needsType(v schema.Value, report reporter) {
	if !has(v, "type") && !has(v, interactiveType) {
		report(v, "has no type")
	}
}

func interactiveWithoutType(v schema.Value, report reporter) {
	if !has(v, "type") && has(v, interactiveType) {
		report(v, "has no type and is treated as interactive")
	}
}

func needsMessage(v schema.Value, report reporter) {
	if kind, ok := textOf(v, "type"); ok && !has(v, kind) {
		report(v, "is of type %s but has no %q", kind, kind)
	}
}

func oneMessage(v schema.Value, report reporter) {
	object, _ := v.Object()
	kind := typeOf(object)
	if _, known := textOf(v, "type"); !known && (has(v, "type") || kind == "") {
		return
	}
	for _, name := range v.Keys() {
		if name != kind && (name == pinType || contains(messageTypes, name)) {
			report(v.Get(name), "the message is of type %s, so it must not have %q", kind, name)
		}
	}
}

func pinInGroup(v schema.Value, report reporter) {
	to, _ := textOf(v, "recipient_type")
	if kind, _ := textOf(v, "type"); kind == pinType && to != "group" {
		report(v, "messages can be pinned only in groups")
	}
}

func groupTakes(v schema.Value, report reporter) {
	to, _ := textOf(v, "recipient_type")
	kind, ok := textOf(v, "type")
	if to == "group" && ok && !slices.Contains([]string{"text", templateType, pinType}, kind) && !slices.Contains(strings.Fields(fileTypes), kind) {
		report(v.Get("type"), "a message of type %s may be refused in a group", kind)
	}
}

func directTTL(v schema.Value, report reporter) {
	if !has(v, "ttl_seconds") {
		return
	}
	category, _ := textOf(v, "category")
	most := 43200
	if category == "authentication" {
		most = 900
	}
	n, ok := v.Get("ttl_seconds").Number()
	switch {
	case !has(v, "category"):
		report(v.Get("ttl_seconds"), "is allowed only with a category")
	case ok && (n < 30 || n > float64(most)):
		report(v.Get("ttl_seconds"), "%v is outside the range of 30 to %d seconds", n, most)
	}
}

func directBody(v schema.Value, report reporter) {
	if category, _ := textOf(v, "category"); category == "utility" || category == "authentication" {
		atMost(1024)(v.Get("text", "body"), report)
	}
}

func directTakes(v schema.Value, report reporter) {
	category, ok := textOf(v, "category")
	kind, known := textOf(v, "type")
	if !ok || !known || category == "service" || kind == "text" {
		return
	}
	if of, ok := v.Get(interactiveType, "type").Text(); category == "utility" && kind == interactiveType && (!ok || contains("button cta_url voice_call", of)) {
		return
	}
	report(v.Get("type"), "Direct Send does not accept this message of type %s for the category %s", kind, category)
}

// isDirect tells whether a body is a Direct Send message with buttons.
func isDirect(body map[string]any) bool {
	kind, _ := get(body[interactiveType], "type").(string)
	return body["category"] == "utility" && strings.EqualFold(kind, "button")
}

func directButtons(v schema.Value, report reporter) {
	body, _ := v.Object()
	if !isDirect(body) {
		return
	}
	list := v.Get(interactiveType, "action", "buttons")
	if buttons, ok := list.List(); ok && (len(buttons) < 1 || len(buttons) > 10) {
		report(list, "has %d buttons, 1 to 10 are allowed", len(buttons))
	}
	urls, replied := 0, false
	for _, button := range list.Items() {
		switch kind, _ := textOf(button, "type"); kind {
		case "reply":
			replied = true
		case "cta_url":
			if urls++; urls > 2 {
				report(button, "is the third button that opens an address, at most 2 are allowed")
			} else if replied {
				report(button, "opens an address but comes after a reply button: put buttons that open an address first")
			}
		}
	}
}

func directTemplate(v schema.Value, report reporter) {
	if category, ok := textOf(v, "category"); has(v, "direct_send_config") && (category != "utility" && ok || !has(v, "category")) {
		report(v.Get("direct_send_config"), "is allowed only with the category utility")
	}
}

func marketingIsTemplate(v schema.Value, report reporter) {
	if kind, ok := textOf(v, "type"); ok && kind != templateType {
		for _, name := range [...]string{"product_policy", "message_activity_sharing", "bid_spec"} {
			if has(v, name) {
				report(v.Get(name), "is allowed only with a template")
			}
		}
	}
}

func positive(v schema.Value, report reporter) {
	if n, ok := v.Number(); ok && n <= 0 {
		report(v, "is not greater than 0")
	}
}

func realDate(v schema.Value, report reporter) {
	if text, ok := v.Text(); ok {
		if _, err := time.Parse(time.DateOnly, text); err != nil {
			report(v, "%s is not a date in the calendar", mention(text))
		}
	}
}
