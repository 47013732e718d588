package whatsapp

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"facteur/flow/schema"
)

const (
	textPage  = "Cloud API, text messages"
	mediaPage = "Cloud API, media messages"
	fileTypes = "audio document image sticker video"
)

func textRules() []rule {
	return []rule{
		{id: "text-body",
			doc: "A text message has 1 to 4096 characters.",
			on:  "text", at: "body", limit: length(1, 4096), source: textPage},
		{id: "text-body-blank",
			doc: "Meta refuses a text that contains only white space.",
			on:  "text", at: "body", check: notBlank, source: textPage},
	}
}

func mediaRules() []rule {
	return []rule{
		{id: "media-one-of",
			doc: "Give a file by the id of an uploaded file or by a link, but not by both.",
			on:  fileTypes, check: exactlyOne("id", "link"), hint: "give either the id of an uploaded file or a link to it", source: mediaPage},
		{id: "media-id",
			doc: "The id of an uploaded file must not be empty.",
			on:  fileTypes, at: "id", limit: length(1, 0), source: mediaPage},
		webAddress(rule{id: "media-link",
			doc: "A link is an address that starts with http:// or https://.",
			on:  fileTypes, at: "link", source: mediaPage}),
		{id: "media-caption",
			doc: "The caption of an image, a video or a document has at most 1024 characters.",
			on:  "image video document", at: "caption", limit: length(0, 1024), hint: "send the rest as a text message", source: mediaPage},
		{id: "document-filename",
			doc: "The file name of a document must not be empty; its extension determines the icon.",
			on:  "document", at: "filename", limit: length(1, 0), source: mediaPage},
		extensionRule("audio"), extensionRule("image"), extensionRule("sticker"), extensionRule("video"),
		{id: "audio-voice",
			doc: "A voice note must be an OGG file with the OPUS codec.",
			on:  "audio", check: voiceIsOgg, warning: true, hint: "leave voice out, or convert the file", source: "Cloud API, audio messages"},
		{id: "location-latitude",
			doc: "The latitude must be between -90 and 90 degrees: a number, or text that contains one.",
			on:  "location", at: "latitude", check: degrees(-90, 90), hint: "write degrees such as 48.8566", source: messagesPage},
		{id: "location-longitude",
			doc: "The longitude must be between -180 and 180 degrees: a number, or text that contains one.",
			on:  "location", at: "longitude", check: degrees(-180, 180), hint: "write degrees such as 2.3522", source: messagesPage},
		{id: "location-name",
			doc: "An older reference requires the name and address of a location; the current page does not.",
			on:  "location", check: locationNamed, warning: true, hint: "add name and address", source: oldReference},
		{id: "location-address",
			doc: "WhatsApp shows the address of a location only below its name.",
			on:  "location", check: addressNeedsName, warning: true, hint: "add a name", source: "Cloud API, location messages"},
		{id: "reaction-message-id",
			doc: "A reaction names its message by the id (wamid), which has at most 128 characters.",
			on:  reactionType, at: "message_id", limit: length(1, 128), source: "Cloud API, reaction messages"},
		{id: "reaction-emoji",
			doc: "A reaction is exactly one emoji. Empty text removes an earlier reaction.",
			on:  reactionType, at: "emoji", check: oneEmoji, hint: `write one emoji, or "" to remove the reaction`, source: oldReference},
	}
}

// extensionRule returns the same rule for each type of file. Documents may be anything.
func extensionRule(kind string) rule {
	return rule{id: "media-extension",
		doc: "Meta refuses a file whose content type does not match the message type (131053); the extension in this link belongs to another type.",
		on:  kind, check: rightKind(kind), warning: true, hint: "change the message type, or convert the file", source: mediaPage}
}

func contactRules() []rule {
	const contacts, page = "contacts", "Cloud API, contacts messages"
	return []rule{
		{id: "contacts-count",
			doc: "A message has 1 to 257 contacts. Meta's OpenAPI description says 5.",
			on:  contacts, limit: items(1, 257), source: page},
		{id: "contact-formatted-name",
			doc: "Each contact needs a formatted_name.",
			on:  contacts, at: "[].name.formatted_name", limit: length(1, 0), source: page},
		{id: "contact-name-alone",
			doc: "An older reference requires another part of the name besides formatted_name; the current one does not.",
			on:  contacts, at: "[].name", check: nameHasPart, warning: true, hint: "add first_name or last_name", source: oldReference},
		{id: "contact-birthday",
			doc: "A birthday must be a date in the calendar, written YYYY-MM-DD.",
			on:  contacts, at: "[].birthday", check: realDate, hint: "write a date such as 1990-12-31", source: page},
		{id: "contact-country-code",
			doc: "The country code of an address has two letters (ISO 3166).",
			on:  contacts, at: "[].addresses[].country_code", limit: pattern(`^[A-Za-z]{2}$`), hint: "write two letters, such as FR", source: oldReference},
	}
}

// extension returns the extension of a URL's path in lower case, "" for none.
func extension(link string) string {
	link, _, _ = strings.Cut(link, "?")
	link, _, _ = strings.Cut(link, "#")
	if _, after, ok := strings.Cut(link, "://"); !ok || !strings.Contains(after, "/") {
		return "" // a host without a path
	}
	return strings.ToLower(path.Ext(link))
}

// kindOfExtension returns the message type that the extension of a link suggests, "" for none.
func kindOfExtension(link string) string {
	switch extension(link) {
	case ".jpg", ".jpeg", ".png":
		return "image"
	case ".webp":
		return "sticker"
	case ".mp4", ".3gp", ".3gpp":
		return "video"
	case ".aac", ".amr", ".mp3", ".m4a", ".ogg", ".opus":
		return "audio"
	case ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".txt", ".csv":
		return "document"
	}
	return ""
}

// rightKind demands that the extension of a link, if known, is of the message's type.
func rightKind(kind string) func(schema.Value, reporter) {
	return func(v schema.Value, report reporter) {
		link, ok := textOf(v, "link")
		found := kindOfExtension(link)
		if ok && found != "" && found != kind && (kind != "audio" || found != "video") { // an MP4 may be either
			report(v.Get("link"), "has the extension of %s, but is sent as %s", article(found), article(kind))
		}
	}
}

func article(noun string) string {
	if strings.ContainsAny(noun[:1], "aeiou") {
		return "an " + noun
	}
	return "a " + noun
}

func voiceIsOgg(v schema.Value, report reporter) {
	link, ok := textOf(v, "link")
	if voice, _ := v.Get("voice").Bool(); ok && voice && kindOfExtension(link) != "" && !slices.Contains([]string{".ogg", ".opus"}, extension(link)) {
		report(v.Get("link"), "is not an OGG file, so it cannot be a voice note")
	}
}

func locationNamed(v schema.Value, report reporter) {
	if !has(v, "name") && !has(v, "address") {
		report(v, "has neither name nor address, which some versions of the API require")
	} else if !has(v, "address") {
		report(v, "has no address, which some versions of the API require")
	}
}

func addressNeedsName(v schema.Value, report reporter) {
	if at := v.Get("address"); at.Present() && !has(v, "name") {
		report(at, "is not shown, because the location has no name")
	}
}

func nameHasPart(v schema.Value, report reporter) {
	name, _ := v.Object()
	if _, ok := name["formatted_name"]; ok && len(name) == 1 {
		report(v, "has only formatted_name, which some versions of the API refuse")
	}
}

// oneEmoji counts visible emoji: joined sequences, flags, skin tones and keycaps count once.
func oneEmoji(v schema.Value, report reporter) {
	text, ok := v.Text()
	if !ok || text == "" {
		return
	}
	alphabet, joined, flag, plain := 0, false, false, false
	for _, r := range text {
		isFlag := r >= 0x1F1E6 && r <= 0x1F1FF
		switch {
		case r == 0x200D:
			joined = true
			continue
		case r == 0xFE0F, r == 0xFE0E, r >= 0x1F3FB && r <= 0x1F3FF && alphabet > 0, r >= 0xE0020 && r <= 0xE007F:
			continue
		case r == 0x20E3:
			plain = false // a keycap: the digit before it is part of an emoji
			continue
		case isFlag && flag:
			flag = false
			continue
		case !joined:
			alphabet++
		}
		joined, flag = false, isFlag
		plain = plain || r < 0x80 || r >= 0xC0 && r < 0x2000
	}
	if alphabet != 1 || plain {
		report(v, "%s is not one emoji", strconv.Quote(text))
	}
}
