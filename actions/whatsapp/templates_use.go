package whatsapp

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"facteur/flow/schema"
)

// A Field is one entry of an Object.
type Field struct {
	Name  string
	Value any // a text, a number, an Object, a list
}

// An Object is an object whose fields have an order, as people write them.
type Object []Field

// A TemplateInput is what a flow has to be given to send a template.
type TemplateInput struct {
	Name    string
	Type    string // string, integer, number, object
	Format  string // uri, ""
	Doc     string
	Example any // a text, a number, an Object
}

// Expression is how a flow reads the input.
func (in TemplateInput) Expression() string { return "${inputs." + in.Name + "}" }

// Use gives the components of a message that sends the template, filled in from inputs,
// and these inputs. What a message may leave out is left out.
func (d *TemplateDefinition) Use() (components []any, inputs []TemplateInput) {
	u := user{template: d, named: d.named(), examples: map[string]string{}}
	u.learn(schema.NewValue(d.Components, nil))
	components = u.parts(d.shape, "")
	return components, u.inputs
}

type user struct {
	template *TemplateDefinition
	named    bool
	examples map[string]string // by part and place
	inputs   []TemplateInput
}

// learn reads the examples that the template was approved with.
func (u *user) learn(components schema.Value) {
	for _, c := range many(components) {
		part := strings.ToLower(word(c.Get("type")))
		example := c.Get("example")
		list := example.Get(part + "_text")
		if first := list.Index(0); len(first.Items()) > 0 {
			list = first // one example of all places
		}
		for i, text := range list.Items() {
			u.examples[fmt.Sprintf("%s_%d", part, i+1)] = word(text)
		}
		for _, p := range many(example.Get(part + "_text_named_params")) {
			u.examples[part+"_"+word(p.Get("param_name"))] = word(p.Get("example"))
		}
	}
}

// input declares an input, once, and gives the expression that reads it.
func (u *user) input(in TemplateInput) string {
	for _, known := range u.inputs {
		if known.Name == in.Name {
			return known.Expression()
		}
	}
	u.inputs = append(u.inputs, in)
	return in.Expression()
}

func (u *user) parts(s templateShape, prefix string) []any {
	var components []any
	add := func(kind string, fields ...Field) {
		components = append(components, append(Object{{"type", kind}}, fields...))
	}
	if len(s.title) > 0 {
		add("header", u.texts("header", prefix, s.title))
	} else if s.header != "" && s.header != "TEXT" {
		add("header", Field{"parameters", []any{u.media(s.header, prefix)}})
	}
	if len(s.body) > 0 {
		add("body", u.texts("body", prefix, s.body))
	}
	if s.offer {
		ends := u.input(TemplateInput{Name: "offer_ends_ms", Type: "integer", Doc: "when the offer ends, in milliseconds since 1970", Example: int64(1893456000000)})
		add("limited_time_offer", Field{"parameters", []any{Object{{"type", "limited_time_offer"}, {"limited_time_offer", Object{{"expiration_time_ms", ends}}}}}})
	}
	if len(s.cards) > 0 {
		var cards []any
		for i, card := range s.cards {
			cards = append(cards, Object{{"card_index", int64(i)}, {"components", u.parts(card, fmt.Sprintf("card_%d_", i))}})
		}
		add("carousel", Field{"cards", cards})
	}
	for i, b := range s.buttons {
		if b.needsParameter() {
			how := b.send()
			add("button", Field{"sub_type", how.subType}, Field{"index", int64(i)}, Field{"parameters", []any{u.button(b, how.parameter, fmt.Sprintf("%sbutton_%d", prefix, i))}})
		}
	}
	return components
}

func (u *user) isCode() bool { return u.template.Category == "AUTHENTICATION" }

func (u *user) code() string {
	return u.input(TemplateInput{Name: "code", Type: "string", Doc: "the one-time code, up to 15 characters", Example: "123456"})
}

func (u *user) texts(part, prefix string, places []string) Field {
	var parameters []any
	for _, place := range places {
		p := Object{{"type", "text"}}
		if u.named {
			p = append(p, Field{"parameter_name", place})
		}
		if u.isCode() {
			parameters = append(parameters, append(p, Field{"text", u.code()}))
			continue
		}
		name := part + "_" + strings.ToLower(place)
		example := first(u.examples[part+"_"+place], "example "+place)
		in := TemplateInput{Name: prefix + name, Type: "string", Doc: fmt.Sprintf("%s in the %s", place, part), Example: strings.Join(strings.Fields(example), " ")}
		parameters = append(parameters, append(p, Field{"text", u.input(in)}))
	}
	return Field{"parameters", parameters}
}

func (u *user) media(format, prefix string) Object {
	kind := strings.ToLower(format)
	switch format {
	case "LOCATION":
		place := Object{}
		for _, f := range [...]TemplateInput{
			{Name: "latitude", Type: "number", Doc: "degrees north", Example: 48.8584},
			{Name: "longitude", Type: "number", Doc: "degrees east", Example: 2.2945},
			{Name: "name", Type: "string", Doc: "what the place is called", Example: "Tour Eiffel"},
			{Name: "address", Type: "string", Doc: "where it is", Example: "5 avenue Anatole France, Paris"},
		} {
			field := f.Name
			f.Name = prefix + "header_" + f.Name
			place = append(place, Field{field, u.input(f)})
		}
		return Object{{"type", kind}, {"location", place}}
	case "PRODUCT":
		id := u.input(TemplateInput{Name: prefix + "header_product", Type: "string", Doc: "the product's SKU", Example: "sku-1"})
		catalog := u.input(TemplateInput{Name: "catalog_id", Type: "string", Doc: "the catalogue's ID", Example: "194836987003835"})
		return Object{{"type", kind}, {"product", Object{{"product_retailer_id", id}, {"catalog_id", catalog}}}}
	case "GIF":
		kind = "video"
	}
	ending := map[string]string{"image": "jpg", "video": "mp4", "document": "pdf"}[kind]
	link := u.input(TemplateInput{Name: prefix + "header_" + kind, Type: "string", Format: "uri", Doc: "a public address of the " + kind, Example: "https://cdn.shop.test/example." + ending})
	return Object{{"type", kind}, {kind, Object{{"link", link}}}}
}

func (u *user) button(b buttonShape, parameter, name string) Object {
	switch {
	case u.isCode():
		return Object{{"type", "text"}, {"text", u.code()}}
	case parameter == "text":
		return Object{{"type", "text"}, {"text", u.input(TemplateInput{Name: name, Type: "string", Doc: "the end of the address that the button opens", Example: "example"})}}
	case parameter == "coupon_code":
		return Object{{"type", "coupon_code"}, {"coupon_code", u.input(TemplateInput{Name: name, Type: "string", Doc: "the coupon, letters and digits, up to 20", Example: "WELCOME10"})}}
	case b.kind == "MPM":
		id := u.input(TemplateInput{Name: name + "_product", Type: "string", Doc: "the SKU of the product that is shown", Example: "sku-1"})
		return Object{{"type", "action"}, {"action", Object{
			{"thumbnail_product_retailer_id", id},
			{"sections", []any{Object{{"title", "Products"}, {"product_items", []any{Object{{"product_retailer_id", id}}}}}}},
		}}}
	}
	return Object{{"type", "action"}, {"action", u.input(TemplateInput{Name: name + "_action", Type: "object", Doc: "the action of the button, in Meta's form", Example: orderExample()})}}
}

// orderExample is an order of one thing.
func orderExample() Object {
	amount := func(value int64) Object { return Object{{"value", value}, {"offset", int64(100)}} }
	return Object{{"order_details", Object{
		{"reference_id", "order-1"}, {"type", "digital-goods"}, {"payment_type", "upi"}, {"payment_configuration", "shop"}, {"currency", "INR"},
		{"total_amount", amount(10000)},
		{"order", Object{{"status", "pending"}, {"subtotal", amount(10000)}, {"tax", amount(0)},
			{"items", []any{Object{{"retailer_id", "sku-1"}, {"name", "Example"}, {"amount", amount(10000)}, {"quantity", int64(1)}}}}}},
	}}}
}

// Fill gives a value with the examples of inputs in the place of their expressions.
func Fill(v any, inputs []TemplateInput) any {
	switch v := v.(type) {
	case Object:
		filled := make(Object, len(v))
		for i, f := range v {
			filled[i] = Field{f.Name, Fill(f.Value, inputs)}
		}
		return filled
	case []any:
		filled := make([]any, len(v))
		for i, x := range v {
			filled[i] = Fill(x, inputs)
		}
		return filled
	case string:
		for _, in := range inputs {
			if v == in.Expression() {
				return in.Example
			}
		}
	}
	return v
}

// YAML writes a value of Objects, lists, texts and numbers on one line, as people do.
func YAML(v any) string {
	switch v := v.(type) {
	case Object:
		var parts []string
		for _, f := range v {
			parts = append(parts, f.Name+": "+YAML(f.Value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		var parts []string
		for _, x := range v {
			parts = append(parts, YAML(x))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		if isPlain(v) {
			return v
		}
		return strconv.Quote(v)
	}
	return fmt.Sprint(v)
}

var plainYAML = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*( [A-Za-z][A-Za-z0-9_-]*)*$`)

// isPlain tells a text that needs no quotes.
func isPlain(s string) bool {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return false
	}
	return plainYAML.MatchString(s)
}
