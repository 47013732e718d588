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
		{id: "sender-phone-id", at: "sender_phone_id", check: isID, hint: senderHint, source: messagesPage},
		{id: "reaction-no-reply", check: noReplyReaction, hint: "leave reply_to out: the reaction names its message itself", source: messagesPage},
		{id: "fallback-useless", check: uselessFallback, warning: true, hint: "leave fallback out: a template may be sent at any time", source: messagesPage},
		{id: "reply-to-padding", at: "reply_to", check: noPadding, source: messagesPage},
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
		{id: "text-body-blank", on: "text", at: "body", check: notEmpty, source: messagesPage},
		{id: "media-one-of", on: fileTypes, check: exactlyOne("id", "link"), hint: "give either the id of an uploaded file or a link to it", source: messagesPage},
		{id: "location-latitude", on: "location", at: "latitude", check: between(-90, 90, "degrees"), source: messagesPage},
		{id: "location-longitude", on: "location", at: "longitude", check: between(-180, 180, "degrees"), source: messagesPage},
		{id: "location-address", on: "location", check: addressNeedsName, warning: true, source: messagesPage},
		{id: "contact-name-alone", on: "contacts", at: "[].name", check: moreName, warning: true, hint: "add first_name or last_name", source: "Messages reference, 2023"},
		{id: "contact-birthday", on: "contacts", at: "[].birthday", check: realDate, source: messagesPage},
		{id: "reaction-emoji", on: reactionType, at: "emoji", check: oneEmoji, hint: `write one emoji, or "" to take the reaction back`, source: "Messages reference, 2023"},
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
