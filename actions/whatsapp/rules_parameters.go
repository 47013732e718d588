package whatsapp

import (
	"strings"

	"facteur/flow/schema"
)

// parameterTypes are the types of a template parameter, each with a field of the same name.
const parameterTypes = "text currency date_time image video gif document location payload action coupon_code" +
	" limited_time_offer product order_details order_status ttl_minutes tap_target_configuration"

// parameterRules are on single parameters of a template.
func parameterRules() []rule {
	media := subpaths(eachParameter, "image", "video", "gif", "document")
	sections := subpaths(eachParameter, "action.sections")
	return []rule{
		{id: "parameter-type",
			doc: "The type of a parameter must be one that Meta documents; it names the field that holds the value.",
			on:  templateType, at: subpaths(eachParameter, "type"), limit: inAnyCase(parameterTypes), source: templatesPage},
		{id: "parameter-field",
			doc: "A parameter must have the field named by its type, and no other: type currency needs currency.",
			on:  templateType, at: eachParameter, check: fieldOfType(parameterTypes), source: templatesPage},
		{id: "parameter-name",
			doc: "The name of a parameter consists of lower-case letters, digits and _.",
			on:  templateType, at: subpaths(eachParameter, "parameter_name"), limit: both(length(1, 0), pattern(templateName)), hint: "use lower-case letters, digits and _", source: templatesPage},
		{id: "parameter-names",
			doc: "A template names either all its parameters or none; each name may occur only once in each part.",
			on:  templateType, at: parameterList, check: allOrNoneNamed, source: templatesPage},
		{id: "parameter-text",
			doc: "Meta refuses texts that are empty or contain a line break, a tab or more than four spaces in a row (132018, 132000, 131008). Meta does not document this.",
			on:  templateType, at: subpaths(eachParameter, "text"), check: oneLine, hint: "give text on one line; in an expression, replace line breaks, and give a default for an empty value", source: observed},
		{id: "parameter-header-length",
			doc: "Text in the header of a template has at most 60 characters.",
			on:  templateType, at: templateParts, check: ofType("type", "header", shortTexts(60)), source: oldReference},
		{id: "parameter-card-length",
			doc: "Text on a card has at most 160 characters.",
			on:  templateType, at: "components[].cards[].components[]", check: ofType("type", "body", shortTexts(160)), source: "Cloud API, carousel templates"},
		{id: "parameter-url-length",
			doc: "The address of a URL button has at most 2000 characters; the parameter is only the end of it.",
			on:  templateType, at: templateParts, check: shortSuffix, source: templatesPage},
		{id: "parameter-currency",
			doc: "A currency code is three capital letters (ISO 4217).",
			on:  templateType, at: subpaths(eachParameter, "currency.code"), limit: pattern(`^[A-Z]{3}$`), hint: "write three capital letters: EUR", source: oldReference},
		{id: "parameter-fallback",
			doc: "A currency or a date needs a fallback_value, which is shown if it cannot be formatted.",
			on:  templateType, at: subpaths(eachParameter, "currency.fallback_value", "date_time.fallback_value"), limit: length(1, 0), source: oldReference},
		{id: "parameter-media",
			doc: "Give a file in a template by the id of an uploaded file or by a link, but not by both.",
			on:  templateType, at: media, check: exactlyOne("id", "link"), hint: "give either the id of an uploaded file or a link to it", source: templatesPage},
		webAddress(rule{id: "parameter-link",
			doc: "The link of a file in a template starts with http:// or https://.",
			on:  templateType, at: subpaths(media, "link"), source: templatesPage}),
		{id: "parameter-document",
			doc: "A document in the header of a template must be a PDF.",
			on:  templateType, at: subpaths(eachParameter, "document"), check: isPDF, warning: true, hint: "send a PDF", source: oldReference},
		{id: "parameter-latitude",
			doc: "The latitude must be between -90 and 90 degrees.",
			on:  templateType, at: subpaths(eachParameter, "location.latitude"), check: degrees(-90, 90), source: templatesPage},
		{id: "parameter-longitude",
			doc: "The longitude must be between -180 and 180 degrees.",
			on:  templateType, at: subpaths(eachParameter, "location.longitude"), check: degrees(-180, 180), source: templatesPage},
		{id: "parameter-payload",
			doc: "The payload of a button has at most 512 characters.",
			on:  templateType, at: subpaths(eachParameter, "payload"), limit: length(0, 512), source: templatesPage},
		{id: "parameter-coupon",
			doc: "A coupon code has 1 to 20 letters and digits; before December 2025 the limit was 15.",
			on:  templateType, at: subpaths(eachParameter, "coupon_code"), limit: both(length(1, 20), pattern(`^[A-Za-z0-9]*$`)), source: "Cloud API, coupon templates"},
		{id: "parameter-offer-end",
			doc: "The end of an offer is given in milliseconds since 1970.",
			on:  templateType, at: subpaths(eachParameter, "limited_time_offer.expiration_time_ms") + " components[].limited_time_offer.expiration_time_ms", limit: atLeast(0), source: "Cloud API, limited-time offer templates"},
		{id: "parameter-offer-seconds",
			doc: "An offer that seems to end in 1970 was probably given in seconds.",
			on:  templateType, at: subpaths(eachParameter, "limited_time_offer.expiration_time_ms") + " components[].limited_time_offer.expiration_time_ms", check: notInSeconds, warning: true, hint: "write milliseconds: multiply by 1000", source: ours},
		{id: "parameter-product",
			doc: "The id of a product has 1 to 100 characters.",
			on:  templateType, at: subpaths(eachParameter, "product.product_retailer_id", "action.thumbnail_product_retailer_id") + " " + subpaths(sections, "[].product_items[].product_retailer_id"), limit: length(1, 100), source: "On-Premises reference, 2023"},
		{id: "parameter-catalog",
			doc: "The catalog_id of a product must not be empty.",
			on:  templateType, at: subpaths(eachParameter, "product.catalog_id"), limit: length(1, 0), source: templatesPage},
		{id: "parameter-sections",
			doc: "The products of a button are listed in 1 to 10 sections.",
			on:  templateType, at: sections, limit: items(1, 10), source: "Cloud API, multi-product templates"},
		{id: "parameter-section-title",
			doc: "The title of a section has 1 to 24 characters.",
			on:  templateType, at: subpaths(sections, "[].title"), limit: length(1, 24), source: "Cloud API, multi-product templates"},
		{id: "parameter-products-total",
			doc: "A button shows at most thirty products across all its sections.",
			on:  templateType, at: sections, check: maxTotal(30, "product_items", "products"), source: "Cloud API, multi-product templates"},
		{id: "parameter-ttl",
			doc: "A call button works for 1 to 43200 minutes (30 days).",
			on:  templateType, at: subpaths(eachParameter, "ttl_minutes"), limit: within(1, 43200), source: "Cloud API, call buttons"},
		webAddress(rule{id: "parameter-tap-url",
			doc: "The address that a tap opens starts with http:// or https://.",
			on:  templateType, at: subpaths(eachParameter, "tap_target_configuration[].url"), source: "Cloud API, tap target"}),
		{id: "parameter-tap-title",
			doc: "A tap target needs a title.",
			on:  templateType, at: subpaths(eachParameter, "tap_target_configuration[].title"), limit: length(1, 0), source: "Cloud API, tap target"},
	}
}

func notInSeconds(v schema.Value, report reporter) {
	const year = 365 * 24 * 3600 * 1000
	if ms, ok := v.Number(); ok && ms > 0 && ms < year {
		report(v, "is a time in 1970 if these are milliseconds")
	}
}

func allOrNoneNamed(v schema.Value, report reporter) {
	list := v.Items()
	named := 0
	for _, p := range list {
		if has(p, "parameter_name") {
			named++
		}
	}
	if named > 0 && named < len(list) {
		report(v, "some have a parameter_name and some do not: a template names all or none")
	}
	if named > 1 {
		unique("parameter_name")(v, report)
	}
}

// shortTexts bounds the texts of a component's parameters.
func shortTexts(most int) func(schema.Value, reporter) {
	return func(v schema.Value, report reporter) {
		if !has(v, "parameters") {
			return
		}
		for _, p := range v.Get("parameters").Items() {
			if p.Field("text").MinLen() > most {
				atMost(most)(p.Get("text"), report)
			}
		}
	}
}

func shortSuffix(v schema.Value, report reporter) {
	if isButton(v, "url") {
		shortTexts(2000)(v, report)
	}
}

func oneLine(v schema.Value, report reporter) {
	fixed := v.FixedParts()
	text := strings.Join(fixed, "…")
	switch {
	case fixed == nil:
	case strings.TrimSpace(text) == "":
		report(v, "is empty, which Meta refuses")
	case strings.ContainsAny(text, "\n\r"):
		report(v, "has a line break, which Meta refuses in parameters")
	case strings.ContainsRune(text, '\t'):
		report(v, "has a tab, which Meta refuses in parameters")
	case strings.Contains(text, "     "):
		report(v, "has more than four spaces in a row, which Meta refuses in parameters")
	}
}

func isPDF(v schema.Value, report reporter) {
	link, ok := textOf(v, "link")
	if ok && kindOfExtension(link) != "" && extension(link) != ".pdf" {
		report(v.Get("link"), "links to something other than a PDF")
	}
}
