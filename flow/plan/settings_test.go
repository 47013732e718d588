package plan_test

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"facteur/flow"
	"facteur/flow/plan"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A run is resumed with the settings it started with, in their types.
func TestRestoreSettings(t *testing.T) {
	paris := time.FixedZone("", 3600)
	settings := map[string]any{
		"text": "1", "int": int64(1), "number": 1.0, "large": 1e300, "small": -1e-9, "zero": -0.5, "yes": true, "none": nil,
		"numbers": []any{1.0, 2.0}, "ints": []any{int64(1), int64(9007199254740993)}, "mixed": []any{int64(1), "a", nil, []any{2.0}},
		"pause": 36 * time.Hour, "since": time.Date(2026, 3, 1, 8, 0, 0, 5, paris),
		"shop":    map[string]any{"name": "Chez \"Nous\" <é>\u2028", "rates": map[string]any{"a": 1.0, "b": 2.0}, "closed": map[string]any{"from": time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC), "for": -time.Second}},
		"$dollar": map[string]any{"$timestamp": "no time", "$$": int64(2), "$duration": "90s"},
		"empty":   map[string]any{}, "list": []any{},
	}
	lib := flows(t, map[string]string{"main": "flow: main\nsteps:\n  - set: {all: \"${json(settings)}\", half: \"${settings.number / 2.0}\", later: \"${settings.since + settings.pause}\"}\n"})
	lib.Settings = settings
	before := compiled(t, lib, "main")
	require.Contains(t, before.Texts, plan.SettingsText)

	after, diags := plan.Restore("main", before.Texts, plan.Library{Catalog: catalog(), Settings: map[string]any{"int": "today another"}})
	require.Empty(t, diags)
	assert.Equal(t, before.Digest, after.Digest)
	assert.Equal(t, before.Texts, after.Texts)
	assert.Len(t, after.Sources, 1)
	since := after.Settings["since"].(time.Time)
	assert.True(t, since.Equal(settings["since"].(time.Time)))
	assert.Equal(t, settings["since"].(time.Time).Format(time.RFC3339Nano), since.Format(time.RFC3339Nano))
	want := maps.Clone(before.Settings)
	want["since"] = since
	assert.Equal(t, want, after.Settings)
}

// Settings that a flow does not read are neither stored nor part of its digest.
func TestSettingsThatAreRead(t *testing.T) {
	texts := map[string]string{
		"none":    "flow: none\nsteps:\n  - set: {settings: \"${'settings.a'}\"}\n",
		"text":    "flow: text\nsteps:\n  - set: {x: \"a ${settings.a} c\"}\n",
		"cond":    "flow: cond\nsteps:\n  - {if: 'settings.b.x == 1', wait: 1s}\n",
		"maybe":   "flow: maybe\nsteps:\n  - set: {x: \"${settings.?b.x.orValue(0)}\"}\n",
		"has":     "flow: has\nsteps:\n  - {if: 'has(settings.a)', wait: 1s}\n",
		"macro":   "flow: macro\nsteps:\n  - set: {x: \"${[1].map(i, .settings.b.x + i)}\"}\n",
		"whole":   "flow: whole\nsteps:\n  - set: {x: \"${json(settings)}\"}\n",
		"key":     "flow: key\nconcurrency: {key: \"${settings.a}\", limit: 1}\nsteps:\n  - wait: 1s\n",
		"trigger": "flow: trigger\ntriggers:\n  - schedule: {cron: '0 9 * * *', inputs: {a: \"${settings.a}\"}}\ninputs: {a: {type: string}}\nsteps:\n  - {if: 'inputs.a != \"\"', wait: 1s}\n",
		"call":    "flow: call\nsteps:\n  - call: text\n  - call: cond\n",
		"outputs": "flow: outputs\nsteps:\n  - wait: 1s\noutputs: {a: \"${settings.a}\"}\n",
	}
	const a, b = `"a":"x"`, `"b":{"x":1}`
	for name, want := range map[string]string{
		"none": "", "text": a, "cond": b, "maybe": b, "has": a, "macro": b, "whole": a + "," + b + `,"c":2.0`, "key": a, "trigger": a, "call": a + "," + b, "outputs": a,
	} {
		t.Run(name, func(t *testing.T) {
			lib := flows(t, texts)
			lib.Settings = map[string]any{"a": "x", "b": map[string]any{"x": int64(1)}, "c": 2.0}
			p := compiled(t, lib, name)
			if want == "" {
				assert.NotContains(t, p.Texts, plan.SettingsText)
			} else {
				assert.Equal(t, "{"+want+"}", p.Texts[plan.SettingsText])
			}
			for setting, v := range map[string]any{"a": "y", "b": map[string]any{"x": int64(2)}, "c": 3.0} {
				changed := lib
				changed.Settings = maps.Clone(lib.Settings)
				changed.Settings[setting] = v
				q := compiled(t, changed, name)
				assert.Equal(t, contains(p, setting), p.Digest != q.Digest, setting)
			}
			_, diags := plan.Restore(name, p.Texts, plan.Library{Catalog: catalog()})
			assert.Empty(t, diags, "what is stored is enough")
		})
	}
}

func contains(p *plan.Plan, setting string) bool {
	var stored map[string]any
	_ = json.Unmarshal([]byte(p.Texts[plan.SettingsText]), &stored)
	_, ok := stored[setting]
	return ok
}

// A run that was stored without its settings is resumed with the current ones.
func TestRestoreWithoutSettings(t *testing.T) {
	lib := flows(t, map[string]string{"main": "flow: main\nsteps:\n  - set: {x: \"${settings.a}\"}\n"})
	lib.Settings = map[string]any{"a": "x"}
	p := compiled(t, lib, "main")
	old := maps.Clone(p.Texts)
	delete(old, plan.SettingsText)
	bare := flows(t, map[string]string{"main": "flow: main\nsteps:\n  - set: {x: \"x\"}\n"})
	restored, diags := plan.Restore("main", old, lib)
	require.Empty(t, diags)
	assert.Equal(t, old, restored.Texts)
	assert.NotEqual(t, p.Digest, restored.Digest)
	assert.Equal(t, map[string]any{"a": "x"}, restored.Settings)
	assert.NotEqual(t, compiled(t, bare, "main").Digest, restored.Digest)

	for _, text := range []string{"[]", "{", `{"a":1e999}`, `{"a":{"$timestamp":"noon"}}`, `{"$duration":"1s"}`, `{"a":99999999999999999999}`} {
		old[plan.SettingsText] = text
		_, diags := plan.Restore("main", old, lib)
		assert.Equal(t, []string{"type"}, codes(diags), text)
	}
}

// FuzzSettings: any settings survive storing and resuming.
func FuzzSettings(f *testing.F) {
	for _, seed := range []string{
		`{"a":1,"b":1.0,"c":[1,2.5],"d":{"x":null}}`, `{"$a":{"$$timestamp":"2026"},"":[[]]}`, `{"n":1e21,"m":-0.0,"t":"\u0000é"}`, `{}`,
	} {
		f.Add(seed)
	}
	source, diags := flow.Parse("main.flow.yaml", []byte("flow: main\nsteps:\n  - set: {x: \"${json(settings)}\"}\n"))
	require.Empty(f, diags)
	f.Fuzz(func(t *testing.T, text string) {
		var settings map[string]any
		if json.Unmarshal([]byte(text), &settings) != nil {
			return
		}
		before, diags := plan.Compile(source, plan.Library{Catalog: catalog(), Settings: settings})
		if diags.HasErrors() {
			return
		}
		after, diags := plan.Restore("main", before.Texts, plan.Library{Catalog: catalog()})
		require.Empty(t, diags)
		assert.Equal(t, before.Settings, after.Settings)
		again, diags := plan.Compile(source, plan.Library{Catalog: catalog(), Settings: after.Settings})
		require.Empty(t, diags)
		assert.Equal(t, before.Digest, again.Digest)
	})
}
