package cluster_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/e2e"
	"facteur/e2e/postgres"
	"facteur/e2e/temporal"
	"facteur/flow"
	"facteur/flow/schema"
	"facteur/server"

	"github.com/stretchr/testify/require"
)

// Two daemons with the compose file's variables, over the servers that it names, execute a run:
// one starts it, the other reports it. The preparations are the commands of SCALING.md.
func TestCompose(t *testing.T) {
	text, err := os.ReadFile("../../examples/deploy/compose.yaml")
	require.NoError(t, err)
	node, found := flow.ParseValue("compose.yaml", text)
	require.NoError(t, found.Err())
	value, found := node.Coerce(&schema.Type{Kind: schema.Any})
	require.NoError(t, found.Err())
	again, err := json.Marshal(schema.JSON(value))
	require.NoError(t, err)
	var compose struct {
		Services map[string]struct {
			Command     any
			Environment map[string]string
		}
	}
	require.NoError(t, json.Unmarshal(again, &compose))
	daemon := compose.Services["facteur"]

	db := postgres.Start(t)
	temporalServer := temporal.StartOnPostgres(t, db, 4)
	temporalServer.Namespace(t, daemon.Environment["FACTEUR_TEMPORAL_NAMESPACE"])
	db.Exec(t, db.URL("postgres"), "CREATE ROLE facteur LOGIN PASSWORD 'made-up'", "CREATE DATABASE facteur OWNER facteur")
	api, err := simulator.New(simulator.Options{})
	require.NoError(t, err)
	defer api.Close()
	graph := httptest.NewServer(api)
	defer graph.Close()

	dir, shared := t.TempDir(), t.TempDir()
	e2e.WriteFile(t, dir, "facteur.yaml", "connections: {shop: {app: WHATSAPP, sender_phone_id: \"106540352242922\", base_url: \""+graph.URL+"\"}}\n")
	e2e.WriteFile(t, dir, "hello.flow.yaml", `
flow: hello
steps:
  - id: send
    action: whatsapp.send_message
    connection: shop
    with: {recipient: "+33612345678", message_type: text, message: {body: Bonjour}}
`)
	put := strings.NewReplacer(
		"temporal:7233", temporalServer.Address, "@postgres:5432", "@"+db.Address, "/shared", shared,
		"${PUBLIC_URL:?where the world reaches the proxy}", "https://facteur.shop.test", "${POSTGRES_PASSWORD:?make one up}", "made-up",
	)
	command := func(data string, args ...string) *exec.Cmd {
		env := []string{
			"FACTEUR_DATA=" + data, "FACTEUR_SERVER_LISTEN=127.0.0.1:0", "FACTEUR_SERVER_LOG_FORMAT=json",
			"FACTEUR_CONNECTION_SHOP_TOKEN=of-the-test", "FACTEUR_CONNECTION_SHOP_APP_SECRET=of-the-test",
		}
		for name, value := range daemon.Environment {
			value = put.Replace(value)
			require.NotContains(t, value, "$", name)
			env = append(env, name+"="+value)
		}
		return e2e.Command(t, dir, env, args...)
	}
	said, err := command(t.TempDir(), "vault", "rotate-key").CombinedOutput()
	require.NoError(t, err, "%s", said)
	key, err := command(t.TempDir(), "keys", "create", "me", "--scope", "admin").Output()
	require.NoError(t, err)

	var args []string
	for _, arg := range daemon.Command.([]any) {
		args = append(args, arg.(string))
	}
	var clients []*server.Client
	for range 2 {
		d := e2e.Start(t, command(t.TempDir(), args...))
		clients = append(clients, &server.Client{URL: d.Ready(t), Key: string(bytes.TrimSpace(key))})
	}
	started, err := clients[0].Start(t.Context(), "hello", server.StartRequest{Inputs: map[string]any{}}, server.StartOption{})
	require.NoError(t, err)
	detail, err := clients[1].Run(t.Context(), started.RunID, time.Minute)
	require.NoError(t, err)
	require.EqualValues(t, "succeeded", detail.Status)
	require.Equal(t, 1, api.Counts().Accepted)
}
