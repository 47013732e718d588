package whatsapp

import (
	"slices"
	"strings"

	"facteur/flow/schema"
)

func productRules() []rule {
	const page = "Cloud API, product messages"
	product, list := kinds("product"), kinds("product_list")
	return []rule{
		{id: "catalog-id",
			doc: "A product message must name its catalogue.",
			on:  product + " " + list, at: "action.catalog_id", limit: length(1, 0), source: page},
		productID(product, "action.product_retailer_id"),
		productID(list, "action.sections[].product_items[].product_retailer_id"),
		productID(kinds("carousel"), "action.cards[].action.product_retailer_id"),
		productID(kinds("catalog_message"), "action.parameters.thumbnail_product_retailer_id"),
		{id: "products-sections",
			doc: "A product list has 1 to 10 sections.",
			on:  list, at: "action.sections", limit: items(1, 10), source: page},
		{id: "products-section-items",
			doc: "Each section of a product list needs at least one product.",
			on:  list, at: "action.sections[].product_items", limit: items(1, 0), source: page},
		{id: "products-total",
			doc: "A product list has at most thirty products across all its sections.",
			on:  list, at: "action.sections", check: maxTotal(30, "product_items", "products"), source: page},
	}
}

func productID(on, at string) rule {
	return rule{id: "product-id", doc: "The id of a product has 1 to 100 characters.",
		on: on, at: at, limit: length(1, 100), source: "On-Premises reference, 2023"}
}

func orderRules() []rule {
	const page = "Cloud API, payments"
	order, status := kinds("order_details"), kinds("order_status")
	reference := both(length(1, 60), pattern(`^[A-Za-z0-9_.-]*$`))
	amounts := "action.parameters.total_amount action.parameters.order.subtotal action.parameters.order.tax action.parameters.order.shipping action.parameters.order.discount action.parameters.order.items[].amount action.parameters.order.items[].sale_amount"
	return []rule{
		{id: "order-reference",
			doc: "The reference_id of an order has 1 to 60 characters: letters, digits, _, . and -.",
			on:  order + " " + status, at: "action.parameters.reference_id", limit: reference, source: page},
		{id: "order-reference-india",
			doc: "In India the reference_id of an order has at most 35 characters.",
			on:  order, at: "action.parameters", check: shortReference, source: page},
		{id: "order-type",
			doc: "The type of an order is digital-goods or physical-goods.",
			on:  order, at: "action.parameters.type", limit: oneOf("digital-goods", "physical-goods"), source: page},
		{id: "order-currency",
			doc: "Orders can be paid only in India (INR) and Brazil (BRL).",
			on:  order, at: "action.parameters.currency", limit: oneOf("INR", "BRL"), source: page},
		{id: "order-amount",
			doc: "An amount must not be negative.",
			on:  order, at: subpaths(amounts, "value"), limit: atLeast(0), source: page},
		{id: "order-offset",
			doc: "Amounts are given in hundredths: the offset must be 100.",
			on:  order, at: subpaths(amounts, "offset"), limit: oneOf(int64(100)), source: page},
		{id: "order-total",
			doc: "total_amount must be subtotal plus tax plus shipping minus discount.",
			on:  order, at: "action.parameters", check: rightTotal, source: page},
		{id: "order-items",
			doc: "An order needs at least one item.",
			on:  order, at: "action.parameters.order.items", limit: items(1, 0), source: page},
		{id: "order-item-name",
			doc: "The name of an item has 1 to 60 characters.",
			on:  order, at: "action.parameters.order.items[].name", limit: length(1, 60), source: page},
		{id: "order-item-quantity",
			doc: "The quantity of an item is at least 1.",
			on:  order, at: "action.parameters.order.items[].quantity", limit: atLeast(1), source: page},
		{id: "order-description",
			doc: "The description of a tax, of shipping or of a discount has at most 60 characters.",
			on:  order, at: subpaths("action.parameters.order.tax action.parameters.order.shipping action.parameters.order.discount", "description", "discount_program_name"), limit: length(0, 60), source: page},
		{id: "order-expiration",
			doc: "The time at which an order expires is text: the seconds since 1970.",
			on:  order, at: "action.parameters.order.expiration.timestamp", limit: pattern(`^\d+$`), hint: "write the seconds since 1970, in quotes", source: page},
		{id: "order-expiration-description",
			doc: "The description of an order's expiration has at most 120 characters.",
			on:  order, at: "action.parameters.order.expiration.description", limit: length(0, 120), source: page},
		{id: "order-status",
			doc: "The status of an order is pending, processing, partially_shipped, shipped, completed or canceled.",
			on:  status, at: "action.parameters.order.status", limit: oneOf("pending", "processing", "partially_shipped", "shipped", "completed", "canceled"), source: page},
		{id: "order-status-description",
			doc: "The description of an order's status has at most 120 characters.",
			on:  status, at: "action.parameters.order.description", limit: length(0, 120), source: page},
	}
}

func shortReference(v schema.Value, report reporter) {
	if currency, _ := textOf(v, "currency"); currency == "INR" {
		atMost(35)(v.Get("reference_id"), report)
	}
}

func rightTotal(v schema.Value, report reporter) {
	order := v.Get("order")
	total, ok := v.Get("total_amount", "value").Number()
	sum, known := order.Get("subtotal", "value").Number()
	if !ok || !known || !order.Present() {
		return
	}
	for name, sign := range map[string]float64{"tax": 1, "shipping": 1, "discount": -1} {
		n, _ := order.Get(name, "value").Number()
		sum += sign * n
	}
	if total != sum {
		report(v.Get("total_amount", "value"), "is %v, but subtotal + tax + shipping - discount is %v", int64(total), int64(sum))
	}
}

func carouselRules() []rule {
	const page = "Cloud API, interactive media carousel messages"
	carousel := kinds("carousel")
	return []rule{
		{id: "carousel-cards",
			doc: "A carousel has 2 to 10 cards.",
			on:  carousel, at: "action.cards", limit: items(2, 10), source: page},
		{id: "card-index",
			doc: "The index of a card is 0 to 9.",
			on:  carousel, at: "action.cards[].card_index", limit: within(0, 9), source: page},
		{id: "card-index-unique",
			doc: "Each card needs a different index.",
			on:  carousel, at: "action.cards", check: unique("card_index"), source: page},
		{id: "card-type",
			doc: "A card shows a product, or an image or video with buttons or an address.",
			on:  carousel, at: "action.cards[].type", limit: oneOf("cta_url", "product", "quick_reply", "button"), source: page},
		{id: "card-type-same",
			doc: "All cards of a carousel must have the same type.",
			on:  carousel, at: "action.cards", check: allEqual("the type of cards", "type"), source: page},
		{id: "card-header",
			doc: "A card without a product needs a header of type image or video.",
			on:  carousel, at: "action.cards[]", check: cardHeader, source: page},
		{id: "card-header-type",
			doc: "The header of a card is an image or a video.",
			on:  carousel, at: "action.cards[].header.type", limit: oneOf("image", "video"), source: page},
		{id: "card-header-same",
			doc: "The headers of all cards must have the same type: image or video.",
			on:  carousel, at: "action.cards", check: allEqual("the type of the header", "header", "type"), source: page},
		{id: "card-header-field",
			doc: "A header must have the field named by its type, and no other: type image needs image.",
			on:  carousel, at: "action.cards[].header", check: fieldOfType(headerTypes), source: page},
		{id: "card-header-media",
			doc: "Give the file in the header of a card by the id of an uploaded file or by a link.",
			on:  carousel, at: "action.cards[].header.image action.cards[].header.video", check: exactlyOne("id", "link"), source: page},
		{id: "card-body",
			doc: "The text of a card has 1 to 160 characters.",
			on:  carousel, at: "action.cards[].body.text", limit: length(1, 160), source: page},
		{id: "card-body-lines",
			doc: "The text of a card has at most two line breaks.",
			on:  carousel, at: "action.cards[].body.text", check: twoBreaks, source: page},
		{id: "card-action",
			doc: "A card needs the action for its type: name and parameters for an address, buttons for replies, catalog_id and product_retailer_id for a product.",
			on:  carousel, at: "action.cards[]", check: cardAction, source: page},
		{id: "card-action-name",
			doc: "The action of a card with an address must be named cta_url.",
			on:  carousel, at: "action.cards[].action.name", limit: oneOf("cta_url"), source: page},
		{id: "card-display-text",
			doc: "The text of a card's button has 1 to 20 characters.",
			on:  carousel, at: "action.cards[].action.parameters.display_text", limit: length(1, 20), source: page},
		webAddress(rule{id: "card-url",
			doc: "The address of a card starts with http:// or https://.",
			on:  carousel, at: "action.cards[].action.parameters.url", source: page}),
		{id: "card-buttons",
			doc: "A card has 1 to 3 buttons.",
			on:  carousel, at: "action.cards[].action.buttons", limit: items(1, 3), source: page},
		{id: "card-button-type",
			doc: "The buttons of a card must have the type quick_reply.",
			on:  carousel, at: "action.cards[].action.buttons[].type", limit: oneOf("quick_reply"), source: page},
		{id: "card-button-id",
			doc: "The id of a button on a card has 1 to 256 characters.",
			on:  carousel, at: "action.cards[].action.buttons[].quick_reply.id", limit: length(1, 256), source: page},
		{id: "card-button-title",
			doc: "The title of a button on a card has 1 to 20 characters.",
			on:  carousel, at: "action.cards[].action.buttons[].quick_reply.title", limit: length(1, 20), source: page},
		{id: "card-buttons-same",
			doc: "All cards must have the same kind and the same number of buttons.",
			on:  carousel, at: "action.cards", check: sameButtons, source: page},
		{id: "card-catalog",
			doc: "The catalog_id of a card must not be empty.",
			on:  carousel, at: "action.cards[].action.catalog_id", limit: length(1, 0), source: page},
		{id: "card-catalog-same",
			doc: "The products of all cards must come from the same catalogue.",
			on:  carousel, at: "action.cards", check: allEqual("the catalogue", "action", "catalog_id"), source: page},
	}
}

func twoBreaks(v schema.Value, report reporter) {
	if text, ok := v.Text(); ok && strings.Count(text, "\n") > 2 {
		report(v, "has %d line breaks, at most 2 are allowed", strings.Count(text, "\n"))
	}
}

func cardHeader(v schema.Value, report reporter) {
	kind, ok := textOf(v, "type")
	switch {
	case !ok:
	case kind != "product" && !has(v, "header"):
		report(v, "has no header: an image or a video")
	case kind == "product" && has(v, "header"):
		report(v.Get("header"), "a card with a product must not have a header")
	}
}

// cardAction demands that the action of a card has the fields of its type, and no others.
func cardAction(v schema.Value, report reporter) {
	kind, ok := textOf(v, "type")
	action, known := v.Get("action").Object()
	if !ok || !known {
		return
	}
	var want []string
	switch _, buttons := action["buttons"]; {
	case kind == "product":
		want = []string{"catalog_id", "product_retailer_id"}
	case kind == "quick_reply" || kind == "button" || kind == "cta_url" && buttons:
		want = []string{"buttons"}
	case kind == "cta_url":
		want = []string{"name", "parameters"}
	default:
		return
	}
	for _, name := range want {
		if _, there := action[name]; !there {
			report(v.Get("action"), "the card is of type %s but its action has no %q", kind, name)
		}
	}
	for _, name := range v.Get("action").Keys() {
		if !slices.Contains(want, name) {
			report(v.Get("action", name), "does not belong to a card of type %s", kind)
		}
	}
}

func sameButtons(v schema.Value, report reporter) {
	first := -1
	for _, card := range v.Items() {
		at := card.Get("action", "buttons")
		n, ok := at.Len()
		if !has(card.Get("action"), "buttons") {
			kind, _ := textOf(card, "type")
			at, n, ok = card.Get("action"), 0, kind == "cta_url"
		}
		switch {
		case !ok:
		case first < 0:
			first = n
		case n != first && (n == 0 || first == 0):
			report(at, "one card opens an address and another has reply buttons: all cards must have the same kind of button")
		case n != first:
			report(at, "has %d buttons, but the first card has %d: all cards must have the same number", n, first)
		}
	}
}
