package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"facteur/project"
	"facteur/vault/vaulttest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// With a broken vault no message is sent, and the error says what is wrong: exit code 3.
func TestVaultTrouble(t *testing.T) {
	const secretID = "secret-1-of-the-role"
	for _, tt := range []struct {
		name, timeout string
		spoil         func(v *vaulttest.Server, block <-chan struct{})
		want          string
	}{
		{"down", "5s", func(v *vaulttest.Server, _ <-chan struct{}) { v.Stop() }, "it does not answer"},
		{"slow", "200ms", func(v *vaulttest.Server, block <-chan struct{}) {
			v.Handle(func(_ http.ResponseWriter, r *http.Request) {
				select {
				case <-block:
				case <-r.Context().Done():
				}
			})
		}, "no answer within 200ms"},
		{"sealed", "5s", func(v *vaulttest.Server, _ <-chan struct{}) { v.Seal(true) }, "it is sealed"},
		{"forbidden", "5s", func(v *vaulttest.Server, _ <-chan struct{}) {
			v.AddRole(vaulttest.Role{RoleID: "role-1", SecretID: secretID})
		}, "permission denied"},
		{"another role", "5s", func(v *vaulttest.Server, _ <-chan struct{}) {
			v.AddRole(vaulttest.Role{RoleID: "role-1", SecretID: "another-secret-of-the-role"})
		}, "the AppRole was refused"},
		{"something else", "5s", func(v *vaulttest.Server, _ <-chan struct{}) {
			v.Handle(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>Welcome to the hotel</html>") })
		}, "vault"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			api := &cloudAPI{}
			server := httptest.NewServer(api)
			defer server.Close()
			hashicorp := vaulttest.New(t)
			hashicorp.Put(vaulttest.KV2, "messaging/shop", map[string]any{"token": shopToken})
			hashicorp.AddRole(vaulttest.Role{RoleID: "role-1", SecretID: secretID, Rules: []vaulttest.Rule{{Path: "kv/data/messaging/shop", Can: "read"}}})
			dir := t.TempDir()
			write(t, filepath.Join(dir, "role"), "role-1")
			write(t, filepath.Join(dir, "secret"), secretID)
			write(t, filepath.Join(dir, "sends.flow.yaml"), sends)
			write(t, filepath.Join(dir, project.FileName), fmt.Sprintf(`
vault:
  hashicorp: {address: %q, timeout: %s, auth: {approle: {role_id_file: role, secret_id_file: secret}}}
connections:
  shop: {app: WHATSAPP, vault: {mount: kv, path: messaging/shop, fields: {token: token}}, sender_phone_id: "106540352242922", base_url: %s}
`, hashicorp.Address, tt.timeout, server.URL))
			block := make(chan struct{})
			defer close(block)
			tt.spoil(hashicorp, block)

			code, r, stderr := runJSONOf(t, dir)
			assert.Equal(t, exitSystem, code, stderr)
			assert.Equal(t, "connection", r.Error["code"])
			assert.Contains(t, r.Error["message"], tt.want)
			assert.Contains(t, r.Error["message"], "hashicorp vault")
			assert.Empty(t, api.bodies, "nothing is sent")

			code, stdout, stderr := facteur(t, dir, "", "vault", "check", "shop")
			assert.Equal(t, exitSystem, code, stderr)
			assert.Regexp(t, `^fail  secret         the connection cannot be read\n      cause: .*\n      cure:  .*\n$`, stdout)
			assert.Contains(t, stdout, tt.want)
			assert.NotContains(t, stdout+stderr, secretID)

			code, stdout, stderr = facteur(t, dir, "", "vault", "list")
			assert.Equal(t, 0, code, stderr)
			assert.Regexp(t, `shop +WHATSAPP +hashicorp +no: `, stdout)

			code, _, stderr = facteur(t, dir, "", "webhook", "check", "shop")
			assert.Equal(t, exitSystem, code, stderr)
			assert.Contains(t, stderr, "hashicorp vault")
			assert.Contains(t, stderr, tt.want)
		})
	}
}

// graphAPI answers the requests of `vault check` as the Graph API does.
type graphAPI map[string]string

func (g graphAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	path := strings.TrimPrefix(r.URL.Path, "/v23.0")
	answer, ok := g[path]
	if r.Header.Get("Authorization") != "Bearer "+shopToken || !ok {
		w.WriteHeader(http.StatusBadRequest)
		answer = `{"error":{"code":100,"message":"(#100) no such object","type":"OAuthException"}}`
	}
	fmt.Fprint(w, answer)
}

func healthy() graphAPI {
	return graphAPI{
		"/debug_token":          `{"data":{"is_valid":true,"expires_at":0,"scopes":["whatsapp_business_messaging","whatsapp_business_management"]}}`,
		"/106540352242922":      `{"id":"106540352242922","display_phone_number":"+33 6 12 34 56 78","verified_name":"Chez Nous","quality_rating":"GREEN","name_status":"APPROVED","status":"CONNECTED","throughput":{"level":"STANDARD"}}`,
		"/2001":                 `{"id":"2001","name":"Chez Nous","message_template_namespace":"ab_cd"}`,
		"/2001/subscribed_apps": `{"data":[{"whatsapp_business_api_data":{"name":"our app"}}]}`,
	}
}

// Each check prints one named line; a failed one has a cause and a hint, and makes the exit
// code 3.
func TestVaultCheck(t *testing.T) {
	for _, tt := range []struct {
		name  string
		alter func(g graphAPI)
		code  int
		lines []string
	}{
		{"all is well", func(graphAPI) {}, 0, []string{
			"ok    secret         the token can be read",
			"ok    token          valid, never expires",
			"ok    permissions    whatsapp_business_messaging and whatsapp_business_management",
			"ok    phone number   +33 6 12 34 56 78, Chez Nous",
			"ok    display name   APPROVED",
			"ok    quality        GREEN",
			"ok    throughput     STANDARD",
			"ok    account        Chez Nous",
			"ok    webhooks       subscribed: our app",
		}},
		{"warnings", func(g graphAPI) {
			g["/106540352242922"] = strings.ReplaceAll(g["/106540352242922"], "GREEN", "RED")
			g["/2001/subscribed_apps"] = `{"data":[]}`
		}, 0, []string{"warn  quality        RED", "warn  webhooks       no app is subscribed"}},
		{"an expired token", func(g graphAPI) {
			g["/debug_token"] = `{"data":{"is_valid":false,"error":{"code":190,"message":"Session has expired"}}}`
		}, exitSystem, []string{"fail  token          the token is not valid", "cause: Session has expired"}},
		{"no permission", func(g graphAPI) {
			g["/debug_token"] = `{"data":{"is_valid":true,"expires_at":0,"scopes":["whatsapp_business_management"]}}`
		}, exitSystem, []string{"fail  permissions    the token lacks whatsapp_business_messaging", "cure:  "}},
		{"no such number", func(g graphAPI) { delete(g, "/106540352242922") }, exitSystem, []string{"fail  phone number   no such object (100)", "cause: ", "cure:  "}},
		{"the portfolio in place of the account", func(g graphAPI) { g["/2001"] = `{"id":"2001","name":"Chez Nous"}` }, exitSystem, []string{"fail  account        2001 is not a WhatsApp Business Account"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := healthy()
			tt.alter(g)
			server := httptest.NewServer(g)
			defer server.Close()
			dir := shopProject(t, sends, server.URL)
			t.Setenv("FACTEUR_CONNECTION_SHOP_WABA_ID", "2001")
			code, stdout, stderr := facteur(t, dir, "", "vault", "check", "shop")
			assert.Equal(t, tt.code, code, stderr)
			for _, line := range tt.lines {
				assert.Contains(t, stdout, line)
			}
			assert.NotContains(t, stdout+stderr, shopToken)
			if tt.name == "all is well" {
				assert.Equal(t, strings.Join(tt.lines, "\n")+"\n", stdout)
			}
			code, stdout, _ = facteur(t, dir, "", "vault", "check", "shop", "--json")
			assert.Equal(t, tt.code, code)
			assert.Contains(t, stdout, `"level": "ok"`)
		})
	}

	server := httptest.NewServer(http.NotFoundHandler())
	dir := shopProject(t, sends, server.URL)
	server.Close()
	code, stdout, _ := facteur(t, dir, "", "vault", "check", "shop")
	require.Equal(t, exitSystem, code)
	assert.Contains(t, stdout, "fail  token          the API could not be reached\n      cause: cannot reach "+server.Listener.Addr().String()+": the connection was refused\n      cure:  check the port, and that the server runs\n")
}
