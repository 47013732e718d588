package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/actions"
	"facteur/actions/whatsapp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// asCurl writes a body as people write curl commands.
func asCurl(body, style string) string {
	head := "curl -i -X POST https://graph.facebook.com/v23.0/106540352242922/messages \\\n -H 'Authorization: Bearer EAAJB' \\\n"
	switch style {
	case "double":
		return head + ` -d "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(body) + `"`
	case "ansi":
		return head + ` --data-raw $'` + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(body) + `'`
	}
	return head + " --json '" + strings.ReplaceAll(body, "'", `'\''`) + "'"
}

// Each example, as a curl command, becomes a step that validates; the request of that step
// equals the body of the command.
func TestImportRoundTrip(t *testing.T) {
	files, err := filepath.Glob("../../examples/messages/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	styles := []string{"single", "double", "ansi"}
	t.Setenv("FACTEUR_CONNECTION_WHATSAPP_TOKEN", "test")
	for i, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		style := styles[i%len(styles)]
		t.Run(style+"/"+filepath.Base(file), func(t *testing.T) {
			dir := t.TempDir()
			code, step, notes := facteur(t, dir, asCurl(string(text), style), "import", "-")
			require.Equal(t, 0, code, notes)
			assert.Empty(t, notes)
			assert.NotContains(t, step, "EAAJB")
			flow := filepath.Join(dir, "f.flow.yaml")
			require.NoError(t, os.WriteFile(filepath.Join(dir, "facteur.yaml"), []byte("connections:\n  whatsapp: {app: WHATSAPP}\n"), 0o644))
			require.NoError(t, os.WriteFile(flow, []byte("flow: f\nsteps:\n"+step), 0o644))
			code, _, said := facteur(t, dir, "", "validate", dir)
			require.Equal(t, 0, code, "%s\n%s", said, step)
			code, out, said := facteur(t, dir, "", "run", flow, "--dry-run", "--json")
			require.Equal(t, 0, code, said)
			var result struct {
				Requests []struct {
					URL  string         `json:"url"`
					Body map[string]any `json:"body"`
				} `json:"requests"`
			}
			require.NoError(t, json.Unmarshal([]byte(out), &result))
			require.Len(t, result.Requests, 1)
			var want map[string]any
			require.NoError(t, json.Unmarshal(text, &want))
			got := result.Requests[0].Body
			delete(got, "biz_opaque_callback_data")
			assert.Equal(t, want, got)
			assert.True(t, strings.HasSuffix(result.Requests[0].URL, "/106540352242922/messages"))
		})
	}
}

// FuzzImport: whatever is pasted, the step is YAML that the language reads, or an error
// says why there is none; no header gets into it.
func FuzzImport(f *testing.F) {
	for _, text := range []string{`{"messaging_product":"whatsapp","to":"1","type":"text","text":{"body":"${x} # : \n'\""}}`,
		`{"hsm":{}}`, `{"status":"read"}`, `[]`, "curl", `curl -d`, `curl -H 'Authorization: Bearer SECRET' -d '{"type":7}' x`, "curl -d '{\"a: b\":{\"- c\":[[],{},null,1e99]}}'"} {
		f.Add(text)
	}
	body := `{"messaging_product":"whatsapp","to":"+33612345678","type":"text","text":{"body":"it's"}}`
	for _, style := range []string{"single", "double", "ansi"} {
		f.Add(asCurl(body, style))
	}
	f.Fuzz(func(t *testing.T, text string) {
		body, at, err := readRequest(text)
		if err != nil {
			return
		}
		s := importOf(body, at, "shop")
		assert.True(t, strings.HasPrefix(s.yaml, "- id: "))
		whatsapp.CheckBody(s.body)
		for line := range strings.Lines(s.yaml) {
			assert.True(t, strings.HasSuffix(line, "\n"))
		}
	})
}

// FuzzCheckMessages: whatever stands in a file, its findings have a rule and one line each.
func FuzzCheckMessages(f *testing.F) {
	for _, text := range []string{"", "{}", "{}\n{}\n", "\ufeff{}", "{\n}", "[1]", "{}\nx\n", `{"to":"a\nb"}`, "\xff"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		_, found := checkBodies("x", text)
		for _, v := range found {
			assert.NotEmpty(t, v.Rule)
			assert.NotEmpty(t, v.Path)
			assert.NotContains(t, v.String(), "\n")
		}
	})
}

// manyBodies is 10,000 bodies, all different, as JSON Lines.
func manyBodies(b *testing.B) []byte {
	files, err := filepath.Glob("../../examples/messages/*.json")
	require.NoError(b, err)
	var texts []map[string]any
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(b, err)
		v, err := actions.DecodeJSON(text)
		require.NoError(b, err)
		texts = append(texts, v.(map[string]any))
	}
	var out bytes.Buffer
	for i := range 10000 {
		body := texts[i%len(texts)]
		if body["to"] != nil {
			body["to"] = "+3361" + string([]byte{byte('0' + i/1000), byte('0' + i/100%10), byte('0' + i/10%10), byte('0' + i%10)}) + "123"
		}
		text, err := json.Marshal(body)
		require.NoError(b, err)
		out.Write(append(text, '\n'))
	}
	return out.Bytes()
}

// BenchmarkCheckMessages is facteur message check of 10,000 bodies.
func BenchmarkCheckMessages(b *testing.B) {
	text := manyBodies(b)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if n, found := checkBodies("-", text); n != 10000 || len(found) > 0 {
			b.Fatal(n, found[:min(3, len(found))])
		}
	}
}
