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
			doc: "sender_phone_id is Meta's ID of the sender number, made of digits only. It is not the phone number itself.",
			at:  "sender_phone_id", check: isID, hint: senderHint, source: messagesPage},
		{id: "reaction-no-reply",
			doc:   "A reaction names its message in message_id; it has no context.",
			check: noReplyReaction, hint: "leave reply_to out: the reaction names its message itself", source: messagesPage},
		{id: "fallback-useless",
			doc:   "A fallback is sent when the 24-hour window is shut. Templates need no window, so theirs is never sent.",
			check: uselessFallback, warning: true, hint: "leave fallback out: a template may be sent at any time", source: messagesPage},
		{id: "reply-to-padding",
			doc: "The id of a message has no white space around it.",
			at:  "reply_to", check: noPadding, source: messagesPage},
	}
}

// customRules documents the rules that have no check of their own, because they are
// implemented in sender.check, in CheckBody or in the DetectMistake of a schema.
func customRules() []rule {
	return []rule{
		{id: "recipient-format",
			doc:  "The recipient is a phone number with + and its country code, of a length that this country uses, or a business-scoped user ID. Without +, Meta would put the country code of the sender before it.",
			hint: countryCode, source: messagesPage},
		{id: "recipient-doubtful",
			doc:     "The phone number has a right length, but lies in no range that is known to be in use.",
			warning: true, hint: "check the number; it is sent as it is", source: "libphonenumber"},
		{id: "to-format",
			doc:  "to is a phone number: +, digits, spaces, hyphens, dots and parentheses; Meta refuses 00 in place of the +. A business-scoped user ID goes to recipient.",
			hint: example, source: messagesPage},
		{id: "to-placeholder",
			doc:     "Documentation writes PHONE_NUMBER, <PHONE> or 91xxxxxxxxxx where the number belongs.",
			warning: true, hint: "write the number", source: ours},
		{id: "to-plus",
			doc:     "Meta puts the country code of the sender before a number that has no +. Flows refuse such numbers.",
			warning: true, hint: "write + and the country code", source: messagesPage},
		{id: "to-doubtful",
			doc:     "No country uses phone numbers like this one.",
			warning: true, hint: "check the number", source: "libphonenumber"},
		{id: "null-field",
			doc:     "A field that is null counts as one that is not given. No page says so, but several tools send it, and Meta takes their messages.",
			warning: true, hint: "leave it out", source: observed},
		{id: "json-text",
			doc:     "Where an object or a list belongs, the Graph API also reads a text that holds it as JSON, as several tools send it. Its pages show the object itself.",
			warning: true, hint: "leave out the quotes around it", source: observed},
		{id: "interactive-type-case",
			doc:     "Meta documents the types of interactive messages in small letters. Capitals have been seen to work, and flows bring them into small letters.",
			warning: true, hint: "write it in small letters", source: observed},
		{id: "on-premises",
			doc:  "The On-Premises API has ended: nothing is delivered since 2025-10-23. Its fields preview_url (at the top), hsm, namespace, provider and ttl mean nothing to the Cloud API, which refuses what it does not know.",
			hint: "facteur message migrate FILE makes a Cloud body of an On-Premises body", source: migrationPage},
		{id: "template-made",
			doc:  "Where a template is made, its components have text, format, buttons and example. A message has the values that fill them in, and no component for what takes none.",
			hint: "give the values: parameters: [{type: text, text: …}]; leave out a component that takes none", source: templatesPage},
		{id: "other-shape",
			doc:  "What other tools, and older documents of Meta, write in another place or under another name. Meta refuses what it does not know.",
			hint: "write what the hint of the finding has", source: messagesPage},
		{id: "message-text",
			doc:  "message is the object itself, not a text with its JSON.",
			hint: "leave out the quotes around it", source: ours},
		{id: "message-whole-body",
			doc:  "message is only what stands under the name of the type; sender, recipient and type are fields of the step.",
			hint: "facteur import makes a step of a whole body", source: ours},
		{id: "message-placeholder",
			doc:  "{{name}} is how other tools write a value, and Meta where a template is made. In a message it is sent as it stands; an expression is ${…}. In a body that is checked by itself this is a warning.",
			hint: "write ${inputs.name}", source: ours},
	}
}

// An uncheckedDemand is a demand of Meta's that no rule can check, and where it is checked
// instead.
type uncheckedDemand struct{ demand, checked string }

// uncheckedDemands lists what Meta demands of messages and the body alone does not show.
func uncheckedDemands() []uncheckedDemand {
	const fetched = "by Meta, which fetches the file after it took the message: 131053 comes as a failed status"
	return []uncheckedDemand{
		{"the kind and size of an audio file: AAC, AMR, MP3, MP4, OGG (OPUS), up to 16 MB", fetched},
		{"the kind and size of a document: text, PDF, Office, up to 100 MB", fetched},
		{"the kind and size of an image: JPEG or PNG of 8 bits, up to 5 MB", fetched},
		{"the kind and size of a video: MP4 or 3GPP with H.264 and AAC, up to 16 MB", fetched},
		{"the kind and size of a sticker: WEBP of 512 by 512, up to 100 KB, 500 KB when animated", fetched},
		{"whether a link leads to a host that Meta accepts", fetched},
		{"the age of the message of a reaction, at most 30 days", "by Meta: 131009 comes later"},
		{"whether recipient_identity_key_hash is still right", "by Meta: 137000"},
		{"how often one person was asked for permission to call: once in 24 hours, twice in 7 days", "by Meta: 138009"},
		{"whether an order's expiration lies 300 seconds ahead", "by Meta, which knows the time of arrival"},
		{"whether an order's reference_id was used before", "by Meta: 2046"},
		{"the hydrated text of a template: up to 1024 characters with its parameters", "by Meta (132005); its own parameters here"},
		{"the number, names and kinds of a template's parameters, buttons and cards", "in flows, with the templates that facteur templates pull brings"},
		{"the whole address of a URL button: up to 2000 characters", "in flows, with the templates; its suffix here"},
		{"the size of a webhook: up to 3 MB and 1000 changes", "where webhooks are received"},
	}
}

// envelopeRules are on the fields of a request's body around the message.
func envelopeRules() []rule {
	return []rule{
		{id: "messaging-product",
			doc: "Every body says messaging_product: whatsapp.",
			on:  onBody + " " + onRead, at: "messaging_product", limit: oneOf("whatsapp"), hint: "write whatsapp", source: messagesPage},
		{id: "recipient-type",
			doc: "A message goes to one person (individual) or to a group.",
			on:  onBody, at: "recipient_type", limit: oneOf("individual", "group"), source: messagesPage},
		{id: "to-required",
			doc: "A body says who gets the message: to, or recipient for a business-scoped user ID.",
			on:  onBody, check: needsRecipient, hint: "add to, a phone number with + and country code", source: messagesPage},
		{id: "to-wins",
			doc: "Where a body has both to and recipient, Meta uses to.",
			on:  onBody, check: bothRecipients, warning: true, hint: "leave one of them out", source: bsuidPage},
		{id: "recipient-user-id",
			doc: "recipient is a business-scoped user ID: two capital letters, a point, letters and digits.",
			on:  onBody, at: "recipient", limit: pattern(userIDPattern), hint: "a phone number goes to to", source: bsuidPage},
		{id: "authentication-user-id",
			doc: "Messages that authenticate need a phone number; Meta refuses a business-scoped user ID (131062).",
			on:  onBody, check: authenticatesNumber, hint: "send it to a phone number", source: bsuidPage},
		{id: "message-type",
			doc: "The type names the object that holds the message.",
			on:  onBody, at: "type", limit: oneOf("text", "image", "video", "audio", "document", "sticker", "location", "contacts", "interactive", "template", "reaction", pinType), source: messagesPage},
		{id: "type-missing",
			doc: "An older reference takes a body without a type as text; Meta's OpenAPI description demands the type.",
			on:  onBody, check: needsType, hint: "add the type: it is the name of the object that holds the message", source: openAPISource},
		{id: "type-missing-interactive",
			doc: "One of Meta's own examples leaves out the type of an interactive message.",
			on:  onBody, check: interactiveWithoutType, warning: true, hint: "add type: interactive", source: openAPISource},
		{id: "message-missing",
			doc: "The message stands under the name of its type.",
			on:  onBody, check: needsMessage, source: messagesPage},
		{id: "message-of-other-type",
			doc: "A body holds the object of its type, and of no other.",
			on:  onBody, check: oneMessage, hint: "leave it out, or change the type", source: migrationPage},
		{id: "callback-data",
			doc: "biz_opaque_callback_data comes back on every status webhook; it has 512 characters at most.",
			on:  onBody, at: "biz_opaque_callback_data", limit: length(0, 512), source: oldReference},
		{id: "context-message-id",
			doc: "A context names a message by its id (wamid), of 128 characters at most.",
			on:  onBody, at: "context.message_id", limit: length(1, 128), source: messagesPage},
		{id: "reaction-no-context",
			doc: "A reaction names its message itself; it is no reply.",
			on:  onBody, check: reactionWithoutContext, hint: "leave context out", source: messagesPage},
		{id: "identity-key-hash",
			doc: "recipient_identity_key_hash is the hash that a webhook brought; it is not empty.",
			on:  onBody, at: "recipient_identity_key_hash", limit: length(1, 0), source: messagesPage},
		{id: "group-only",
			doc: "Only groups have pinned messages.",
			on:  onBody, check: pinInGroup, hint: "add recipient_type: group", source: groupsPage},
		{id: "group-message",
			doc: "Groups take texts, files and templates; Meta documents no other messages for them.",
			on:  onBody, check: groupTakes, warning: true, source: groupsPage},
		{id: "pin-type",
			doc: "A message is pinned or unpinned.",
			on:  onBody, at: "pin.type", limit: oneOf("pin", "unpin"), source: groupsPage},
		{id: "pin-message-id",
			doc: "A pin names a message by its id (wamid), of 128 characters at most.",
			on:  onBody, at: "pin.message_id", limit: length(1, 128), source: groupsPage},
		{id: "pin-expiration",
			doc: "A message is pinned for 1 to 30 days.",
			on:  onBody, at: "pin.expiration_days", limit: within(1, 30), source: groupsPage},
		{id: "direct-category",
			doc: "Direct Send takes messages of the categories utility, authentication and service.",
			on:  onBody, at: "category", limit: oneOf("utility", "authentication", "service"), source: directPage},
		{id: "direct-ttl",
			doc: "Direct Send tries for 30 to 43200 seconds, for 900 at most with authentication.",
			on:  onBody, check: directTTL, source: directPage},
		{id: "direct-body",
			doc: "A text that is sent as utility or authentication has 1024 characters at most.",
			on:  onBody, check: directBody, source: directPage},
		{id: "direct-message",
			doc: "Direct Send takes texts and interactive messages with buttons (button, cta_url, voice_call); for authentication only texts.",
			on:  onBody, check: directTakes, source: directPage},
		{id: "direct-buttons",
			doc: "In Direct Send a message has up to 10 buttons; two of them at most open an address, and these come first.",
			on:  onBody, check: directButtons, source: directPage},
		{id: "direct-template",
			doc: "Only messages of the category utility may name the template that Meta makes of them.",
			on:  onBody, check: directTemplate, hint: "add category: utility, or leave direct_send_config out", source: directPage},
		{id: "direct-template-name",
			doc: "A template's name has small letters, digits and _, and 512 characters at most.",
			on:  onBody, at: "direct_send_config.template_name", limit: both(length(1, 512), pattern(templateName)), source: directPage},
		{id: "marketing-policy",
			doc: "product_policy says what happens to a template that the Marketing Messages API cannot send.",
			on:  onBody, at: "product_policy", limit: oneOf("CLOUD_API_FALLBACK", "STRICT"), source: marketingPage},
		{id: "marketing-bid",
			doc: "The most that a marketing message may cost is multiplied by more than 0.",
			on:  onBody, at: "bid_spec.per_message_bid_multiplier", check: positive, source: marketingPage},
		{id: "marketing-template",
			doc: "Marketing messages are templates.",
			on:  onBody, check: marketingIsTemplate, hint: "send a template, or leave the field out", source: marketingPage},

		{id: "read-status",
			doc: "The only status that a body can set is read.",
			on:  onRead, at: "status", limit: oneOf("read"), source: messagesPage},
		{id: "read-message-id",
			doc: "The message that was read is named by its id (wamid), of 128 characters at most.",
			on:  onRead, at: "message_id", limit: length(1, 128), source: messagesPage},
		{id: "typing-type",
			doc: "What is being written is always a text.",
			on:  onRead, at: "typing_indicator.type", limit: oneOf("text"), source: messagesPage},
	}
}

func isID(v schema.Value, report reporter) {
	if text, ok := v.Text(); ok && (text == "" || !areDigits(text)) {
		report(v, "%s is not a phone number ID", mention(text))
	}
}

func noReplyReaction(v schema.Value, report reporter) {
	kind, _ := textOf(v, "message_type")
	if strings.EqualFold(kind, reactionType) && has(v, "reply_to") {
		report(v.Get("reply_to"), "a reaction cannot be a reply")
	}
}

func uselessFallback(v schema.Value, report reporter) {
	kind, _ := textOf(v, "message_type")
	if strings.EqualFold(kind, templateType) && has(v, "fallback") {
		report(v.Get("fallback"), "is never sent for a template")
	}
}

func needsRecipient(v schema.Value, report reporter) {
	if to, ok := textOf(v, "to"); !has(v, "recipient") && (!has(v, "to") || ok && to == "") {
		report(v, "says nowhere who gets the message")
	}
}

func bothRecipients(v schema.Value, report reporter) {
	if to, ok := textOf(v, "to"); has(v, "to") && has(v, "recipient") && !(ok && to == "") {
		report(v.Get("recipient"), "is not used, because there is a to as well")
	}
}

func authenticatesNumber(v schema.Value, report reporter) {
	if category, _ := textOf(v, "category"); category == "authentication" && has(v, "recipient") && !has(v, "to") {
		report(v.Get("recipient"), "a message that authenticates needs a phone number")
	}
}

func needsType(v schema.Value, report reporter) {
	if !has(v, "type") && !has(v, interactiveType) {
		report(v, "has no type")
	}
}

func interactiveWithoutType(v schema.Value, report reporter) {
	if !has(v, "type") && has(v, interactiveType) {
		report(v, "has no type, and is taken as interactive")
	}
}

func needsMessage(v schema.Value, report reporter) {
	if kind, ok := textOf(v, "type"); ok && !has(v, kind) {
		report(v, "is of type %s and has no %q", kind, kind)
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
			report(v.Get(name), "the message is of type %s, so there is no place for %q", kind, name)
		}
	}
}

func reactionWithoutContext(v schema.Value, report reporter) {
	if kind, _ := textOf(v, "type"); kind == reactionType && has(v, "context") {
		report(v.Get("context"), "a reaction cannot be a reply")
	}
}

func pinInGroup(v schema.Value, report reporter) {
	to, _ := textOf(v, "recipient_type")
	if kind, _ := textOf(v, "type"); kind == pinType && to != "group" {
		report(v, "only messages in groups are pinned")
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
		report(v.Get("ttl_seconds"), "only goes with a category")
	case ok && (n < 30 || n > float64(most)):
		report(v.Get("ttl_seconds"), "%v lies outside 30 to %d seconds", n, most)
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
	report(v.Get("type"), "Direct Send takes no such message of type %s for %s", kind, category)
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
				report(button, "opens an address and comes after a reply: these come first")
			}
		}
	}
}

func directTemplate(v schema.Value, report reporter) {
	if category, ok := textOf(v, "category"); has(v, "direct_send_config") && (category != "utility" && ok || !has(v, "category")) {
		report(v.Get("direct_send_config"), "only goes with the category utility")
	}
}

func marketingIsTemplate(v schema.Value, report reporter) {
	if kind, ok := textOf(v, "type"); ok && kind != templateType {
		for _, name := range [...]string{"product_policy", "message_activity_sharing", "bid_spec"} {
			if has(v, name) {
				report(v.Get(name), "only goes with a template")
			}
		}
	}
}

func positive(v schema.Value, report reporter) {
	if n, ok := v.Number(); ok && n <= 0 {
		report(v, "is not more than 0")
	}
}

func realDate(v schema.Value, report reporter) {
	if text, ok := v.Text(); ok {
		if _, err := time.Parse(time.DateOnly, text); err != nil {
			report(v, "%s is not a day of the calendar", mention(text))
		}
	}
}
