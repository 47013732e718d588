package yamltext_test

import (
	"encoding/json"
	"testing"
	"time"

	"facteur/cmd/facteur/yamltext"
	"facteur/flow"
	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLine(t *testing.T) {
	for want, v := range map[string]any{
		"null":                            nil,
		"Bonjour":                         "Bonjour",
		"order_shipped v2.1":              "order_shipped v2.1",
		`"no"`:                            "no",
		`"007"`:                           "007",
		`"+33612345678"`:                  "+33612345678",
		`"a: b # c"`:                      "a: b # c",
		`"${inputs.phone}"`:               "${inputs.phone}",
		`"l'été\n"`:                       "l'été\n",
		"7":                               int64(7),
		"0.5":                             0.5,
		"7d12h":                           180 * time.Hour,
		`"2030-01-31T09:00:00Z"`:          time.Date(2030, 1, 31, 10, 0, 0, 0, time.FixedZone("", 3600)),
		`[]`:                              []any{},
		`{type: text, a: [1, {}], "": x}`: map[string]any{"a": []any{int64(1), map[string]any{}}, "type": "text", "": "x"},
	} {
		if want[0] == '{' {
			want = `{type: text, "": x, a: [1, {}]}`
		}
		assert.Equal(t, want, yamltext.Order{"type"}.Line(v))
	}
}

// A block has short things on one line, and expressions without quotes where they stand alone.
func TestBlock(t *testing.T) {
	var v any
	require.NoError(t, json.Unmarshal([]byte(`{"to": "${inputs.phone}", "message": {"type": "button", "body": {"text": "Which of these parcels would you like to have sent to another address?"},
		"action": {"buttons": [{"type": "reply", "reply": {"id": "a", "title": "The first"}}, {"type": "reply", "reply": {"id": "b", "title": "The second one, which is in the shop and not yet on its way"}}]}}}`), &v))
	assert.Equal(t, `  message:
    type: button
    action:
      buttons:
        - {type: reply, reply: {id: a, title: The first}}
        - type: reply
          reply:
            id: b
            title: "The second one, which is in the shop and not yet on its way"
    body:
      text: "Which of these parcels would you like to have sent to another address?"
  to: ${inputs.phone}
`, yamltext.Order{"type"}.Block(v, "  "))
}

// FuzzText: what is written is read as the same value.
func FuzzText(f *testing.F) {
	for _, text := range []string{`{"a":[1,{"b c":"no"}],"":null}`, `["${x}","- a","7d","1e3",""]`, `"a\u0085\u2028\ufeff\u0000b"`, `{"é":"\t \\ \" ' : #"}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := schema.ReadJSON([]byte(text))
		if err != nil {
			return
		}
		written := []string{yamltext.Order{"type"}.Line(v)}
		if m, ok := v.(map[string]any); ok && len(m) > 0 {
			written = append(written, yamltext.Order{"type"}.Block(v, ""))
		}
		for _, out := range written {
			node, found := flow.ParseValue("x", []byte(out))
			require.Empty(t, found, "%q", out)
			back, found := node.Coerce(schema.AnyType)
			require.Empty(t, found, "%q", out)
			require.Equal(t, v, back, "%q", out)
		}
	})
}
