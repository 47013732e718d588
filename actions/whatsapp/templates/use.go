package templates

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"facteur/actions/whatsapp/graph"
	"facteur/flow/schema"
)

// An Input is what a flow has to be given to send a template.
type Input struct {
	Name    string
	Type    string // string, integer, number, object
	Format  string // uri, ""
	Doc     string
	Example any // a text, a number, an object
}

// Expression is how a flow reads the input.
func (in Input) Expression() string { return "${inputs." + in.Name + "}" }

// Use gives the components of a message that sends the template, filled in from inputs,
// and these inputs. What a message may leave out is left out.
func (d *Definition) Use() (components []any, inputs []Input) {
	u := messageBuilder{template: d, named: d.named(), examples: map[string]string{}}
	u.readExamples(schema.NewValue(d.Components, nil))
	components = u.components(d.shape, "")
	return components, u.inputs
}

type object = map[string]any

type messageBuilder struct {
	template *Definition
	named    bool
	examples map[string]string // by part and place
	inputs   []Input
}

// readExamples reads the examples that the template was approved with.
func (u *messageBuilder) readExamples(components schema.Value) {
	for _, c := range graph.Many(components) {
		part := strings.ToLower(graph.Word(c.Get("type")))
		example := c.Get("example")
		list := example.Get(part + "_text")
		if first := list.Index(0); len(first.Items()) > 0 {
			list = first // one example of all places
		}
		for i, text := range list.Items() {
			u.examples[fmt.Sprintf("%s_%d", part, i+1)] = graph.Word(text)
		}
		for _, p := range graph.Many(example.Get(part + "_text_named_params")) {
			u.examples[part+"_"+graph.Word(p.Get("param_name"))] = graph.Word(p.Get("example"))
		}
	}
}

// input declares an input, once, and gives the expression that reads it.
func (u *messageBuilder) input(in Input) string {
	if !slices.ContainsFunc(u.inputs, func(known Input) bool { return known.Name == in.Name }) {
		u.inputs = append(u.inputs, in)
	}
	return in.Expression()
}

func (u *messageBuilder) components(s templateShape, prefix string) []any {
	var components []any
	add := func(kind string, component object) {
		component["type"] = kind
		components = append(components, component)
	}
	if len(s.title) > 0 {
		add("header", object{"parameters": u.texts("header", prefix, s.title)})
	} else if s.header != "" && s.header != "TEXT" {
		add("header", object{"parameters": []any{u.media(s.header, prefix)}})
	}
	if len(s.body) > 0 {
		add("body", object{"parameters": u.texts("body", prefix, s.body)})
	}
	if s.offer {
		ends := u.input(Input{Name: "offer_ends_ms", Type: "integer", Doc: "when the offer ends, in milliseconds since 1970", Example: int64(1893456000000)})
		add("limited_time_offer", object{"parameters": []any{object{"type": "limited_time_offer", "limited_time_offer": object{"expiration_time_ms": ends}}}})
	}
	if len(s.cards) > 0 {
		var cards []any
		for i, card := range s.cards {
			cards = append(cards, object{"card_index": int64(i), "components": u.components(card, fmt.Sprintf("card_%d_", i))})
		}
		add("carousel", object{"cards": cards})
	}
	for i, b := range s.buttons {
		if b.needsParameter() {
			form := buttonForms()[b.kind]
			parameter := u.button(b, form.parameter, fmt.Sprintf("%sbutton_%d", prefix, i))
			add("button", object{"sub_type": form.subType, "index": int64(i), "parameters": []any{parameter}})
		}
	}
	return components
}

func (u *messageBuilder) isCode() bool { return u.template.Category == "AUTHENTICATION" }

func (u *messageBuilder) code() string {
	return u.input(Input{Name: "code", Type: "string", Doc: "the one-time code, up to 15 characters", Example: "123456"})
}

func (u *messageBuilder) texts(part, prefix string, places []string) (parameters []any) {
	for _, place := range places {
		p := object{"type": "text"}
		if u.named {
			p["parameter_name"] = place
		}
		if u.isCode() {
			p["text"] = u.code()
			parameters = append(parameters, p)
			continue
		}
		name := part + "_" + strings.ToLower(place)
		example := cmp.Or(u.examples[part+"_"+place], "example "+place)
		in := Input{Name: prefix + name, Type: "string", Doc: fmt.Sprintf("%s in the %s", place, part), Example: strings.Join(strings.Fields(example), " ")}
		p["text"] = u.input(in)
		parameters = append(parameters, p)
	}
	return parameters
}

func (u *messageBuilder) media(format, prefix string) object {
	kind := strings.ToLower(format)
	switch format {
	case "LOCATION":
		place := object{}
		for _, f := range [...]Input{
			{Name: "latitude", Type: "number", Doc: "degrees north", Example: 48.8584},
			{Name: "longitude", Type: "number", Doc: "degrees east", Example: 2.2945},
			{Name: "name", Type: "string", Doc: "the name of the place", Example: "Tour Eiffel"},
			{Name: "address", Type: "string", Doc: "its address", Example: "5 avenue Anatole France, Paris"},
		} {
			field := f.Name
			f.Name = prefix + "header_" + f.Name
			place[field] = u.input(f)
		}
		return object{"type": kind, "location": place}
	case "PRODUCT":
		id := u.input(Input{Name: prefix + "header_product", Type: "string", Doc: "the product's SKU", Example: "sku-1"})
		catalog := u.input(Input{Name: "catalog_id", Type: "string", Doc: "the catalogue's ID", Example: "194836987003835"})
		return object{"type": kind, "product": object{"product_retailer_id": id, "catalog_id": catalog}}
	}
	ending := map[string]string{"image": "jpg", "video": "mp4", "gif": "mp4", "document": "pdf"}[kind]
	link := u.input(Input{Name: prefix + "header_" + kind, Type: "string", Format: "uri", Doc: "a public address of the " + kind, Example: "https://cdn.shop.test/example." + ending})
	return object{"type": kind, kind: object{"link": link}}
}

func (u *messageBuilder) button(b buttonShape, parameter, name string) object {
	switch {
	case u.isCode():
		return object{"type": "text", "text": u.code()}
	case parameter == "text":
		return object{"type": "text", "text": u.input(Input{Name: name, Type: "string", Doc: "the end of the address that the button opens", Example: "example"})}
	case parameter == "coupon_code":
		return object{"type": "coupon_code", "coupon_code": u.input(Input{Name: name, Type: "string", Doc: "the coupon, letters and digits, up to 20", Example: "WELCOME10"})}
	case b.kind == "MPM":
		id := u.input(Input{Name: name + "_product", Type: "string", Doc: "the SKU of the product that is shown", Example: "sku-1"})
		return object{"type": "action", "action": object{
			"thumbnail_product_retailer_id": id,
			"sections":                      []any{object{"title": "Products", "product_items": []any{object{"product_retailer_id": id}}}},
		}}
	}
	return object{"type": "action", "action": u.input(Input{Name: name + "_action", Type: "object", Doc: "the action of the button, in Meta's form", Example: actionExample(b.kind)})}
}

// actionExample is a payment, or an order of one thing.
func actionExample(kind string) object {
	if kind == "PAYMENT_REQUEST" {
		return object{"payment_request": object{"payment_setting": object{"type": "payment_link", "payment_link": object{"uri": "https://pay.shop.test/1"}}}}
	}
	amount := func(value int64) object { return object{"value": value, "offset": int64(100)} }
	return object{"order_details": object{
		"reference_id": "order-1", "type": "digital-goods", "payment_type": "upi", "payment_configuration": "shop", "currency": "INR",
		"total_amount": amount(10000),
		"order": object{"status": "pending", "subtotal": amount(10000), "tax": amount(0),
			"items": []any{object{"retailer_id": "sku-1", "name": "Example", "amount": amount(10000), "quantity": int64(1)}}},
	}}
}

// Fill gives a value with the examples of inputs in the place of their expressions.
func Fill(v any, inputs []Input) any {
	return schema.EachLeaf(v, func(v any) any {
		if i := slices.IndexFunc(inputs, func(in Input) bool { return v == in.Expression() }); i >= 0 {
			return inputs[i].Example
		}
		return v
	})
}
