package dev_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/project"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Connections that are not simulated are those of the project's encrypted file; it, and the
// folder that it is in, stay as they were.
func TestKnowsTheVault(t *testing.T) {
	orders := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"known": %t}`, r.Header.Get("Authorization") == "Bearer of-orders")
	}))
	defer orders.Close()
	dir := t.TempDir()
	write(t, filepath.Join(dir, project.FileName), fmt.Sprintf(`
connections:
  shop: {app: WHATSAPP, sender_phone_id: "106540352242922"}
  orders: {app: HTTP, type: bearer, base_url: %q}
http: {allow_private: true}
`, orders.URL))
	write(t, filepath.Join(dir, "look.flow.yaml"), `flow: look
steps:
  - {id: asked, action: http.request, connection: orders, with: {url: /7}}
  - {id: tell, action: whatsapp.send_message, connection: shop, with: {recipient: "+33536490003", message_type: text, message: {body: "${string(steps.asked.outputs.json.known)}"}}}
outputs: {known: "${steps.asked.outputs.json.known}"}
`)
	v, err := vault.New(vault.Config{Dir: filepath.Join(dir, "data")})
	require.NoError(t, err)
	require.NoError(t, v.Set(t.Context(), "orders", vault.HTTP, map[string]string{"type": "bearer"}, map[string]vault.Secret{"token": vault.NewSecret("of-orders")}))
	require.NoError(t, v.Set(t.Context(), "shop", vault.WhatsApp, nil, map[string]vault.Secret{"token": vault.NewSecret("EAAGreal")}))
	require.NoError(t, v.Close())
	before := contents(t, dir)

	d := developingIn(t, dir)
	_, _, query := d.run("look", nil)
	d.log.Wait(t, `run  run \S+  flow look  status succeeded`)
	assert.Contains(t, d.get("/dev/live"+query), `<dt>known</dt><dd dir="auto">true</dd>`)
	assert.NoError(t, d.stop(), d.log)
	assert.Equal(t, before, contents(t, dir))
}

// contents gives the files of a folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, dir)] = string(text)
		return err
	}))
	return all
}

// Templates come, change and go with their files, for the flows and on the phone.
func TestReadsTemplates(t *testing.T) {
	dir := t.TempDir()
	file, folder := filepath.Join(dir, project.TemplatesFolder, "hello.json"), filepath.Join(dir, project.TemplatesFolder)
	template := func(body string) string {
		return `{"name":"hello","language":"fr","status":"APPROVED","category":"UTILITY","components":[{"type":"BODY","text":"` + body + `"}]}`
	}
	write(t, file, template("Bonjour {{1}}"))
	write(t, filepath.Join(dir, project.TemplatesFolder, "bye.json"), strings.Replace(template("Au revoir"), "hello", "bye", 1))
	write(t, filepath.Join(dir, "greet.flow.yaml"), `flow: greet
inputs: {params: {type: array, items: {type: object, properties: {type: {type: string}, text: {type: string}}}}}
steps:
  - {id: tell, action: whatsapp.send_message, connection: shop, with: {recipient: "+33536490003", message_type: template, message: "${ {'name': 'hello', 'language': {'code': 'fr'}, 'components': [{'type': 'body', 'parameters': inputs.params}]} }"}}
`)
	d := developingIn(t, dir)
	greet := func(params string) (page string) {
		_, page, query := d.run("greet", map[string]string{"params": params})
		d.log.Wait(t, `run  run `+query[len(query)-6:]+`  flow greet  status (\w+)`)
		return page + d.get("/dev/live"+query)
	}
	assert.Contains(t, greet(`[{"type":"text","text":"Ada"}]`), "Bonjour Ada")

	write(t, file, template("Salut {{1}} et {{2}}"))
	d.log.Wait(t, `(?s)(project reloaded.*){1}`)
	assert.Contains(t, greet(`[{"type":"text","text":"Ada"},{"type":"text","text":"Grace"}]`), "Salut Ada et Grace")

	require.NoError(t, os.Remove(file))
	d.log.Wait(t, `(?s)(project reloaded.*){2}`)
	assert.Contains(t, greet(`[{"type":"text","text":"Ada"}]`), "132001")

	require.NoError(t, os.Rename(folder, folder+"-away"))
	d.log.Wait(t, `(?s)(project reloaded.*){3}`)
	assert.Contains(t, greet(`[{"type":"text","text":"Ada"}]`), "succeeded", "without any, every template is there")
}
