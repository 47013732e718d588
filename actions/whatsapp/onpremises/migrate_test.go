package onpremises_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/onpremises"
	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var migrations = []struct{ name, old, cloud, changes string }{
	{"a text", `{"to":"33612345678","preview_url":true,"text":{"body":"Bonjour"}}`,
		`{"messaging_product":"whatsapp","to":"+33612345678","type":"text","text":{"body":"Bonjour","preview_url":true}}`,
		"messaging_product to text.preview_url type"},
	{"an hsm", `{"to":"+33612345678","type":"hsm","ttl":60,"hsm":{"namespace":"n","element_name":"order_shipped","language":{"policy":"fallback","code":"fr"},"localizable_params":[{"default":"Ada"},{"default":"7 EUR","currency":{"currency_code":"EUR","amount_1000":7000}}]}}`,
		`{"messaging_product":"whatsapp","to":"+33612345678","type":"template","template":{"name":"order_shipped","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text","text":"Ada"},{"type":"currency","currency":{"fallback_value":"7 EUR","code":"EUR","amount_1000":7000}}]}]}}`,
		"messaging_product ttl ttl! template type template.language.policy template.language.code!"},
	{"a file", `{"to":"+33612345678","type":"image","image":{"id":"f043afd0","provider":{"name":"shop"},"unheard":1}}`,
		`{"messaging_product":"whatsapp","to":"+33612345678","type":"image","image":{"id":"f043afd0"}}`,
		"messaging_product image.provider image.link! image.id! image.unheard"},
	{"read", `{"status":"read"}`, `{"messaging_product":"whatsapp","status":"read"}`, "messaging_product message_id!"},
}

// TestMigrate: what comes out, and the paths of what was done, with a ! what is left to do.
func TestMigrate(t *testing.T) {
	for _, tt := range migrations {
		t.Run(tt.name, func(t *testing.T) {
			v, err := actions.DecodeJSON([]byte(tt.old))
			require.NoError(t, err)
			cloud, changes := onpremises.Migrate(v.(map[string]any))
			got, err := schema.AppendJSON(nil, cloud)
			require.NoError(t, err)
			assert.JSONEq(t, tt.cloud, string(got))
			var paths []string
			for _, c := range changes {
				path := c.Path.String()
				if c.Todo {
					path += "!"
				}
				paths = append(paths, path)
			}
			assert.Equal(t, tt.changes, strings.Join(paths, " "))
		})
	}
}

// FuzzMigrate: what comes out is a Cloud body without unknown fields, and migrating it
// again changes nothing more.
func FuzzMigrate(f *testing.F) {
	files, err := filepath.Glob("../../../testdata/messages/*.txt")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		body, _, _ := strings.Cut(string(text), "\n\n") // the changes of it are for rules
		f.Add(body)
	}
	for _, m := range migrations {
		f.Add(m.old)
	}
	for _, text := range []string{`{"template":[]}`, `{"messaging_product":"whatsapp","type":"template","template":{"components":[null,{"type":"button","index":{},"parameters":[7]}]}}`,
		`{"hsm":{"localizable_params":[{"currency":7}]}}`, `{"type":"interactive","interactive":{"type":"carousel","action":{"cards":[{"action":[]}]}}}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := actions.DecodeJSON([]byte(text))
		body, ok := v.(map[string]any)
		if err != nil || !ok {
			return
		}
		before, _ := schema.AppendJSON(nil, body)
		cloud, changes := onpremises.Migrate(body)
		after, _ := schema.AppendJSON(nil, body)
		assert.Equal(t, before, after, "a body is not changed")
		for _, c := range changes {
			assert.NotEmpty(t, c.Text)
		}
		for _, v := range whatsapp.CheckBody(cloud) {
			assert.NotEqual(t, "on-premises", v.Rule, "%v", v)
			assert.NotEqual(t, "unknown-field", v.Rule, "%v", v)
		}
		again, changes := onpremises.Migrate(cloud)
		assert.Equal(t, cloud, again)
		for _, c := range changes {
			assert.True(t, c.Todo, "%v", c)
		}
	})
}
