package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"facteur/vault/vaulttest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// facteur runs the command in this process, in a folder.
func facteur(t *testing.T, dir, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Chdir(dir)
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs}
	code = a.run(t.Context(), args)
	return code, out.String(), errs.String()
}

func write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
}

// cloudAPI accepts every message, and records the bearer tokens.
type cloudAPI struct {
	mu      sync.Mutex
	bearers []string
	bodies  []string
	onSend  func(n int)
}

func (c *cloudAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	c.bearers = append(c.bearers, r.Header.Get("Authorization"))
	c.bodies = append(c.bodies, string(body))
	n := len(c.bearers)
	c.mu.Unlock()
	if c.onSend != nil {
		c.onSend(n)
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"messaging_product":"whatsapp","contacts":[{"input":"+33612345678","wa_id":"33612345678"}],"messages":[{"id":"wamid.%d"}]}`, n)
}

const twoSends = `
flow: two
inputs: {phone: {type: string, format: e164}}
steps:
  - id: first
    action: whatsapp.send_message
    connection: shop
    with: {recipient: "${inputs.phone}", message_type: text, message: {body: one}}
  - id: second
    action: whatsapp.send_message
    connection: shop
    with: {recipient: "${inputs.phone}", message_type: text, message: {body: two}}
outputs: {first: "${steps.first.outputs.message_id}", second: "${steps.second.outputs.message_id}"}
`

// A token from HashiCorp Vault reaches the API, is replaced by a rotation during a run, and
// appears nowhere else.
func TestTokenGoesNowhereElse(t *testing.T) {
	const oldToken, newToken = "EAAGold+/token=0123456789abcdef", "EAAGnew+/token=fedcba9876543210"
	hashicorp := vaulttest.New(t)
	hashicorp.Put(vaulttest.KV2, "messaging/shop", map[string]any{"token": oldToken})
	hashicorp.AddRole(vaulttest.Role{RoleID: "role-1", SecretID: "secret-1-of-the-role", Rules: []vaulttest.Rule{{Path: "kv/data/messaging/shop", Can: "read"}}})
	api := &cloudAPI{onSend: func(n int) {
		if n == 1 {
			hashicorp.Put(vaulttest.KV2, "messaging/shop", map[string]any{"token": newToken})
		}
	}}
	server := httptest.NewServer(api)
	defer server.Close()

	dir := t.TempDir()
	write(t, filepath.Join(dir, "role"), "role-1")
	write(t, filepath.Join(dir, "secret"), "secret-1-of-the-role")
	write(t, filepath.Join(dir, "facteur.yaml"), fmt.Sprintf(`
vault:
  hashicorp: {address: %q, auth: {approle: {role_id_file: role, secret_id_file: secret}}}
connections:
  shop:
    app: WHATSAPP
    vault: {mount: kv, path: messaging/shop, fields: {token: token}}
    sender_phone_id: "106540352242922"
    base_url: %s
`, hashicorp.Address, server.URL))
	write(t, filepath.Join(dir, "two.flow.yaml"), twoSends)

	code, stdout, stderr := facteur(t, dir, "", "run", "two.flow.yaml", "--input", "phone=+33612345678", "--json")
	require.Equal(t, 0, code, stderr)
	assert.Contains(t, stdout, `"second": "wamid.2"`)
	assert.Equal(t, []string{"Bearer " + oldToken, "Bearer " + newToken}, api.bearers)
	assert.Equal(t, 1, hashicorp.Count("PUT", "auth/approle/login"))

	code, human, humanErr := facteur(t, dir, "", "run", "two.flow.yaml", "--input", "phone=+33612345678")
	require.Equal(t, 0, code, humanErr)
	api.onSend = nil
	code, listed, listedErr := facteur(t, dir, "", "vault", "list", "--json")
	require.Equal(t, 0, code, listedErr)

	everything := map[string][]byte{"stdout": []byte(stdout), "stderr": []byte(stderr), "human": []byte(human + humanErr), "list": []byte(listed + listedErr), "bodies": []byte(strings.Join(api.bodies, "\n"))}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		everything[path], err = os.ReadFile(path)
		return err
	}))
	journals := 0
	for name, text := range everything {
		if strings.Contains(name, "foreground") {
			journals++
		}
		for _, token := range []string{oldToken, newToken, "secret-1-of-the-role"} {
			if filepath.Base(name) == "secret" {
				continue
			}
			for how, form := range formsOf(token) {
				assert.NotContains(t, string(text), form, "%s holds a secret, %s", name, how)
			}
		}
	}
	assert.NotZero(t, journals, "the runs are in a journal")
}

func formsOf(secret string) map[string]string {
	forms := map[string]string{"plain": secret, "URL-encoded": url.QueryEscape(secret), "hex": hex.EncodeToString([]byte(secret))}
	for shift := range 3 {
		// The middle of the encoding is the same whatever stands around the secret.
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
		forms[fmt.Sprintf("base64, shifted by %d", shift)] = encoded[4 : len(encoded)-4]
	}
	return forms
}
