package whatsapp

// A ProductAction shows one product.
type ProductAction struct {
	CatalogID         string `json:"catalog_id" schema:"required" doc:"the catalogue"`
	ProductRetailerID string `json:"product_retailer_id" schema:"required" doc:"the product's SKU"`
}

// A ProductListAction shows products in sections.
type ProductListAction struct {
	CatalogID string           `json:"catalog_id" schema:"required" doc:"the catalogue"`
	Sections  []ProductSection `json:"sections" schema:"required" doc:"1 to 10 sections, with 30 products in all"`
}

// A ProductSection is a group of products.
type ProductSection struct {
	Title        string        `json:"title,omitempty" doc:"up to 24 characters; required with more than one section"`
	ProductItems []ProductItem `json:"product_items" schema:"required" doc:"1 to 30 products"`
}

// A ProductItem is a product of a section.
type ProductItem struct {
	ProductRetailerID string `json:"product_retailer_id" schema:"required" doc:"the product's SKU"`
}

// A CatalogAction shows the catalogue.
type CatalogAction struct {
	Name       string             `json:"name" schema:"required" doc:"always catalog_message"`
	Parameters *CatalogParameters `json:"parameters,omitempty"`
}

// CatalogParameters choose the picture.
type CatalogParameters struct {
	ThumbnailProductRetailerID string `json:"thumbnail_product_retailer_id,omitempty" doc:"the product whose picture is shown"`
}

// A CarouselAction shows cards side by side.
type CarouselAction struct {
	Cards []Card `json:"cards" schema:"required" doc:"2 to 10 cards, all of one kind"`
}

// A Card is one card of a carousel.
type Card struct {
	CardIndex int64              `json:"card_index" schema:"required" doc:"its place, from 0"`
	Type      string             `json:"type" schema:"required" doc:"what can be done with it; the same on all cards"`
	Header    *InteractiveHeader `json:"header,omitempty" doc:"image or video, the same kind on all cards"`
	Body      *CardBody          `json:"body,omitempty"`
	Action    CardAction         `json:"action" schema:"required"`
}

// A CardBody is the text of a card.
type CardBody struct {
	Text string `json:"text" schema:"required" doc:"up to 160 characters and two line breaks"`
}

// A CardAction is what can be done with a card.
type CardAction struct {
	Name              string         `json:"name,omitempty" doc:"of a cta_url card"`
	Parameters        *URLParameters `json:"parameters,omitempty" doc:"of a cta_url card"`
	CatalogID         string         `json:"catalog_id,omitempty" doc:"of a product card; the same on all cards"`
	ProductRetailerID string         `json:"product_retailer_id,omitempty" doc:"of a product card"`
	Buttons           []CardButton   `json:"buttons,omitempty" doc:"of a quick_reply card; as many on all cards"`
}

// A CardButton is a button of a card.
type CardButton struct {
	Type       string `json:"type" schema:"required" doc:"always quick_reply"`
	QuickReply Reply  `json:"quick_reply" schema:"required" doc:"what it says and sends back"`
}

// An OrderDetailsAction asks for a payment, in India and Brazil.
type OrderDetailsAction struct {
	Name       string                 `json:"name" schema:"required" doc:"always review_and_pay"`
	Parameters OrderDetailsParameters `json:"parameters" schema:"required"`
}

// OrderDetailsParameters are the order. What depends on the way of payment is open.
type OrderDetailsParameters struct {
	ReferenceID          string           `json:"reference_id" schema:"required" doc:"your number of the order, unique; 35 characters in India, 60 in Brazil"`
	Type                 string           `json:"type" schema:"required" doc:"what is sold"`
	Currency             string           `json:"currency" schema:"required" doc:"INR or BRL"`
	TotalAmount          Amount           `json:"total_amount" schema:"required" doc:"subtotal + tax + shipping - discount"`
	Order                *Order           `json:"order,omitempty" doc:"what is paid for; required in India"`
	PaymentType          string           `json:"payment_type,omitempty"`
	PaymentConfiguration string           `json:"payment_configuration,omitempty"`
	PaymentSettings      []map[string]any `json:"payment_settings,omitempty"`
	Beneficiaries        []map[string]any `json:"beneficiaries,omitempty"`
}

// An Amount is money: value / offset.
type Amount struct {
	Value       int64  `json:"value" schema:"required" doc:"the amount times offset"`
	Offset      int64  `json:"offset" schema:"required" doc:"always 100"`
	Description string `json:"description,omitempty"`
	Name        string `json:"discount_program_name,omitempty"`
}

// An Order is what is paid for.
type Order struct {
	Status     string      `json:"status" schema:"required" doc:"pending"`
	CatalogID  string      `json:"catalog_id,omitempty"`
	Expiration *Expiration `json:"expiration,omitempty"`
	Items      []OrderItem `json:"items" schema:"required"`
	Subtotal   Amount      `json:"subtotal" schema:"required"`
	Tax        *Amount     `json:"tax,omitempty"`
	Shipping   *Amount     `json:"shipping,omitempty"`
	Discount   *Amount     `json:"discount,omitempty"`
}

// An Expiration is when an order ends.
type Expiration struct {
	Timestamp   string `json:"timestamp" schema:"required" doc:"seconds since 1970, as a text, 300 seconds ahead at least"`
	Description string `json:"description" schema:"required"`
}

// An OrderItem is one thing of an order.
type OrderItem struct {
	RetailerID      string         `json:"retailer_id,omitempty"`
	Name            string         `json:"name" schema:"required"`
	Amount          Amount         `json:"amount" schema:"required"`
	Quantity        int64          `json:"quantity" schema:"required"`
	SaleAmount      *Amount        `json:"sale_amount,omitempty"`
	Image           *Media         `json:"image,omitempty"`
	CountryOfOrigin string         `json:"country_of_origin,omitempty"`
	ImporterName    string         `json:"importer_name,omitempty"`
	ImporterAddress map[string]any `json:"importer_address,omitempty"`
}

// An OrderStatusAction tells how an order goes on.
type OrderStatusAction struct {
	Name       string                `json:"name" schema:"required" doc:"always review_order"`
	Parameters OrderStatusParameters `json:"parameters" schema:"required"`
}

// OrderStatusParameters say which order, and its state.
type OrderStatusParameters struct {
	ReferenceID string      `json:"reference_id" schema:"required" doc:"the order, as in its order_details"`
	Order       *OrderState `json:"order,omitempty" doc:"its new state; required in India"`
	Payment     *OrderPayed `json:"payment,omitempty"`
}

// An OrderState is the state of an order.
type OrderState struct {
	Status      string `json:"status" schema:"required"`
	Description string `json:"description,omitempty"`
}

// An OrderPayed tells whether an order is paid.
type OrderPayed struct {
	Status    string `json:"status" schema:"required"`
	Timestamp int64  `json:"timestamp,omitempty"`
}
