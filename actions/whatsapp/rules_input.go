package whatsapp

import (
	"strconv"
	"strings"
	"time"

	"facteur/flow/schema"
)

const (
	messagesPage = "Cloud API, messages"
	cloudMove    = "Cloud API, migrating from On-Premises"
)

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

// recipientRules are told by the code that reads recipients, see sender.recipient.
func recipientRules() []rule {
	return []rule{
		{id: "recipient-format",
			doc:  "The recipient is a phone number with + and its country code, of a length that this country uses, or a business-scoped user ID. Without +, Meta would put the country code of the sender before it.",
			hint: countryCode, source: messagesPage},
		{id: "recipient-doubtful",
			doc:     "The phone number has a right length, but lies in no range that is known to be in use.",
			warning: true, hint: "check the number; it is sent as it is", source: "libphonenumber"},
		{id: "once-needs-ledger",
			doc:  "A send with `once` is skipped if one with the same key went out before. That needs a ledger of what was sent.",
			hint: "leave `once` out", source: "Facteur"},
	}
}

func isID(v schema.Value, say report) {
	if text, ok := v.Text(); ok && (text == "" || onlyDigits(text) != text) {
		say(v, "%s is not a phone number ID", mention(text))
	}
}

func noReplyReaction(v schema.Value, say report) {
	kind, _ := textOf(v, "message_type")
	if strings.EqualFold(kind, reactionType) && has(v, "reply_to") {
		say(v.Get("reply_to"), "a reaction cannot be a reply")
	}
}

func uselessFallback(v schema.Value, say report) {
	kind, _ := textOf(v, "message_type")
	if strings.EqualFold(kind, templateType) && has(v, "fallback") {
		say(v.Get("fallback"), "is never sent for a template")
	}
}

const fileTypes = "audio document image sticker video"

func mediaRules() []rule {
	return []rule{
		{id: "text-body-blank",
			doc: "Meta refuses a text of white space only.",
			on:  "text", at: "body", check: notEmpty, source: messagesPage},
		{id: "media-one-of",
			doc: "A file is given by the id of an upload or by a link, and not by both.",
			on:  fileTypes, check: exactlyOne("id", "link"), hint: "give either the id of an uploaded file or a link to it", source: messagesPage},
		{id: "location-latitude",
			doc: "Degrees north lie between -90 and 90. Numbers, and texts that hold one, are taken.",
			on:  "location", at: "latitude", check: between(-90, 90, "degrees"), source: messagesPage},
		{id: "location-longitude",
			doc: "Degrees east lie between -180 and 180. Numbers, and texts that hold one, are taken.",
			on:  "location", at: "longitude", check: between(-180, 180, "degrees"), source: messagesPage},
		{id: "location-address",
			doc: "WhatsApp shows the address of a location only below its name.",
			on:  "location", check: addressNeedsName, warning: true, source: messagesPage},
		{id: "contact-name-alone",
			doc: "An older reference wants one more part of the name beside formatted_name; the current one does not.",
			on:  "contacts", at: "[].name", check: moreName, warning: true, hint: "add first_name or last_name", source: "Messages reference, 2023"},
		{id: "contact-birthday",
			doc: "A birthday is a day of the calendar, written YYYY-MM-DD.",
			on:  "contacts", at: "[].birthday", check: realDate, source: messagesPage},
		{id: "reaction-emoji",
			doc: "A reaction is exactly one emoji. An empty text takes an earlier reaction back.",
			on:  reactionType, at: "emoji", check: oneEmoji, hint: `write one emoji, or "" to take the reaction back`, source: "Messages reference, 2023"},
	}
}

func addressNeedsName(v schema.Value, say report) {
	if at := v.Get("address"); at.Present() && !has(v, "name") {
		say(at, "is not shown, because the location has no name")
	}
}

func moreName(v schema.Value, say report) {
	name, _ := v.Object()
	if len(name) == 1 {
		say(v, "has only formatted_name, which some versions of the API refuse")
	}
}

func realDate(v schema.Value, say report) {
	if text, ok := v.Text(); ok {
		if _, err := time.Parse(time.DateOnly, text); err != nil {
			say(v, "%s is not a day of the calendar", mention(text))
		}
	}
}

// oneEmoji counts what is seen as one sign: joined signs, flags, signs with a colour or
// a keycap count once.
func oneEmoji(v schema.Value, say report) {
	text, ok := v.Text()
	if !ok || text == "" {
		return
	}
	signs, joined, flag, plain := 0, false, false, false
	for _, r := range text {
		isFlag := r >= 0x1F1E6 && r <= 0x1F1FF
		switch {
		case r == 0x200D:
			joined = true
			continue
		case r == 0xFE0F, r == 0xFE0E, r >= 0x1F3FB && r <= 0x1F3FF && signs > 0, r >= 0xE0020 && r <= 0xE007F:
			continue
		case r == 0x20E3:
			plain = false // a keycap: the digit before it is part of an emoji
			continue
		case isFlag && flag:
			flag = false
			continue
		case !joined:
			signs++
		}
		joined, flag = false, isFlag
		plain = plain || r < 0x80 || r >= 0xC0 && r < 0x2000
	}
	if signs != 1 || plain {
		say(v, "%s is not one emoji", strconv.Quote(text))
	}
}
