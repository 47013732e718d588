package templates

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"facteur/actions/whatsapp/graph"
	"facteur/flow/schema"
)

// A checker compares what a message gives with what its template takes.
type checker struct {
	*check
	template *Definition
	named    bool
}

// components compares the components of a message, or of one of its cards. whole is where to
// point at for what is missing; of says whose parts they are, "" for the template's.
func (f checker) components(shape templateShape, whole, components schema.Value, of string) {
	given := groupComponents(components)
	at := firstPresent(components, whole)
	f.header(shape, given, at, of)
	if body := given.part("body"); body.Present() || !given.partial {
		f.texts("body", of, shape.body, body, at)
	}
	f.buttons(shape, given, at, of)
	if of == "" {
		f.cards(shape, given, at)
		f.offer(shape, given, at)
	}
}

// groupedComponents are the components of a message by what they fill in.
type groupedComponents struct {
	parts   map[string]schema.Value // by type
	buttons map[int]schema.Value    // by index
	partial bool                    // there is a component that is not known yet
}

func groupComponents(components schema.Value) groupedComponents {
	g := groupedComponents{parts: map[string]schema.Value{}, buttons: map[int]schema.Value{}}
	for _, c := range components.Items() {
		kind, _ := c.Get("type").Text()
		index, err := strconv.Atoi(graph.Word(c.Get("index")))
		switch isButton := strings.EqualFold(kind, "button"); {
		case c.IsUnknown(), c.Get("type").IsUnknown(), isButton && err != nil: // the rules of messages demand an index
			g.partial = true
		case isButton:
			g.buttons[index] = c
		default:
			g.parts[strings.ToLower(kind)] = c
		}
	}
	return g
}

// part returns the component of a type, absent if there is none.
func (g groupedComponents) part(kind string) schema.Value {
	if c, ok := g.parts[kind]; ok {
		return c
	}
	return schema.Value{}.Get(kind)
}

// firstPresent returns the first value that is present, otherwise the last.
func firstPresent(values ...schema.Value) schema.Value {
	i := slices.IndexFunc(values, schema.Value.Present)
	if i < 0 {
		i = len(values) - 1
	}
	return values[i]
}

func (f checker) name(part, of string) string {
	if of != "" {
		return "the " + part + " of " + of + " of " + f.template.Name
	}
	return "the " + part + " of " + f.template.Name + " (" + f.template.Language + ")"
}

func (f checker) header(shape templateShape, g groupedComponents, at schema.Value, of string) {
	switch header := g.part("header"); {
	case !header.Present() && g.partial:
	case shape.header == "" || shape.header == "TEXT":
		f.texts("header", of, shape.title, header, at)
	default:
		f.media(shape.header, of, header, at)
	}
}

// media wants one parameter of the header's kind.
func (f checker) media(format, of string, header, at schema.Value) {
	want := strings.ToLower(format)
	parameters := header.Get("parameters")
	if parameters.IsUnknown() {
		return
	}
	received, where := "UNKNOWN", firstPresent(header, at)
	items := parameters.Items()
	if len(items) > 1 {
		f.count("header", of, 1, len(items), parameters)
		return
	}
	if len(items) == 1 {
		kind := items[0].Get("type")
		text, ok := kind.Text()
		if items[0].IsUnknown() || kind.IsUnknown() || ok && (strings.EqualFold(text, want) || want == "gif" && strings.EqualFold(text, "video")) {
			return
		}
		where = items[0]
		if ok {
			received, where = strings.ToUpper(text), kind
		}
	}
	f.add("template-parameter-kind", where, fmt.Sprintf("{type: header, parameters: [{type: %s, %s: …}]}", want, want),
		"%s takes one %s (%s)", f.name("header", of), want, f.mismatch("header", format, received))
}

// texts wants as many texts as a part has places, by name where they are named.
func (f checker) texts(part, of string, places []string, component, at schema.Value) {
	parameters := component.Get("parameters")
	if component.IsUnknown() || parameters.IsUnknown() {
		return
	}
	items := parameters.Items()
	if len(items) != len(places) {
		f.count(part, of, len(places), len(items), firstPresent(parameters, component, at))
	}
	for _, p := range items {
		kind := p.Get("type")
		if text, ok := kind.Text(); ok && !slices.Contains([]string{"text", "currency", "date_time"}, strings.ToLower(text)) {
			f.add("template-parameter-kind", kind, "", "%s takes texts (%s)", f.name(part, of), f.mismatch(part, "TEXT", text))
		}
	}
	f.names(part, of, places, items)
}

func (f checker) names(part, of string, places []string, items []schema.Value) {
	for _, p := range items {
		name := p.Get("parameter_name")
		text, ok := name.Text()
		switch {
		case p.IsUnknown() || name.IsUnknown():
		case !f.named && ok:
			f.add("template-parameter-unnamed", name, "leave parameter_name out", "%s numbers its parameters, so they have no names", f.template.Name)
		case !f.named:
		case !ok:
			f.add("template-parameter-unnamed", p, "names: "+strings.Join(places, ", "), "%s names its parameters (Meta: Parameter name is missing or empty)", f.template.Name)
		case !slices.Contains(places, text):
			f.add("template-parameter-unnamed", name, nearest(text, "names:", places), "%s has no parameter %s", f.name(part, of), quoted(text))
		}
	}
}

func (f checker) count(part, of string, want, have int, at schema.Value) {
	f.add("template-parameter-count", at, "", "%s takes %s, but the message gives %d (%s)", f.name(part, of), count(want, "parameter"), have,
		f.refuse(132000, "%s: number of localizable_params (%d) does not match the expected number of params (%d)", part, have, want))
}

func (f checker) buttons(shape templateShape, g groupedComponents, at schema.Value, of string) {
	for i, b := range shape.buttons {
		if c, ok := g.buttons[i]; ok {
			f.button(b, i, c, of)
		} else if b.needsParameter() && !g.partial {
			form := buttonForms()[b.kind]
			f.missingParameter(b, i, at, of, fmt.Sprintf("{type: button, sub_type: %s, index: %d, parameters: [{type: %s, …}]}", form.subType, i, form.parameter))
		}
	}
	for _, i := range slices.Sorted(maps.Keys(g.buttons)) {
		if i >= len(shape.buttons) || i < 0 {
			f.add("template-button-other", g.buttons[i].Get("index"), "the index of the first button is 0", "%s has %s, but none at index %d", f.owner(of), count(len(shape.buttons), "button"), i)
		}
	}
}

func (f checker) missingParameter(b buttonShape, i int, at schema.Value, of, hint string) {
	f.add("template-parameter-count", at, hint, "button %d of %s takes a parameter (%s)", i, f.owner(of),
		f.refuse(131008, "buttons: Button at index %d of type %s requires a parameter", i, title(b.kind)))
}

func (f checker) owner(of string) string {
	if of != "" {
		return of + " of " + f.template.Name
	}
	return f.template.Name
}

func (f checker) button(b buttonShape, i int, c schema.Value, of string) {
	form, known := buttonForms()[b.kind]
	if !known {
		return
	}
	kind := c.Get("sub_type")
	if text, ok := kind.Text(); ok && !strings.EqualFold(text, form.subType) {
		hint := "leave the component out: this button takes no parameters"
		if form.subType != "" {
			hint = "write sub_type: " + form.subType
		}
		f.add("template-button-other", kind, hint, "button %d of %s is %s", i, f.owner(of), b.kind)
		return
	}
	parameters := c.Get("parameters")
	if parameters.IsUnknown() {
		return
	}
	items := parameters.Items()
	where := firstPresent(parameters, c)
	switch {
	case len(items) == 0 && !b.needsParameter():
	case len(items) == 0:
		f.missingParameter(b, i, where, of, "")
	case b.kind == "URL" && len(b.filled) == 0:
		f.add("template-parameter-count", where, "leave the component out", "button %d of %s takes no parameter (%s)", i, f.owner(of), f.refuse(132018, "buttons: Button at index %d of type %s does not require parameters", i, title(b.kind)))
	case len(items) > 1 && form.parameter != "":
		f.count(fmt.Sprintf("button %d", i), of, 1, len(items), where)
	}
	for _, p := range items {
		given := p.Get("type")
		text, ok := given.Text()
		if form.subType == "quick_reply" && strings.EqualFold(text, "text") {
			continue // as samples of 2022 have it: the rules of messages tell of it
		}
		if ok && form.parameter != "" && !strings.EqualFold(text, form.parameter) {
			f.add("template-parameter-kind", given, "write type: "+form.parameter, "button %d of %s takes a parameter of type %s (%s)",
				i, f.owner(of), form.parameter, f.mismatch("buttons", form.parameter, text))
		}
	}
}

func (f checker) cards(shape templateShape, g groupedComponents, at schema.Value) {
	carousel := g.part("carousel")
	cards := carousel.Get("cards")
	if cards.IsUnknown() {
		return
	}
	items := cards.Items()
	switch {
	case !carousel.Present() && (g.partial || len(shape.cards) == 0):
		return
	case len(shape.cards) == 0:
		f.add("template-cards-count", carousel, "leave it out", "%s has no carousel", f.template.Name)
		return
	case len(items) != len(shape.cards) && !(shape.ofProducts() && len(items) > 0):
		f.add("template-cards-count", firstPresent(cards, at), "", "the carousel of %s has %s, but the message fills in %d (%s)", f.template.Name, count(len(shape.cards), "card"), len(items),
			f.refuse(132000, "carousel: number of cards (%d) does not match the expected number (%d)", len(items), len(shape.cards)))
	}
	for n, card := range items {
		place := n
		if i, err := strconv.Atoi(graph.Word(card.Get("card_index"))); err == nil {
			place = i
		}
		if shape.ofProducts() {
			place = 0
		}
		if place < 0 || place >= len(shape.cards) || card.IsUnknown() || card.Get("components").IsUnknown() {
			continue
		}
		f.components(shape.cards[place], card, card.Get("components"), fmt.Sprintf("card %d", n))
	}
}

func (f checker) offer(shape templateShape, g groupedComponents, at schema.Value) {
	switch offer := g.part("limited_time_offer"); {
	case shape.offer && !offer.Present() && !g.partial:
		f.add("template-parameter-count", at, "{type: limited_time_offer, parameters: [{type: limited_time_offer, limited_time_offer: {expiration_time_ms: …}}]}",
			"the offer of %s ends, but the message does not say when", f.template.Name)
	case !shape.offer && offer.Present():
		f.add("template-parameter-count", offer, "leave it out", "%s has no offer that ends", f.template.Name)
	}
}

// title writes a kind of button as Meta's errors do: Url, QuickReply.
func title(kind string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(strings.ToLower(kind), "_") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
