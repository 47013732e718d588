package templates_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/templates"
	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// account are templates of every kind, as the API gives them.
var account = []string{
	`{"name":"plain","language":"fr","status":"APPROVED","category":"UTILITY","components":[{"type":"BODY","text":"Bonjour"}]}`,
	`{"name":"shipped","language":"fr","status":"APPROVED","category":"UTILITY","parameter_format":"POSITIONAL","components":[
		{"type":"HEADER","format":"TEXT","text":"Colis {{1}}","example":{"header_text":["7"]}},
		{"type":"BODY","text":"Bonjour {{1}}, le colis {{2}} part, {{1}}.","example":{"body_text":[["Ada","n° 7"]]}},{"type":"FOOTER","text":"Merci"},
		{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Stop"},{"type":"URL","text":"Suivre","url":"https://shop.test/{{1}}","example":["https://shop.test/7"]},{"type":"URL","text":"Boutique","url":"https://shop.test"},{"type":"PHONE_NUMBER","text":"Appeler","phone_number":"+33123456789"}]}]}`,
	`{"name":"shipped","language":"en_US","status":"APPROVED","category":"UTILITY","components":[{"type":"BODY","text":"Hello {{1}}"}]}`,
	`{"name":"named","language":"fr","status":"APPROVED","category":"UTILITY","parameter_format":"NAMED","components":[
		{"type":"HEADER","format":"TEXT","text":"Pour {{who}}","example":{"header_text_named_params":[{"param_name":"who","example":"Ada"}]}},
		{"type":"BODY","text":"{{first_name}}, votre code {{promo}}","example":{"body_text_named_params":[{"param_name":"first_name","example":"Ada"},{"param_name":"promo","example":"X1"}]}}]}`,
	`{"name":"photo","language":"fr","status":"APPROVED","category":"MARKETING","components":[{"type":"HEADER","format":"IMAGE","example":{"header_handle":["https://scontent.test/a?oh=1"]}},{"type":"BODY","text":"Voici {{1}}"}]}`,
	`{"name":"film","language":"fr","status":"APPROVED","category":"UTILITY","components":[{"type":"HEADER","format":"VIDEO"},{"type":"BODY","text":"Voici"}]}`,
	`{"name":"loop","language":"fr","status":"APPROVED","category":"MARKETING","components":[{"type":"HEADER","format":"GIF"},{"type":"BODY","text":"Voici"}]}`,
	`{"name":"invoice","language":"fr","status":"APPROVED","category":"UTILITY","components":[{"type":"HEADER","format":"DOCUMENT"},{"type":"BODY","text":"Voici"}]}`,
	`{"name":"place","language":"fr","status":"APPROVED","category":"UTILITY","components":[{"type":"HEADER","format":"LOCATION"},{"type":"BODY","text":"Ici"}]}`,
	`{"name":"otp","language":"fr","status":"APPROVED","category":"AUTHENTICATION","components":[{"type":"BODY","text":"*{{1}}* est votre code.","add_security_recommendation":true},{"type":"BUTTONS","buttons":[{"type":"URL","text":"Copier","url":"https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp{{1}}"}]}]}`,
	`{"name":"otp_old","language":"fr","status":"APPROVED","category":"AUTHENTICATION","components":[{"type":"BODY","add_security_recommendation":true},{"type":"BUTTONS","buttons":[{"type":"OTP","otp_type":"COPY_CODE"}]}]}`,
	`{"name":"coupon","language":"fr","status":"APPROVED","category":"UTILITY","components":[{"type":"BODY","text":"Pour vous"},{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Stop"},{"type":"COPY_CODE","example":["X1"]}]}]}`,
	`{"name":"offer","language":"fr","status":"APPROVED","category":"UTILITY","components":[{"type":"LIMITED_TIME_OFFER","limited_time_offer":{"text":"Vite","has_expiration":true}},{"type":"BODY","text":"Pour {{1}}"},{"type":"BUTTONS","buttons":[{"type":"COPY_CODE"},{"type":"URL","url":"https://shop.test/{{1}}"}]}]}`,
	`{"name":"cards","language":"fr","status":"APPROVED","category":"UTILITY","components":[{"type":"BODY","text":"Choisissez, {{1}}"},{"type":"CAROUSEL","cards":[
		{"components":[{"type":"HEADER","format":"IMAGE"},{"type":"BODY","text":"Un {{1}}"},{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY"},{"type":"URL","url":"https://shop.test/{{1}}"}]}]},
		{"components":[{"type":"HEADER","format":"IMAGE"},{"type":"BODY","text":"Deux {{1}}"},{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY"},{"type":"URL","url":"https://shop.test/{{1}}"}]}]}]}]}`,
	`{"name":"products","language":"fr","status":"APPROVED","category":"UTILITY","components":[{"type":"BODY","text":"Voici"},{"type":"CAROUSEL","cards":[{"components":[{"type":"HEADER","format":"PRODUCT"},{"type":"BUTTONS","buttons":[{"type":"SPM"}]}]},{"components":[{"type":"HEADER","format":"PRODUCT"},{"type":"BUTTONS","buttons":[{"type":"SPM"}]}]}]}]}`,
	`{"name":"catalog","language":"fr","status":"APPROVED","category":"UTILITY","components":[{"type":"BODY","text":"Voici"},{"type":"BUTTONS","buttons":[{"type":"CATALOG","text":"Voir"}]}]}`,
	`{"name":"several","language":"fr","status":"APPROVED","category":"UTILITY","components":[{"type":"BODY","text":"Voici"},{"type":"BUTTONS","buttons":[{"type":"MPM","text":"Voir"}]}]}`,
	`{"name":"form","language":"fr","status":"APPROVED","category":"UTILITY","components":[{"type":"BODY","text":"Voici"},{"type":"BUTTONS","buttons":[{"type":"FLOW","text":"Ouvrir","flow_id":"1"}]}]}`,
	`{"name":"paused","language":"fr","status":"PAUSED","category":"UTILITY","components":[{"type":"BODY","text":"Voici"}]}`,
	`{"name":"rejected","language":"fr","status":"REJECTED","rejected_reason":"INVALID_FORMAT","category":"UTILITY","components":[{"type":"BODY","text":"Voici"}]}`,
}

func accountTemplates(t testing.TB) *templates.Set {
	var all []*templates.Definition
	for _, text := range account {
		d, err := templates.Read([]byte(text))
		require.NoError(t, err)
		all = append(all, d)
	}
	set, err := templates.NewSet(all)
	require.NoError(t, err)
	return set
}

// lintOf gives what is said of a send when its flow is checked, one finding a line.
func lintOf(t testing.TB, in map[string]any) []string {
	set := accountTemplates(t)
	sig := whatsapp.SendMessage(whatsapp.Options{Templates: func() (*templates.Set, error) { return set, nil }}).Signature()
	var lines []string
	for _, v := range sig.Lint(schema.NewValue(in, &schema.Tracker{})) {
		kind := ""
		if v.Warning {
			kind = "warning: "
		}
		line := fmt.Sprintf("%s: %s%s [%s]", v.Path, kind, v.Message, v.Rule)
		if v.Hint != "" {
			line += " hint: " + v.Hint
		}
		lines = append(lines, line)
	}
	return lines
}

func parsedJSON(t testing.TB, text string) any {
	var v any
	require.NoError(t, json.Unmarshal([]byte(text), &v), text)
	return unknowns(v)
}

// unknowns puts an expression that is not evaluated yet in the place of "?".
func unknowns(v any) any {
	switch v := v.(type) {
	case string:
		if v == "?" {
			return schema.Unknown{Type: schema.AnyType}
		}
	case map[string]any:
		for k, x := range v {
			v[k] = unknowns(x)
		}
	case []any:
		for i, x := range v {
			v[i] = unknowns(x)
		}
	}
	return v
}

func TestTemplateMessages(t *testing.T) {
	body := func(texts ...string) string {
		var p []string
		for _, text := range texts {
			p = append(p, fmt.Sprintf(`{"type":"text","text":%q}`, text))
		}
		return `{"type":"body","parameters":[` + strings.Join(p, ",") + `]}`
	}
	const (
		title  = `{"type":"header","parameters":[{"type":"text","text":"7"}]}`
		follow = `{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"7"}]}`
		photo  = `{"type":"header","parameters":[{"type":"image","image":{"id":"1"}}]}`
		card   = `{"card_index":%d,"components":[{"type":"header","parameters":[{"type":"image","image":{"id":"1"}}]},{"type":"body","parameters":[{"type":"text","text":"a"}]},{"type":"button","sub_type":"url","index":1,"parameters":[{"type":"text","text":"a"}]}]}`
	)
	for _, tt := range []struct{ name, language, components, want string }{
		{"plain", "fr", ``, ``},
		{"plain", "fr", `{"type":"body"}`, ``},
		{"shipped", "fr", title + "," + body("Ada", "7") + "," + follow, ``},
		{"shipped", "en_US", body("Ada"), ``},
		{"shiped", "fr", ``, `message.name: the account has no template "shiped" [template-unknown] hint: did you mean "shipped"? templates: `},
		{"shipped", "en", ``, `message.language.code: the template shipped does not exist in "en" (Meta: 132001, template name (shipped) does not exist in en) [template-language] hint: write en_US: en and en_US are different languages; it exists in en_US, fr`},
		{"plain", "de", ``, `message.language.code: the template plain does not exist in "de" (Meta: 132001, template name (plain) does not exist in de) [template-language] hint: it exists in fr`},
		{"paused", "fr", ``, `message.name: the template paused (fr) is PAUSED, but only templates that are APPROVED can be sent [template-status] hint: if that has changed, run facteur templates pull`},
		{"rejected", "fr", ``, `message.name: the template rejected (fr) is REJECTED: INVALID_FORMAT, but only templates that are APPROVED can be sent [template-status] hint: if that has changed, run facteur templates pull`},

		// how many
		{"shipped", "fr", title + "," + body("Ada") + "," + follow, `message.components[1].parameters: the body of shipped (fr) takes 2 parameters, but the message gives 1 (Meta: 132000, Number of parameters does not match the expected number of params: body: number of localizable_params (1) does not match the expected number of params (2)) [template-parameter-count]`},
		{"shipped", "fr", title + "," + body("Ada", "7", "8") + "," + follow, `message.components[1].parameters: the body of shipped (fr) takes 2 parameters, but the message gives 3 (Meta: 132000, Number of parameters does not match the expected number of params: body: number of localizable_params (3) does not match the expected number of params (2)) [template-parameter-count]`},
		{"shipped", "fr", title + "," + follow, `message.components: the body of shipped (fr) takes 2 parameters, but the message gives 0 (Meta: 132000, Number of parameters does not match the expected number of params: body: number of localizable_params (0) does not match the expected number of params (2)) [template-parameter-count]`},
		{"shipped", "fr", body("Ada", "7") + "," + follow, `message.components: the header of shipped (fr) takes 1 parameter, but the message gives 0 (Meta: 132000, Number of parameters does not match the expected number of params: header: number of localizable_params (0) does not match the expected number of params (1)) [template-parameter-count]`},
		{"plain", "fr", body("Ada"), `message.components[0].parameters: the body of plain (fr) takes 0 parameters, but the message gives 1 (Meta: 132000, Number of parameters does not match the expected number of params: body: number of localizable_params (1) does not match the expected number of params (0)) [template-parameter-count]`},
		{"plain", "fr", photo, `message.components[0].parameters: the header of plain (fr) takes 0 parameters, but the message gives 1 (Meta: 132000, Number of parameters does not match the expected number of params: header: number of localizable_params (1) does not match the expected number of params (0)) [template-parameter-count]
message.components[0].parameters[0].type: the header of plain (fr) takes texts (Meta: 132012, Parameter format does not match format in the created template: header: Format mismatch, expected TEXT, received IMAGE) [template-parameter-kind]`},

		// of which kind
		{"photo", "fr", photo + "," + body("a"), ``},
		{"photo", "fr", title + "," + body("a"), `message.components[0].parameters[0].type: the header of photo (fr) takes one image (Meta: 132012, Parameter format does not match format in the created template: header: Format mismatch, expected IMAGE, received TEXT) [template-parameter-kind] hint: {type: header, parameters: [{type: image, image: …}]}`},
		{"photo", "fr", body("a"), `message.components: the header of photo (fr) takes one image (Meta: 132012, Parameter format does not match format in the created template: header: Format mismatch, expected IMAGE, received UNKNOWN) [template-parameter-kind] hint: {type: header, parameters: [{type: image, image: …}]}`},
		{"film", "fr", photo, `message.components[0].parameters[0].type: the header of film (fr) takes one video (Meta: 132012, Parameter format does not match format in the created template: header: Format mismatch, expected VIDEO, received IMAGE) [template-parameter-kind] hint: {type: header, parameters: [{type: video, video: …}]}`},
		{"loop", "fr", `{"type":"header","parameters":[{"type":"gif","gif":{"link":"https://shop.test/a.mp4"}}]}`, ``},
		{"loop", "fr", `{"type":"header","parameters":[{"type":"video","video":{"id":"1"}}]}`, ``},
		{"loop", "fr", photo, `message.components[0].parameters[0].type: the header of loop (fr) takes one gif (Meta: 132012, Parameter format does not match format in the created template: header: Format mismatch, expected GIF, received IMAGE) [template-parameter-kind] hint: {type: header, parameters: [{type: gif, gif: …}]}`},
		{"invoice", "fr", `{"type":"HEADER","parameters":[{"type":"DOCUMENT","document":{"id":"1"}}]}`, ``},
		{"place", "fr", `{"type":"header","parameters":[{"type":"location","location":{}}]}`, ``},
		{"plain", "fr", `{"type":"body","parameters":[]}`, ``},
		{"shipped", "en_US", `{"type":"body","parameters":[{"type":"payload","payload":"x"}]}`, `message.components[0].parameters[0].type: the body of shipped (en_US) takes texts (Meta: 132012, Parameter format does not match format in the created template: body: Format mismatch, expected TEXT, received PAYLOAD) [template-parameter-kind]`},
		{"shipped", "en_US", `{"type":"body","parameters":[{"type":"currency","currency":{}}]}`, ``},

		// names
		{"named", "fr", `{"type":"header","parameters":[{"type":"text","parameter_name":"who","text":"a"}]},{"type":"body","parameters":[{"type":"text","parameter_name":"promo","text":"a"},{"type":"text","parameter_name":"first_name","text":"a"}]}`, ``},
		{"named", "fr", `{"type":"header","parameters":[{"type":"text","text":"a"}]},{"type":"body","parameters":[{"type":"text","parameter_name":"promo","text":"a"},{"type":"text","parameter_name":"firstname","text":"a"}]}`, `message.components[0].parameters[0]: named names its parameters (Meta: Parameter name is missing or empty) [template-parameter-unnamed] hint: names: who
message.components[1].parameters[1].parameter_name: the body of named (fr) has no parameter "firstname" [template-parameter-unnamed] hint: did you mean "first_name"? names: first_name, promo`},
		{"shipped", "en_US", `{"type":"body","parameters":[{"type":"text","parameter_name":"who","text":"a"}]}`, `message.components[0].parameters[0].parameter_name: shipped numbers its parameters, so they have no names [template-parameter-unnamed] hint: leave parameter_name out`},

		// buttons
		{"shipped", "fr", title + "," + body("Ada", "7"), `message.components: button 1 of shipped takes a parameter (Meta: 131008, Required parameter is missing: buttons: Button at index 1 of type Url requires a parameter) [template-parameter-count] hint: {type: button, sub_type: url, index: 1, parameters: [{type: text, …}]}`},
		{"shipped", "fr", title + "," + body("Ada", "7") + "," + follow + `,{"type":"button","sub_type":"quick_reply","index":0,"parameters":[{"type":"payload","payload":"STOP"}]}`, ``},
		{"shipped", "fr", title + "," + body("Ada", "7") + "," + follow + `,{"type":"button","sub_type":"quick_reply","index":0,"parameters":[{"type":"text","text":"STOP"}]}`, ``},
		{"shipped", "fr", title + "," + body("Ada", "7") + "," + follow + `,{"type":"button","sub_type":"url","index":0,"parameters":[{"type":"text","text":"a"}]}`, `message.components[3].sub_type: button 0 of shipped is QUICK_REPLY [template-button-other] hint: write sub_type: quick_reply`},
		{"shipped", "fr", title + "," + body("Ada", "7") + "," + follow + `,{"type":"button","sub_type":"url","index":2,"parameters":[{"type":"text","text":"a"}]}`, `message.components[3].parameters: button 2 of shipped takes no parameter (Meta: 132018, There was an issue with the parameters in your template: buttons: Button at index 2 of type Url does not require parameters) [template-parameter-count] hint: leave the component out`},
		{"shipped", "fr", title + "," + body("Ada", "7") + "," + follow + `,{"type":"button","sub_type":"url","index":3}`, `message.components[3].sub_type: button 3 of shipped is PHONE_NUMBER [template-button-other] hint: leave the component out: this button takes no parameters`},
		{"shipped", "fr", title + "," + body("Ada", "7") + "," + follow + `,{"type":"button","sub_type":"url","index":4}`, `message.components[3].index: shipped has 4 buttons, but none at index 4 [template-button-other] hint: the index of the first button is 0`},
		{"shipped", "fr", title + "," + body("Ada", "7") + `,{"type":"button","sub_type":"URL","index":1,"parameters":[{"type":"payload","payload":"a"}]}`, `message.components[2].parameters[0].type: button 1 of shipped takes a parameter of type text (Meta: 132012, Parameter format does not match format in the created template: buttons: Format mismatch, expected TEXT, received PAYLOAD) [template-parameter-kind] hint: write type: text`},
		{"otp", "fr", body("123456") + `,{"type":"button","sub_type":"url","index":0,"parameters":[{"type":"text","text":"123456"}]}`, ``},
		{"otp", "fr", body("123456"), `message.components: button 0 of otp takes a parameter (Meta: 131008, Required parameter is missing: buttons: Button at index 0 of type Url requires a parameter) [template-parameter-count] hint: {type: button, sub_type: url, index: 0, parameters: [{type: text, …}]}`},
		{"otp_old", "fr", body("123456") + `,{"type":"button","sub_type":"url","index":0,"parameters":[{"type":"text","text":"123456"}]}`, ``},
		{"coupon", "fr", `{"type":"button","sub_type":"copy_code","index":1,"parameters":[{"type":"coupon_code","coupon_code":"X1"}]}`, ``},
		{"catalog", "fr", ``, ``},
		{"catalog", "fr", `{"type":"button","sub_type":"CATALOG","index":0,"parameters":[{"type":"action","action":{}}]}`, ``},
		{"several", "fr", ``, `message: button 0 of several takes a parameter (Meta: 131008, Required parameter is missing: buttons: Button at index 0 of type Mpm requires a parameter) [template-parameter-count] hint: {type: button, sub_type: mpm, index: 0, parameters: [{type: action, …}]}`},
		{"form", "fr", `{"type":"button","sub_type":"flow","index":"0"}`, ``},

		// cards and offers
		{"cards", "fr", body("Ada") + `,{"type":"carousel","cards":[` + fmt.Sprintf(card, 0) + `,` + fmt.Sprintf(card, 1) + `]}`, ``},
		{"cards", "fr", body("Ada") + `,{"type":"carousel","cards":[` + fmt.Sprintf(card, 0) + `]}`, `message.components[1].cards: the carousel of cards has 2 cards, but the message fills in 1 (Meta: 132000, Number of parameters does not match the expected number of params: carousel: number of cards (1) does not match the expected number (2)) [template-cards-count]`},
		{"cards", "fr", body("Ada"), `message.components: the carousel of cards has 2 cards, but the message fills in 0 (Meta: 132000, Number of parameters does not match the expected number of params: carousel: number of cards (0) does not match the expected number (2)) [template-cards-count]`},
		{"cards", "fr", body("Ada") + `,{"type":"carousel","cards":[` + fmt.Sprintf(card, 0) + `,{"card_index":1,"components":[{"type":"body","parameters":[{"type":"text","text":"a"}]}]}]}`, `message.components[1].cards[1].components: the header of card 1 of cards takes one image (Meta: 132012, Parameter format does not match format in the created template: header: Format mismatch, expected IMAGE, received UNKNOWN) [template-parameter-kind] hint: {type: header, parameters: [{type: image, image: …}]}
message.components[1].cards[1].components: button 1 of card 1 of cards takes a parameter (Meta: 131008, Required parameter is missing: buttons: Button at index 1 of type Url requires a parameter) [template-parameter-count] hint: {type: button, sub_type: url, index: 1, parameters: [{type: text, …}]}`},
		{"products", "fr", `{"type":"carousel","cards":[{"card_index":0,"components":[{"type":"header","parameters":[{"type":"product","product":{}}]}]},{"card_index":1,"components":[{"type":"header","parameters":[{"type":"product","product":{}}]}]},{"card_index":2,"components":[{"type":"header","parameters":[{"type":"product","product":{}}]}]}]}`, ``},
		{"plain", "fr", `{"type":"carousel","cards":[]}`, `message.components[0]: plain has no carousel [template-cards-count] hint: leave it out`},
		{"offer", "fr", body("Ada") + `,{"type":"button","sub_type":"copy_code","index":0,"parameters":[{"type":"coupon_code","coupon_code":"X1"}]},` + follow, `message.components: the offer of offer ends, but the message does not say when [template-parameter-count] hint: {type: limited_time_offer, parameters: [{type: limited_time_offer, limited_time_offer: {expiration_time_ms: …}}]}`},
		{"plain", "fr", `{"type":"limited_time_offer","parameters":[]}`, `message.components[0]: plain has no offer that ends [template-parameter-count] hint: leave it out`},

		// what is not known yet
		{"?", "fr", body("a"), ``},
		{"shipped", "?", body("a") + "," + body("b"), ``},
		{"photo", "?", title + "," + body("a"), `message.components[0].parameters[0].type: the header of photo (fr) takes one image (Meta: 132012, Parameter format does not match format in the created template: header: Format mismatch, expected IMAGE, received TEXT) [template-parameter-kind] hint: {type: header, parameters: [{type: image, image: …}]}`},
		{"shipped", "fr", `"?"`, ``},
		{"shipped", "fr", title + `,{"type":"body","parameters":"?"},` + follow, ``},
		{"shipped", "fr", title + `,{"type":"body","parameters":["?","?"]},` + follow, ``},
		{"shipped", "fr", title + `,{"type":"body","parameters":["?"]},` + follow, `message.components[1].parameters: the body of shipped (fr) takes 2 parameters, but the message gives 1 (Meta: 132000, Number of parameters does not match the expected number of params: body: number of localizable_params (1) does not match the expected number of params (2)) [template-parameter-count]`},
		{"photo", "fr", `{"type":"header","parameters":[{"type":"?"}]},` + body("a"), ``},
	} {
		message := parsedJSON(t, fmt.Sprintf(`{"name":%q,"language":{"code":%q},"components":[%s]}`, tt.name, tt.language, tt.components)).(map[string]any)
		if tt.components == "" {
			delete(message, "components")
		}
		got := strings.Join(lintOf(t, map[string]any{"recipient": "+33612345678", "message_type": "template", "message": message}), "\n")
		if strings.HasPrefix(tt.want, `message.name: the account has no template`) {
			assert.True(t, strings.HasPrefix(got, tt.want), "%s %s %s\n%s", tt.name, tt.language, tt.components, got)
			continue
		}
		assert.Equal(t, tt.want, got, "%s %s %s", tt.name, tt.language, tt.components)
	}
	message := parsedJSON(t, `{"name":"shipped","language":{"code":"fr"},"components":"?"}`)
	assert.Empty(t, lintOf(t, map[string]any{"message_type": "template", "message": message}))
}

func TestWhomTemplatesGoTo(t *testing.T) {
	send := func(recipient any, name string) []string {
		components := `[{"type":"header","parameters":[{"type":"image","image":{"id":"1"}}]},{"type":"body","parameters":[{"type":"text","text":"a"}]}]`
		if name == "otp" {
			components = `[{"type":"body","parameters":[{"type":"text","text":"1"}]},{"type":"button","sub_type":"url","index":0,"parameters":[{"type":"text","text":"1"}]}]`
		}
		return lintOf(t, map[string]any{"recipient": recipient, "message_type": "TEMPLATE", "message": parsedJSON(t, `{"name":"`+name+`","language":{"code":"fr"},"components":`+components+`}`)})
	}
	american := []string{"recipient: warning: Meta has delivered no marketing templates to United States numbers since April 2025 (131049), and photo is one [template-marketing-us] hint: reach the person in another way, or use a utility template"}
	assert.Equal(t, american, send("+16505551234", "photo"))
	assert.Empty(t, send("+14165550123", "photo"), "Canada has the same country code")
	assert.Empty(t, send("+33612345678", "photo"))
	assert.Empty(t, send("+16505551234", "otp"))
	assert.Empty(t, send("nobody", "photo"))
	assert.Empty(t, send(schema.Unknown{Type: schema.AnyType}, "photo"))
	assert.Equal(t, []string{`recipient: "US.1349" is a business-scoped user ID, but authentication templates can be sent only to phone numbers (Meta: 131062) [template-user-id] hint: give the phone number`}, send("US.1349", "otp"))
}

func TestTemplatesOfFallbacks(t *testing.T) {
	fallback := func(kind string) map[string]any {
		f := map[string]any{"message": map[string]any{"name": "plain", "language": map[string]any{"code": "de"}}}
		if kind != "" {
			f["message_type"] = kind
		}
		return map[string]any{"message_type": "text", "message": map[string]any{"body": "a"}, "fallback": f}
	}
	for _, kind := range []string{"", "template", "Template"} {
		found := lintOf(t, fallback(kind))
		require.Len(t, found, 1)
		assert.Contains(t, found[0], "fallback.message.language.code: the template plain does not exist")
	}
	assert.Empty(t, lintOf(t, map[string]any{"message_type": "text", "message": map[string]any{"name": "plain"}}))
	assert.Empty(t, lintOf(t, map[string]any{}))
}

func TestTemplatesThatCannotBeKnown(t *testing.T) {
	in := schema.NewValue(map[string]any{"message_type": "template", "message": map[string]any{"name": "plain", "language": map[string]any{"code": "de"}}}, nil)
	assert.Empty(t, whatsapp.SendMessage(whatsapp.Options{}).Signature().Lint(in))
	none := whatsapp.Options{Templates: func() (*templates.Set, error) { return nil, nil }}
	assert.Empty(t, whatsapp.SendMessage(none).Signature().Lint(in))
	broken := whatsapp.Options{Templates: func() (*templates.Set, error) { return nil, fmt.Errorf("a.json: it is not JSON") }}
	found := whatsapp.SendMessage(broken).Signature().Lint(in)
	require.Len(t, found, 1)
	assert.Equal(t, "template-files", found[0].Rule)
	assert.Contains(t, found[0].Message, "a.json: it is not JSON")
	for _, rule := range []string{"template-files", "template-unknown", "template-language", "template-status", "template-user-id", "template-marketing-us",
		"template-parameter-count", "template-parameter-kind", "template-parameter-unnamed", "template-button-other", "template-cards-count"} {
		_, ok := whatsapp.ExplainRule(rule)
		assert.True(t, ok, rule)
	}
}

// TestTemplatesInUse: what Use writes is what the template takes, for each kind.
func TestTemplatesInUse(t *testing.T) {
	for _, d := range accountTemplates(t).All() {
		components, inputs := d.Use()
		message := map[string]any{"name": d.Name, "language": map[string]any{"code": d.Language}}
		if len(components) > 0 {
			message["components"] = templates.Fill(components, inputs)
		}
		in := map[string]any{"recipient": "+33612345678", "sender_phone_id": "1", "message_type": "template", "message": message}
		for _, line := range lintOf(t, in) {
			assert.Contains(t, line, "[template-status]", d.FileName())
		}
		sig := whatsapp.SendMessage(whatsapp.Options{}).Signature()
		coerced, found := sig.In.Coerce(in)
		assert.NoError(t, found.Err(), d.FileName())
		assert.NoError(t, sig.Check(schema.NewValue(coerced, nil)).Err(), d.FileName())
		names := map[string]bool{}
		for _, in := range inputs {
			assert.Regexp(t, `^[a-z][a-z0-9_]*$`, in.Name)
			assert.False(t, names[in.Name], in.Name)
			names[in.Name] = true
			assert.NotNil(t, in.Example)
		}
	}
}

func TestTemplateFiles(t *testing.T) {
	for _, text := range account {
		d, err := templates.Read([]byte(text))
		require.NoError(t, err)
		written, err := d.Encode()
		require.NoError(t, err)
		assert.NotContains(t, string(written), "header_handle")
		again, err := templates.Read(written)
		require.NoError(t, err)
		rewritten, err := again.Encode()
		require.NoError(t, err)
		assert.Equal(t, string(written), string(rewritten))
	}
	for text, want := range map[string]string{"": "not JSON", "{": "not JSON", "[]": "no name", `{"name":"x"}`: "no language", `{"name":"x","language":"fr","components":7}`: ""} {
		_, err := templates.Read([]byte(text))
		if want == "" {
			assert.NoError(t, err)
		} else {
			assert.ErrorContains(t, err, want)
		}
	}
	twice := accountTemplates(t).All()
	_, err := templates.NewSet(append(twice, twice[0]))
	assert.ErrorContains(t, err, "occurs twice")
}

// FuzzTemplates: any template is read or refused, and compared with any message.
func FuzzTemplates(f *testing.F) {
	for _, text := range account {
		f.Add(text, `{"name":"shipped","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text"}]}]}`)
	}
	f.Add(`{"name":"x","language":"fr","components":[{"type":"CAROUSEL","cards":[{"components":[{"type":"CAROUSEL","cards":[7]}]}]}]}`, `{"name":"x","language":{"code":"fr"},"components":[{"type":"carousel","cards":[null,{"card_index":"0"}]}]}`)
	f.Fuzz(func(t *testing.T, template, message string) {
		d, err := templates.Read([]byte(template))
		if err != nil {
			return
		}
		_, err = d.Encode()
		require.NoError(t, err)
		components, inputs := d.Use()
		_, err = json.Marshal(templates.Fill(components, inputs))
		require.NoError(t, err)
		set, err := templates.NewSet([]*templates.Definition{d})
		require.NoError(t, err)
		var m map[string]any
		if json.Unmarshal([]byte(message), &m) != nil || m == nil {
			return
		}
		m["name"], m["language"] = d.Name, map[string]any{"code": d.Language}
		sig := whatsapp.SendMessage(whatsapp.Options{Templates: func() (*templates.Set, error) { return set, nil }}).Signature()
		in := map[string]any{"message_type": "template", "message": m, "recipient": "+33612345678"}
		assert.Equal(t, sig.Lint(schema.NewValue(in, nil)), sig.Lint(schema.NewValue(in, nil)))
	})
}
