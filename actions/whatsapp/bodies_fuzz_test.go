package whatsapp_test

import (
	"fmt"
	"strings"
	"testing"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func seedBodies(f *testing.F) {
	for i, c := range bodyCases(f) {
		if text, err := schema.AppendJSON(nil, c.body); err == nil && len(text) < 4000 && i%3 == 0 {
			f.Add(string(text))
		}
	}
	for _, text := range []string{`null`, `{"template":[]}`, `{"messaging_product":"whatsapp","type":"template","template":{"components":[null,{"type":"button","index":{},"parameters":[7]}]}}`,
		`{"hsm":{"localizable_params":[{"currency":7}]}}`, `{"type":"interactive","interactive":{"type":"carousel","action":{"cards":[{"action":[]}]}}}`} {
		f.Add(text)
	}
}

// FuzzCheckBody: for any body the findings are deterministic, and each has a path and a
// message.
func FuzzCheckBody(f *testing.F) {
	seedBodies(f)
	f.Fuzz(func(t *testing.T, text string) {
		body, err := actions.DecodeJSON([]byte(text))
		if err != nil {
			return
		}
		before, _ := schema.AppendJSON(nil, body)
		found := whatsapp.CheckBody(body)
		after, _ := schema.AppendJSON(nil, body)
		assert.Equal(t, before, after, "a body is not changed")
		assert.Equal(t, found, whatsapp.CheckBody(body))
		for _, v := range found {
			assert.NotEmpty(t, v.Message)
			_, known := whatsapp.ExplainRule(v.Rule)
			assert.True(t, known || genericRules[v.Rule], v.Rule)
		}
	})
}

// genericRules are the rules of schemas, which need no documentation of their own.
var genericRules = map[string]bool{"type": true, "required": true, "unknown-field": true, "utf16-length": true}

// hugeBodies returns bodies of a megabyte with as many violations as possible.
func hugeBodies() map[string]string {
	const n = 1 << 20
	wrap := func(kind, inner string) string {
		return `{"messaging_product":"whatsapp","to":"+33612345678","type":"` + kind + `","` + kind + `":` + inner + `}`
	}
	many := func(element string, size int) string {
		return strings.TrimSuffix(strings.Repeat(element+",", size/len(element)), ",")
	}
	var names strings.Builder
	for i := 0; names.Len() < n; i++ {
		fmt.Fprintf(&names, `"f%d":%d,`, i, i)
	}
	return map[string]string{
		"text":           wrap("text", `{"body":"`+strings.Repeat("é", n/2)+`"}`),
		"unknown fields": wrap("text", `{`+names.String()+`"body":"x"}`),
		"rows":           wrap("interactive", `{"type":"list","body":{"text":"x"},"action":{"button":"x","sections":[{"rows":[`+many(`{"id":"x","title":" x"}`, n)+`]}]}}`),
		"sections":       wrap("interactive", `{"type":"list","body":{"text":"x"},"action":{"button":"x","sections":[`+many(`{"rows":[]}`, n)+`]}}`),
		"contacts":       wrap("contacts", `[`+many(`{"name":{"formatted_name":"x"},"birthday":"x"}`, n)+`]`),
		"buttons":        wrap("template", `{"name":"n","language":{"code":"fr"},"components":[`+many(`{"type":"button"}`, n)+`]}`),
		"parameters":     wrap("template", `{"name":"n","language":{"code":"fr"},"components":[{"type":"body","parameters":[`+many(`{"type":"text","text":"a\nb{{x}}","parameter_name":"n"}`, n)+`]}]}`),
		"depth":          wrap("template", strings.Repeat(`{"x":`, 5000)+"1"+strings.Repeat(`}`, 5000)),
		"placeholders":   wrap("text", `{"body":"`+strings.Repeat("{{", n/2)+`"}`),
	}
}

func TestHugeBodies(t *testing.T) {
	for name, text := range hugeBodies() {
		body, err := actions.DecodeJSON([]byte(text))
		require.NoError(t, err, name)
		found := whatsapp.CheckBody(body)
		assert.NotEmpty(t, found, name)
		assert.Less(t, len(found), 600, name)
	}
}

func BenchmarkHugeBody(b *testing.B) {
	for name, text := range hugeBodies() {
		body, err := actions.DecodeJSON([]byte(text))
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				whatsapp.CheckBody(body)
			}
		})
	}
}

// largeTemplate is a template message of 3 KB.
func largeTemplate(b *testing.B) map[string]any {
	text := `{"messaging_product":"whatsapp","recipient_type":"individual","to":"+33612345678","type":"template","template":{"name":"order_shipped","language":{"code":"fr"},"components":[
		{"type":"header","parameters":[{"type":"image","image":{"link":"https://cdn.shop.test/parcels/7.jpg"}}]},
		{"type":"body","parameters":[{"type":"text","text":"` + strings.Repeat("x", 220) + `"}]*10},
		{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"7"}]},
		{"type":"button","sub_type":"quick_reply","index":"1","parameters":[{"type":"payload","payload":"` + strings.Repeat("y", 200) + `"}]}]}}`
	v := decodeJSON(b, text)
	out, err := schema.AppendJSON(nil, v)
	require.NoError(b, err)
	require.Greater(b, len(out), 3000)
	require.Empty(b, whatsapp.CheckBody(v))
	return v.(map[string]any)
}

// BenchmarkRules is the cost of the rules on a template message of 3 KB, without schema and
// recipient.
func BenchmarkRules(b *testing.B) {
	sig := newSet(b, nil, whatsapp.Options{}).Action("whatsapp.send_message")
	in, found := sig.In.Coerce(map[string]any{"sender_phone_id": sender, "recipient": "+33612345678", "message_type": "template", "message": largeTemplate(b)["template"]})
	require.NoError(b, found.Err())
	b.ReportAllocs()
	for b.Loop() {
		if found := sig.Check(schema.NewValue(in, nil)); len(found) > 0 {
			b.Fatal(found)
		}
	}
}

// BenchmarkCheckBody is the cost of schema, rules and recipient for the same message.
func BenchmarkCheckBody(b *testing.B) {
	body := largeTemplate(b)
	b.ReportAllocs()
	for b.Loop() {
		if found := whatsapp.CheckBody(body); len(found) > 0 {
			b.Fatal(found)
		}
	}
}
