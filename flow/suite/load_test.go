package suite_test

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/flow"
	"facteur/flow/plan"
	"facteur/flow/suite"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A flow with errors, also if only with the settings of a case, is reported in the test.
func TestBrokenFlow(t *testing.T) {
	flows := map[string]string{
		"typo": "flow: typo\nsteps: [{id: a, action: letter.pst}]\n",
		"shop": "flow: shop\nsteps: [{id: a, action: letter.post, with: {to: x, text: \"${settings.shop}\"}}]\n",
	}
	lib := plan.Library{Catalog: catalog{}, Settings: map[string]any{"shop": "x"}, FlowNames: slices.Sorted(maps.Keys(flows)), Flow: func(name string) *flow.Flow {
		f, _ := flow.Parse(name+".flow.yaml", []byte(flows[name]))
		return f
	}}
	for _, test := range []struct{ text, want string }{
		{"flow: typo\ncases: [{name: x}]", `t.test.yaml:1:7: error: the flow typo has errors: typo.flow.yaml:2:25: error: there is no action "letter.pst"`},
		{"flow: shop\ncases: [{name: x, settings: {shop: [1]}}]", "t.test.yaml:2:29: error: with these settings, the flow has errors"},
	} {
		f, diags := suite.Load("t.test.yaml", []byte(test.text), lib)
		assert.Nil(t, f)
		assert.ErrorContains(t, diags.Err(), test.want)
	}
	f, diags := suite.Load("t.test.yaml", []byte("flow: shop\ncases: [{name: x, settings: {more: 1}}]"), plan.Library{Catalog: catalog{}})
	assert.Nil(t, f)
	assert.ErrorContains(t, diags.Err(), `there is no flow "shop"`)
}

func TestEvents(t *testing.T) {
	archive, err := txtar.ParseFile(filepath.Join(corpus, "run", "conversation.txtar"))
	require.NoError(t, err)
	lib := library(t, archive.Files)
	p, diags := plan.Compile(lib.Flow("a"), lib)
	require.NoError(t, diags.Err())
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

	feed, diags := suite.Events("events.yaml", []byte(`events:
  - {at: 1h, event: whatsapp.message, from: "+33612345678", text: 012}
  - {receipt: ask, status: failed, error: {code: 131047}, message_id: m1}
`), p, catalog{}, now)
	require.NoError(t, diags.Err())
	require.Len(t, feed, 2)
	assert.Equal(t, time.Hour, feed[0].At)
	assert.Equal(t, []string{"+33612345678"}, feed[0].Event.Subjects)
	assert.Equal(t, map[string]any{"from": "+33612345678", "text": "012", "sender_phone_id": "", "raw": nil}, feed[0].Event.Data)
	assert.Equal(t, "ask", feed[1].After)
	assert.Equal(t, "failed", feed[1].Receipt.State)
	assert.Equal(t, "m1", feed[1].Receipt.Data["message_id"])
	assert.Equal(t, int64(131047), feed[1].Receipt.Error.MetaCode)

	bare, diags := suite.Events("events.yaml", []byte(`- {at: 1h, event: whatsapp.message, from: "+33612345678", text: 012}`), p, catalog{}, now)
	require.NoError(t, diags.Err())
	assert.Equal(t, feed[:1], bare)

	for _, text := range []string{"", "events: 1", "event: []", "events: [{at: 1h}]", "[{at: 1h}]", "[x]", "events: [x]"} {
		_, diags := suite.Events("events.yaml", []byte(text), p, catalog{}, now)
		assert.Error(t, diags.Err(), text)
	}
}

func TestJSONSchema(t *testing.T) {
	text := func(s map[string]any) string {
		b, err := json.Marshal(s)
		require.NoError(t, err)
		return string(b)
	}
	plain := suite.JSONSchema()
	assert.Equal(t, text(plain), text(suite.JSONSchema()), "it is the same every time")
	cases := plain["properties"].(map[string]any)["cases"].(map[string]any)["items"].(map[string]any)
	keys := slices.Sorted(maps.Keys(cases["properties"].(map[string]any)))
	assert.Equal(t, []string{
		"connections", "crash", "events", "exchanges", "expect", "holds", "inputs", "inputs_file", "name", "now", "random",
		"recording", "settings", "trigger", "window",
	}, keys)
	assert.Equal(t, false, cases["additionalProperties"])
	assert.Contains(t, text(cases), `"crash":{"anyOf":[{"additionalProperties":false`)
}

// FuzzLoad: any test file is loaded or refused, and a loaded one runs.
func FuzzLoad(f *testing.F) {
	for _, folder := range []string{"run", "load"} {
		names, err := filepath.Glob(filepath.Join(corpus, folder, "*.txtar"))
		require.NoError(f, err)
		for _, name := range names {
			archive, err := txtar.ParseFile(name)
			require.NoError(f, err)
			for _, file := range archive.Files {
				if strings.HasSuffix(file.Name, ".test.yaml") {
					// One case at a time: what is short is mutated to more effect.
					head, cases, _ := strings.Cut(string(file.Data), "  - ")
					for one := range strings.SplitSeq(cases, "\n  - ") {
						f.Add([]byte(head + "  - " + one + "\n"))
					}
				}
			}
		}
	}
	archive, err := txtar.ParseFile(filepath.Join(corpus, "run", "conversation.txtar"))
	require.NoError(f, err)
	lib := library(f, archive.Files)
	f.Fuzz(func(t *testing.T, text []byte) {
		loaded, diags := suite.Load("f.test.yaml", text, lib)
		if diags.HasErrors() != (loaded == nil) {
			t.Fatal(diags.Err())
		}
		if loaded != nil {
			suite.Run(t.Context(), loaded, options(nil))
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	archive, err := txtar.ParseFile(filepath.Join(corpus, "run", "exchanges.txtar"))
	require.NoError(b, err)
	lib := library(b, archive.Files)
	b.ReportAllocs()
	for b.Loop() {
		suite.Load("a.test.yaml", archive.Files[1].Data, lib)
	}
}

func BenchmarkRun(b *testing.B) {
	archive, err := txtar.ParseFile(filepath.Join(corpus, "run", "exchanges.txtar"))
	require.NoError(b, err)
	f, diags := suite.Load("a.test.yaml", archive.Files[1].Data, library(b, archive.Files))
	require.NoError(b, diags.Err())
	o := options(archive.Files)
	o.Select = func(name string) bool { return name == "accepted" }
	b.ReportAllocs()
	for b.Loop() {
		suite.Run(b.Context(), f, o)
	}
}
