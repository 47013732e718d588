package whatsapp_test

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/flow/call"
	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// checkMessage returns the findings of schema and rules about a message.
func checkMessage(t *testing.T, sig *call.Signature, kind string, message any) (coerced any, found schema.Violations) {
	t.Helper()
	in := map[string]any{"sender_phone_id": sender, "recipient": "+33612345678", "message_type": kind, "message": message}
	return checkInput(t, sig, in)
}

func checkInput(t testing.TB, sig *call.Signature, in map[string]any) (any, schema.Violations) {
	coerced, found := sig.In.Coerce(in)
	if found.Err() != nil {
		return coerced, found
	}
	findings := sig.Check(schema.NewValue(coerced, nil))
	testSpecializedCheck(t, sig, coerced, findings)
	return coerced, append(found, findings...)
}

// testSpecializedCheck specializes the check for inputs with some parts unknown, and demands the
// findings of the full check.
func testSpecializedCheck(t testing.TB, sig *call.Signature, in any, findings schema.Violations) {
	random := rand.New(rand.NewPCG(1, 2))
	places := 0
	// hide replaces the chosen parts, which are numbered in order, by unknown values.
	var hide func(v any, chosen func(n int) bool) any
	hide = func(v any, chosen func(n int) bool) any {
		n := places
		if places++; n > 0 && chosen(n) {
			return schema.Unknown{Type: schema.AnyType}
		}
		switch v := v.(type) {
		case map[string]any:
			out := map[string]any{}
			for _, name := range slices.Sorted(maps.Keys(v)) {
				out[name] = hide(v[name], chosen)
			}
			return out
		case []any:
			out := make([]any, len(v))
			for i := range v {
				out[i] = hide(v[i], chosen)
			}
			return out
		}
		return v
	}
	ask := func(chosen func(n int) bool) {
		places = 0
		known := hide(in, chosen)
		rest := sig.SpecializeCheck(schema.NewValue(known, &schema.Tracker{}))
		if again := rest(schema.NewValue(in, nil)); !assert.ObjectsAreEqual(findings, again) {
			require.Equal(t, findings, again, "of %v", known)
		}
	}
	ask(func(int) bool { return false })
	for n := range places {
		ask(func(at int) bool { return at == n })
	}
	for _, share := range []float64{0.1, 0.3, 0.6} {
		for range 20 {
			ask(func(int) bool { return random.Float64() < share })
		}
	}
}

func goodMessages(t testing.TB) map[string][]any {
	text, err := os.ReadFile("testdata/good.json")
	require.NoError(t, err)
	v, err := actions.DecodeJSON(text)
	require.NoError(t, err)
	out := map[string][]any{}
	for name, pair := range v.(map[string]any) {
		out[name] = pair.([]any)
	}
	return out
}

func TestGoodMessages(t *testing.T) {
	sig := newSet(t, nil, whatsapp.Options{}).Action("whatsapp.send_message")
	seen := map[string]bool{}
	for name, pair := range goodMessages(t) {
		t.Run(name, func(t *testing.T) {
			kind := pair[0].(string)
			seen[strings.ToLower(kind)] = true
			_, found := checkMessage(t, sig, kind, pair[1])
			assert.Empty(t, found)
		})
	}
	var all []string
	for _, c := range sig.In.Field("message").Type.Cases {
		all = append(all, c.Value)
		assert.Equal(t, schema.Object, map[bool]schema.Kind{true: schema.Object, false: c.Type.Kind}[c.Value == "contacts"], c.Value)
	}
	assert.Equal(t, all, slices.Sorted(maps.Keys(seen)), "every type has an example")
	assert.Len(t, all, 11)
}

func TestBadMessages(t *testing.T) {
	sig := newSet(t, nil, whatsapp.Options{}).Action("whatsapp.send_message")
	long := func(n int) string { return strings.Repeat("é", n) }
	template := func(components string) string {
		return `{"name":"n","language":{"code":"fr"},"components":` + components + `}`
	}
	interactive := func(kind, rest string) string { return `{"type":"` + kind + `","body":{"text":"x"},` + rest + `}` }
	for _, tt := range []struct{ name, kind, message, path, rule string }{
		{"no body", "text", `{}`, "message.body", ""},
		{"an empty body", "text", `{"body":""}`, "message.body", "text-body"},
		{"a long body", "text", `{"body":"` + long(4097) + `"}`, "message.body", "text-body"},
		{"a blank body", "text", `{"body":"  \n"}`, "message.body", "text-body-blank"},
		{"a field that is not there", "text", `{"body":"x","boddy":"x"}`, "message.boddy", "unknown-field"},
		{"both", "image", `{"id":"1","link":"https://x.test"}`, "message.link", "media-one-of"},
		{"neither", "video", `{"caption":"x"}`, "message", "media-one-of"},
		{"no caption on audio", "audio", `{"id":"1","caption":"x"}`, "message.caption", "other-shape"},
		{"a file name on images", "image", `{"id":"1","filename":"x"}`, "message.filename", "unknown-field"},
		{"not the web", "image", `{"link":"ftp://x.test"}`, "message.link", "media-link"},
		{"a long caption", "document", `{"id":"1","caption":"` + long(1025) + `"}`, "message.caption", "media-caption"},
		{"not on earth", "location", `{"latitude":91,"longitude":"-181"}`, "message.latitude", "location-latitude"},
		{"not a number", "location", `{"latitude":1,"longitude":"east"}`, "message.longitude", "location-longitude"},
		{"no contact", "contacts", `[]`, "message", "contacts-count"},
		{"no name", "contacts", `[{"phones":[]}]`, "message[0].name", ""},
		{"no such day", "contacts", `[{"name":{"formatted_name":"x","first_name":"x"},"birthday":"2023-02-30"}]`, "message[0].birthday", "contact-birthday"},
		{"two emoji", "reaction", `{"message_id":"w","emoji":"👍👍"}`, "message.emoji", "reaction-emoji"},
		{"no emoji", "reaction", `{"message_id":"w","emoji":"ok"}`, "message.emoji", "reaction-emoji"},
		{"a template's name", "template", `{"name":"Order-Shipped","language":{"code":"fr"}}`, "message.name", "template-name"},
		{"a namespace", "template", `{"name":"n","namespace":"x","language":{"code":"fr"}}`, "message.namespace", "on-premises"},
		{"a line break", "template", template(`[{"type":"body","parameters":[{"type":"text","text":"a\nb"}]}]`), "message.components[0].parameters[0].text", "parameter-text"},
		{"a tab", "template", template(`[{"type":"body","parameters":[{"type":"text","text":"a\tb"}]}]`), "message.components[0].parameters[0].text", "parameter-text"},
		{"five spaces", "template", template(`[{"type":"body","parameters":[{"type":"text","text":"a     b"}]}]`), "message.components[0].parameters[0].text", "parameter-text"},
		{"an empty parameter", "template", template(`[{"type":"body","parameters":[{"type":"text","text":""}]}]`), "message.components[0].parameters[0].text", "parameter-text"},
		{"another field", "template", template(`[{"type":"header","parameters":[{"type":"image","text":"x"}]}]`), "message.components[0].parameters[0]", "parameter-field"},
		{"a text that is none", "template", template(`[{"type":"body","parameters":[{"type":"text","text":true}]}]`), "message.components[0].parameters[0].text", "type"},
		{"two bodies", "template", template(`[{"type":"body"},{"type":"Body"}]`), "message.components[1].type", "template-part-once"},
		{"no index", "template", template(`[{"type":"button","sub_type":"url","parameters":[]}]`), "message.components[0]", "template-button"},
		{"an index of twelve", "template", template(`[{"type":"button","sub_type":"url","index":12}]`), "message.components[0].index", "template-button-index"},
		{"an index on a body", "template", template(`[{"type":"body","index":0}]`), "message.components[0].index", "template-button"},
		{"a button twice", "template", template(`[{"type":"button","sub_type":"url","index":0},{"type":"button","sub_type":"url","index":"0"}]`), "message.components[1].index", "template-button-unique"},
		{"some named", "template", template(`[{"type":"body","parameters":[{"type":"text","text":"a","parameter_name":"a"},{"type":"text","text":"b"}]}]`), "message.components[0].parameters", "parameter-names"},
		{"a long header", "template", template(`[{"type":"header","parameters":[{"type":"text","text":"` + long(61) + `"}]}]`), "message.components[0].parameters[0].text", "parameter-header-length"},
		{"a long coupon", "template", template(`[{"type":"button","sub_type":"copy_code","index":0,"parameters":[{"type":"coupon_code","coupon_code":"` + strings.Repeat("A", 21) + `"}]}]`), "message.components[0].parameters[0].coupon_code", "parameter-coupon"},
		{"inside a card", "template", template(`[{"type":"carousel","cards":[{"card_index":0,"components":[{"type":"body","parameters":[{"type":"text","text":"a\nb"}]}]},{"card_index":1,"components":[]}]}]`), "message.components[0].cards[0].components[0].parameters[0].text", "parameter-text"},
		{"cards of a body", "template", template(`[{"type":"body","cards":[{"card_index":0,"components":[]},{"card_index":1,"components":[]}]}]`), "message.components[0].cards", "template-cards"},
		{"no such kind", "interactive", `{"type":"buttons","action":{}}`, "message.type", "interactive-type"},
		{"another kind's action", "interactive", interactive("list", `"action":{"buttons":[]}`), "message.action.buttons", "unknown-field"},
		{"no text", "interactive", `{"type":"button","action":{"buttons":[{"type":"reply","reply":{"id":"1","title":"A"}}]}}`, "message", "interactive-body"},
		{"four buttons", "interactive", interactive("button", `"action":{"buttons":[{"type":"reply","reply":{"id":"1","title":"A"}},{"type":"reply","reply":{"id":"2","title":"B"}},{"type":"reply","reply":{"id":"3","title":"C"}},{"type":"reply","reply":{"id":"4","title":"D"}}]}`), "message.action.buttons", "buttons-count"},
		{"a long title", "interactive", interactive("button", `"action":{"buttons":[{"type":"reply","reply":{"id":"1","title":"`+long(21)+`"}}]}`), "message.action.buttons[0].reply.title", "button-title"},
		{"an id twice", "interactive", interactive("button", `"action":{"buttons":[{"type":"reply","reply":{"id":"1","title":"A"}},{"type":"reply","reply":{"id":"1","title":"B"}}]}`), "message.action.buttons[1].reply.id", "button-id-unique"},
		{"a title twice", "interactive", interactive("button", `"action":{"buttons":[{"type":"reply","reply":{"id":"1","title":"A"}},{"type":"reply","reply":{"id":"2","title":"A"}}]}`), "message.action.buttons[1].reply.title", "button-title-unique"},
		{"white space", "interactive", interactive("button", `"action":{"buttons":[{"type":"reply","reply":{"id":"1","title":"A "}}]}`), "message.action.buttons[0].reply.title", "action-padding"},
		{"a long body of buttons", "interactive", `{"type":"button","body":{"text":"` + long(1025) + `"},"action":{"buttons":[{"type":"reply","reply":{"id":"1","title":"A"}}]}}`, "message.body.text", "interactive-body-length"},
		{"a header of another type", "interactive", interactive("button", `"header":{"type":"image","text":"x"},"action":{"buttons":[{"type":"reply","reply":{"id":"1","title":"A"}}]}`), "message.header", "interactive-header-field"},
		{"eleven rows", "interactive", interactive("list", `"action":{"button":"x","sections":[{"title":"A","rows":[`+rows("a", 6)+`]},{"title":"B","rows":[`+rows("b", 5)+`]}]}`), "message.action.sections", "list-rows-total"},
		{"a row twice", "interactive", interactive("list", `"action":{"button":"x","sections":[{"title":"A","rows":[`+rows("a", 1)+`]},{"title":"B","rows":[`+rows("a", 1)+`]}]}`), "message.action.sections[1].rows[0].id", "list-row-id-unique"},
		{"sections without titles", "interactive", interactive("list", `"action":{"button":"x","sections":[{"rows":[`+rows("a", 1)+`]},{"title":"B","rows":[`+rows("b", 1)+`]}]}`), "message.action.sections[0]", "section-title-required"},
		{"a picture over a list", "interactive", interactive("list", `"header":{"type":"image","image":{"id":"1"}},"action":{"button":"x","sections":[{"rows":[`+rows("a", 1)+`]}]}`), "message.header.type", "interactive-header-text"},
		{"a header over a product", "interactive", interactive("product", `"header":{"type":"text","text":"x"},"action":{"catalog_id":"1","product_retailer_id":"1"}`), "message.header", "interactive-no-header"},
		{"products without a header", "interactive", interactive("product_list", `"action":{"catalog_id":"1","sections":[{"product_items":[{"product_retailer_id":"1"}]}]}`), "message", "product-list-header"},
		{"a flow by both", "interactive", interactive("flow", `"action":{"name":"flow","parameters":{"flow_message_version":"3","flow_id":"1","flow_name":"x","flow_cta":"x"}}`), "message.action.parameters.flow_name", "flow-one-of"},
		{"a payload of another action", "interactive", interactive("flow", `"action":{"name":"flow","parameters":{"flow_message_version":"3","flow_id":"1","flow_cta":"x","flow_action":"data_exchange","flow_action_payload":{"screen":"A"}}}`), "message.action.parameters.flow_action_payload", "flow-payload"},
		{"one card", "interactive", interactive("carousel", `"action":{"cards":[{"card_index":0,"type":"product","action":{}}]}`), "message.action.cards", "carousel-cards"},
		{"a card twice", "interactive", interactive("carousel", `"action":{"cards":[{"card_index":0,"type":"product","action":{}},{"card_index":0,"type":"product","action":{}}]}`), "message.action.cards[1].card_index", "card-index-unique"},
		{"cards of two kinds", "interactive", interactive("carousel", `"action":{"cards":[{"card_index":0,"type":"product","action":{}},{"card_index":1,"type":"cta_url","action":{}}]}`), "message.action.cards[1].type", "card-type-same"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var message any
			require.NoError(t, json.Unmarshal([]byte(tt.message), &message))
			_, found := checkMessage(t, sig, tt.kind, message)
			require.Error(t, found.Err())
			var paths []string
			for _, v := range found {
				if v.Path.String() == tt.path && (tt.rule == "" || v.Rule == tt.rule) {
					assert.NotEmpty(t, v.Message)
					return
				}
				paths = append(paths, v.Path.String()+" "+v.Rule+": "+v.Message)
				if v.Rule == "required" && tt.rule == "" {
					return
				}
			}
			t.Errorf("want %s %s, got %q", tt.path, tt.rule, paths)
		})
	}
}

func rows(prefix string, n int) string {
	var list []string
	for i := range n {
		id := prefix + string(rune('0'+i))
		list = append(list, `{"id":"`+id+`","title":"`+id+`"}`)
	}
	return strings.Join(list, ",")
}

// The points on which Meta's own pages, or other sources, differ.
func TestConflictsBetweenSources(t *testing.T) {
	sig := newSet(t, nil, whatsapp.Options{}).Action("whatsapp.send_message")
	list := func(body string) string {
		return `{"type":"list","body":{"text":"` + body + `"},"action":{"button":"x","sections":[{"rows":[{"id":"1","title":"a"}]}]}}`
	}
	flow := func(cta string) string {
		return `{"type":"flow","body":{"text":"x"},"action":{"name":"flow","parameters":{"flow_message_version":"3","flow_id":"1","flow_token":"t","flow_cta":"` + cta + `"}}}`
	}
	contact := `{"name":{"formatted_name":"x","first_name":"y"}}`
	for _, tt := range []struct {
		name, kind, message string
		refused             bool
		warned              string // the rule
	}{
		{"a list's body of 1024", "interactive", list(strings.Repeat("x", 1024)), false, ""},
		{"a list's body over 1024", "interactive", list(strings.Repeat("x", 1025)), false, "list-body-long"},
		{"a list's body of 4096", "interactive", list(strings.Repeat("x", 4096)), false, "list-body-long"},
		{"a list's body over 4096", "interactive", list(strings.Repeat("x", 4097)), true, ""},
		{"257 contacts", "contacts", "[" + strings.Repeat(contact+",", 256) + contact + "]", false, ""},
		{"258 contacts", "contacts", "[" + strings.Repeat(contact+",", 257) + contact + "]", true, ""},
		{"a contact with one name", "contacts", `[{"name":{"formatted_name":"x"}}]`, false, "contact-name-alone"},
		{"a location without name", "location", `{"latitude":1,"longitude":1}`, false, "location-name"},
		{"a flow without token", "interactive", strings.Replace(flow("x"), `"flow_token":"t",`, "", 1), false, "flow-token-missing"},
		{"a flow that navigates nowhere", "interactive", strings.Replace(flow("x"), `"flow_token":"t",`, `"flow_token":"t","flow_action":"navigate",`, 1), false, "flow-payload-missing"},
		{"a policy for languages", "template", `{"name":"n","language":{"code":"fr","policy":"deterministic"}}`, false, ""},
		{"another policy for languages", "template", `{"name":"n","language":{"code":"fr","policy":"fallback"}}`, false, "template-policy"},
		{"a catalogue without picture", "interactive", `{"type":"catalog_message","body":{"text":"x"},"action":{"name":"catalog_message"}}`, false, ""},
		{"one section without title", "interactive", list("x"), false, ""},
		{"a button's index as a number", "template", `{"name":"n","language":{"code":"fr"},"components":[{"type":"button","sub_type":"url","index":0,"parameters":[{"type":"text","text":"7"}]}]}`, false, ""},
		{"a button's kind in capitals", "template", `{"name":"n","language":{"code":"fr"},"components":[{"type":"button","sub_type":"CATALOG","index":"0","parameters":[{"type":"action","action":{"thumbnail_product_retailer_id":"1"}}]}]}`, false, ""},
		{"an answer that is no text", "template", `{"name":"n","language":{"code":"fr"},"components":[{"type":"button","sub_type":"quick_reply","index":"0","parameters":[{"type":"text","text":true}]}]}`, true, ""},
		{"a flow's button of 20", "interactive", flow(strings.Repeat("x", 20)), false, ""},
		{"a flow's button of 23", "interactive", flow(strings.Repeat("x", 23)), false, "flow-cta-length"},
		{"a flow's button of 31", "interactive", flow(strings.Repeat("x", 31)), true, ""},
		{"a coupon of 20", "template", `{"name":"n","language":{"code":"fr"},"components":[{"type":"button","sub_type":"COPY_CODE","index":"0","parameters":[{"type":"coupon_code","coupon_code":"ABCDEFGHIJKLMNOPQRST"}]}]}`, false, ""},
		{"a type in capitals", "interactive", strings.Replace(list("x"), `"list"`, `"LIST"`, 1), false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var message any
			require.NoError(t, json.Unmarshal([]byte(tt.message), &message))
			_, found := checkMessage(t, sig, tt.kind, message)
			assert.Equal(t, tt.refused, found.Err() != nil, "%v", found)
			if tt.warned != "" {
				require.Len(t, found, 1)
				assert.Equal(t, tt.warned, found[0].Rule)
				assert.True(t, found[0].Warning)
			} else if !tt.refused {
				assert.Empty(t, found)
			}
		})
	}
}

func TestInputRules(t *testing.T) {
	sig := newSet(t, nil, whatsapp.Options{}).Action("whatsapp.send_message")
	for _, tt := range []struct {
		name  string
		extra map[string]any
		path  string
		rule  string
	}{
		{"a phone number as sender", map[string]any{"sender_phone_id": "+33612345678"}, "sender_phone_id", "sender-phone-id"},
		{"no plus", map[string]any{"recipient": "33612345678"}, "recipient", "recipient-format"},
		{"not in use", map[string]any{"recipient": "+33012345678"}, "recipient", "recipient-doubtful"},
		{"a reply by reaction", map[string]any{"message_type": "reaction", "message": map[string]any{"message_id": "w", "emoji": "👍"}, "reply_to": "w"}, "reply_to", "reaction-no-reply"},
		{"a fallback that is wrong", map[string]any{"fallback": map[string]any{"message": map[string]any{"name": "n", "language": map[string]any{"code": "fr"},
			"components": []any{map[string]any{"type": "body", "parameters": []any{map[string]any{"type": "text", "text": "a\nb"}}}}}}}, "fallback.message.components[0].parameters[0].text", "parameter-text"},
	} {
		_, found := checkInput(t, sig, text(tt.extra))
		require.Len(t, found, 1, "%s: %v", tt.name, found)
		assert.Equal(t, tt.path, found[0].Path.String(), tt.name)
		assert.Equal(t, tt.rule, found[0].Rule, tt.name)
	}
	_, found := checkInput(t, sig, text(map[string]any{"fallback": map[string]any{"message_type": "text", "message": map[string]any{"body": "x"}}}))
	assert.Error(t, found.Err(), "a fallback is a template")
}

func TestRuleThatReadsAnUnknownPartFindsNothing(t *testing.T) {
	sig := newSet(t, nil, whatsapp.Options{}).Action("whatsapp.send_message")
	unknown := schema.Unknown{Type: schema.StringType}
	button := func(id, title any) any {
		return map[string]any{"type": "reply", "reply": map[string]any{"id": id, "title": title}}
	}
	in := map[string]any{
		"sender_phone_id": unknown, "recipient": unknown, "message_type": "interactive",
		"message": map[string]any{"type": "button", "body": unknown, "action": map[string]any{"buttons": []any{
			button("a", unknown), button("a", unknown), button(unknown, " padded"), unknown,
		}}},
	}
	found := sig.Check(schema.NewValue(in, &schema.Tracker{}))
	require.Len(t, found, 1, "%v", found)
	assert.Equal(t, "message.action.buttons[2].reply.title", found[0].Path.String())

	for _, whole := range []any{
		unknown,
		map[string]any{"message_type": unknown, "message": map[string]any{"body": " "}},
		map[string]any{"message_type": "image", "message": unknown},
		map[string]any{"message_type": "image", "message": map[string]any{"link": unknown}},
		map[string]any{"message_type": "interactive", "message": map[string]any{"type": unknown, "action": unknown}},
		map[string]any{"message_type": "template", "message": map[string]any{"components": []any{unknown}}},
		map[string]any{"message_type": "location", "message": map[string]any{"latitude": unknown, "name": unknown, "address": unknown}},
	} {
		assert.Empty(t, sig.Check(schema.NewValue(whole, nil)), "%v", whole)
	}
}

func TestSchemasArePrintable(t *testing.T) {
	set := newSet(t, nil, whatsapp.Options{})
	names, events := set.Names()
	for _, name := range names {
		for _, typ := range []*schema.Type{set.Action(name).In, set.Action(name).Out} {
			_, err := json.Marshal(typ.JSONSchema(true))
			assert.NoError(t, err)
			for _, f := range typ.Fields {
				assert.NotEmpty(t, f.Doc, "%s.%s", name, f.Name)
			}
		}
	}
	for _, name := range events {
		for _, f := range set.Event(name).Type.Fields {
			assert.NotEmpty(t, f.Doc, "%s.%s", name, f.Name)
		}
	}
}

func TestExplainRule(t *testing.T) {
	ids := whatsapp.RuleIDs()
	assert.Greater(t, len(ids), 50)
	seen := map[string]bool{}
	for _, id := range ids {
		assert.False(t, seen[id], id)
		seen[id] = true
		text, ok := whatsapp.ExplainRule(id)
		assert.True(t, ok, id)
		assert.Regexp(t, `(?s)^.{20,}\.\n\nSource: .+\.$`, text, id)
	}
	_, ok := whatsapp.ExplainRule("no-such-rule")
	assert.False(t, ok)
}

// Whole bodies, wrapped messages and lists of recipients have a hint with the right form.
func TestCommonMistakes(t *testing.T) {
	sig := newSet(t, nil, whatsapp.Options{}).Action("whatsapp.send_message")
	to := "+33612345678"
	for _, tt := range []struct{ in, want, hint any }{
		{map[string]any{"message_type": "text", "recipient": to, "message": map[string]any{"text": map[string]any{"body": "hi"}}},
			"message: message takes only the content of text", `write message: {"body":"hi"}`},
		{map[string]any{"message_type": "contacts", "recipient": to, "message": map[string]any{"contacts": []any{schema.Unknown{Type: schema.AnyType}}}},
			"message: message takes only the content of contacts", "leave out the line contacts:"},
		{map[string]any{"message_type": "text", "recipient": to, "message": "hi"}, "message: expected object, got string", `write {body: "hi"}`},
		{map[string]any{"message_type": "text", "recipient": []any{to}, "message": map[string]any{"body": "hi"}},
			"recipient: a step sends to one person, but this is a list", "put the step into a foreach, as in {foreach: ${inputs.people}, as: person, steps: […]}, and write recipient: ${person}"},
		{map[string]any{"message_type": "interactive", "recipient": to, "message": map[string]any{"type": "button", "body": "Q", "action": map[string]any{"buttons": []any{
			map[string]any{"type": "reply", "reply": map[string]any{"id": "a", "title": "A"}}}}}},
			"message.body: expected object, got string", `write {text: "Q"}`},
	} {
		_, found := sig.In.Coerce(tt.in)
		require.Len(t, found, 1, "%v", tt.in)
		assert.Equal(t, tt.want, found[0].Error())
		assert.Equal(t, tt.hint, found[0].Hint)
	}
}
