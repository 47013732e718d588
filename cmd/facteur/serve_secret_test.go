package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/cmd/facteur/daemon"
	"facteur/project"
	"facteur/server"
	"facteur/vault/vaulttest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const tellsASecret = `
flow: tells
inputs:
  phone: {type: string, format: e164}
  pin: {type: string, sensitive: true}
steps:
  - id: notify
    action: whatsapp.send_message
    connection: shop
    with: {recipient: "${inputs.phone}", message_type: text, message: {body: "Votre code : ${inputs.pin}"}}
    await: {state: delivered, timeout: 1m}
  - {id: order, action: http.request, connection: orders, with: {method: PUT, url: /orders, json: {pin: "${inputs.pin}"}}}
  - {id: wrong, fail: {code: done, message: "no, not ${inputs.pin}"}}
`

// No secret of a connection, no API key and no sensitive value is in what the daemon
// logs, answers, stores, counts, exports or backs up.
func TestDaemonKeepsSecrets(t *testing.T) {
	const (
		token, appSecret, verify = "EAAGdaemon+/token=0123456789abcdef", "app+secret/of=the+daemon", "verify+token/of=the+daemon"
		bearer                   = "bearer+token/of=the+orders"
		pin                      = "4929-0071-3318"
	)
	api, err := simulator.New(simulator.Options{Seed: 7, Scene: simulator.Scene{
		App:      simulator.App{Secret: appSecret},
		Statuses: simulator.Statuses{Sent: simulator.Duration(time.Millisecond), Delivered: simulator.Duration(2 * time.Millisecond)},
	}})
	require.NoError(t, err)
	defer api.Close()
	graph := httptest.NewServer(api)
	defer graph.Close()
	orders := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"you_sent": %q, "as": %q}`, body, r.Header.Get("Authorization"))
	}))
	defer orders.Close()
	hashicorp := vaulttest.New(t)
	hashicorp.Put(vaulttest.KV2, "messaging/shop", map[string]any{"token": token, "app_secret": appSecret, "verify_token": verify})
	hashicorp.Put(vaulttest.KV2, "orders", map[string]any{"token": bearer})
	hashicorp.AddRole(vaulttest.Role{RoleID: "role-1", SecretID: "secret-1-of-the-role", Rules: []vaulttest.Rule{{Path: "kv/data/messaging/shop", Can: "read"}, {Path: "kv/data/orders", Can: "read"}}})
	dir, outside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "role"), "role-1")
	write(t, filepath.Join(outside, "secret"), "secret-1-of-the-role")
	write(t, filepath.Join(dir, project.FileName), fmt.Sprintf(`
vault:
  hashicorp: {address: %q, auth: {approle: {role_id_file: %q, secret_id_file: %q}}}
connections:
  shop: {app: WHATSAPP, vault: {mount: kv, path: messaging/shop}, sender_phone_id: "106540352242922", base_url: %s}
  orders: {app: HTTP, type: bearer, vault: {mount: kv, path: orders}, base_url: %s}
http: {allow_private: true}
`, hashicorp.Address, filepath.Join(outside, "role"), filepath.Join(outside, "secret"), graph.URL, orders.URL))
	write(t, filepath.Join(dir, "tells.flow.yaml"), tellsASecret)
	_, keyText, _ := facteur(t, dir, "", "keys", "create", "tester", "--scope", "admin")
	key := strings.TrimSpace(keyText)
	require.True(t, strings.HasPrefix(key, server.KeyPrefix), keyText)

	everything := map[string]string{}
	r := startTestDaemon(t, dir, nil, "--log-format", "text")
	require.NoError(t, api.Subscribe(t.Context(), simulator.Webhook{URL: r.url + daemon.WebhookPath("shop"), VerifyToken: verify}))
	_, err = http.Post(r.url+daemon.WebhookPath("shop"), "application/json", strings.NewReader(`{"token":"`+token+`"}`))
	require.NoError(t, err)
	started := r.start("tells", map[string]any{"phone": grace, "pin": pin})
	require.EqualValues(t, "failed", started.Status)
	assert.NotContains(t, fmt.Sprint(*started.Error), pin)
	require.NoError(t, api.Idle(t.Context()))
	sent := string(api.Accepted(simulator.Filter{})[0].Body)
	require.Contains(t, sent, pin, "it did go out")

	for _, path := range []string{
		"/v1/runs", "/v1/runs/" + started.RunID, "/v1/runs/" + started.RunID + "/export", "/v1/flows", "/v1/flows/tells",
		"/v1/connections", "/v1/holds", "/v1/keys", "/metrics", "/healthz", "/readyz", "/v1/openapi.yaml", "/nothing",
	} {
		req, err := http.NewRequest(http.MethodGet, r.url+path, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		if path != "/nothing" {
			assert.Equal(t, http.StatusOK, resp.StatusCode, "%s: %s", path, body)
		}
		everything[path] = string(body)
	}
	for _, args := range [][]string{
		{"runs", "list"}, {"runs", "show", started.RunID}, {"runs", "show", started.RunID, "--json"}, {"runs", "events", started.RunID},
		{"runs", "export", started.RunID}, {"keys", "list", "--json"}, {"holds", "--json"}, {"backup", filepath.Join(dir, "backup.tar")},
		{"webhook", "check", "shop", "--public-url", r.url}, {"vault", "list", "--json"},
	} {
		_, stdout, stderr := facteur(t, dir, "", args...)
		everything[strings.Join(args, " ")] = stdout + stderr
	}
	r.stop()
	_, stdout, _ := facteur(t, dir, "", "runs", "show", started.RunID, "--json")
	everything["from the data folder"] = stdout
	everything["log"] = r.log.String()
	maps.Copy(everything, filesBelow(t, dir))
	require.Contains(t, everything, filepath.Join(dir, "data", project.JournalName))
	require.Contains(t, everything["log"], "step=notify")
	for _, secret := range []string{token, appSecret, verify, bearer, "secret-1-of-the-role", key, pin} {
		for how, form := range formsOf(secret) {
			for where, text := range everything {
				assert.NotContains(t, text, form, "%s holds a secret, %s", where, how)
			}
		}
	}
	for where, text := range everything {
		// The ledger's database holds phone numbers; it is not output.
		if filepath.Base(where) == project.JournalName || where == "log" || where == "/metrics" || strings.HasPrefix(where, "/v1/") {
			assert.NotContains(t, text, strings.TrimPrefix(grace, "+"), "%s holds a phone number", where)
		}
	}
}

// filesBelow returns the texts of all files below a folder, by path.
func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[path] = string(text)
		return err
	}))
	return files
}

// Sensitive values of a run that is queued, or rejected, are masked as those of other runs, and
// only they are.
func TestSecretsOfQueuedRuns(t *testing.T) {
	const pin, order = "4929-0071-3318", "order 7 of Ada"
	flow := func(name, conflict string) string {
		return fmt.Sprintf(`
flow: %s
inputs:
  pin: {type: string, sensitive: true}
  order: {type: string}
concurrency: {limit: 1, key: "${inputs.pin}", on_conflict: %s}
steps:
  - {id: pause, wait: 1h}
  - {id: wrong, fail: {code: done, message: "${inputs.pin} ${inputs.order}"}}
`, name, conflict)
	}
	dir, api := simulated(t, "", flow("queues", "queue"), flow("rejects", "reject"))
	r := startTestDaemon(t, dir, api)
	inputs := map[string]any{"pin": pin, "order": order}
	runs := map[string]string{}
	everything := map[string]string{}
	for _, flow := range []string{"queues", "rejects"} {
		for n, want := range []string{"running", "queued", "queued"} {
			started, err := r.client.Start(t.Context(), flow, server.StartRequest{Inputs: inputs}, server.StartOption{})
			var problem *server.Problem
			switch {
			case n > 0 && flow == "rejects":
				require.ErrorAs(t, err, &problem)
				everything["problem"] = fmt.Sprintf("%+v", problem)
				runs["rejected"] = problem.RunID
			default:
				require.NoError(t, err)
				assert.EqualValues(t, want, started.Status)
				runs[want] = started.RunID
				if n == 2 {
					require.NoError(t, r.client.Cancel(t.Context(), started.RunID, server.CancelRequest{Reason: "not needed"}))
					runs["cancelled"] = started.RunID
					delete(runs, want)
				} else if n == 1 {
					runs["waits for its turn"] = started.RunID
				}
			}
		}
	}
	require.Len(t, runs, 4)
	show := func(from string) {
		for what, run := range runs {
			for _, args := range [][]string{{"runs", "show", run}, {"runs", "show", run, "--json"}, {"runs", "events", run}} {
				code, stdout, stderr := facteur(t, dir, "", args...)
				require.Equal(t, 0, code, stderr)
				if len(args) == 4 {
					assert.Contains(t, stdout, order, "%s, %s: what is not sensitive shows", what, from)
				}
				everything[what+": "+strings.Join(args, " ")+from] = stdout + stderr
			}
		}
	}
	show(", from the daemon")
	require.Equal(t, 0, r.stop())
	show(", from the data folder")
	everything["log"] = r.log.String()
	maps.Copy(everything, filesBelow(t, dir))
	require.Contains(t, everything, filepath.Join(dir, "data", project.JournalName))
	for how, form := range formsOf(pin) {
		for where, text := range everything {
			assert.NotContains(t, text, form, "%s holds what is sensitive, %s", where, how)
		}
	}
}
