// Package sdk_test tests the simulator with third-party clients of the Cloud API: they send
// each type that they support, read errors, and receive signed webhooks. The clients are the
// dependencies in package.json; each has a script here.
package sdk_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/actions/whatsapp/templates"
	"facteur/e2e"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	number   = "106540352242922"
	token    = "token-1"
	verify   = "verify-1"
	template = `{"name":"order_shipped","language":"fr","category":"UTILITY","components":[{"type":"BODY","text":"Bonjour {{1}}"}]}`
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var scripts = []string{"kapso.mjs", "great_detail.mjs"}

// install returns a folder with the scripts and, from npm, what they need.
func install(t *testing.T) (folder string) {
	t.Helper()
	return e2e.InstallPackages(t, append(scripts, "stage.mjs")...)
}

// An event is a line of a script's output.
type event struct {
	Name     string // a method, an example, or: listening, done, status, message, webhook
	ID       string
	URL      string
	Status   string
	Text     string
	MimeType string
	Size     int
	Error    *apiError
}

// An apiError is an error of the API as the client reports it.
type apiError struct {
	Status   int
	Code     int
	Message  string
	Category string
	Trace    string
	Details  string
}

// A client is a script that runs, and the simulator that it talks to.
type client struct {
	*simulator.Simulator
	t       *testing.T
	ctx     context.Context
	says    *json.Decoder
	orders  io.Writer
	told    map[string]string // the last status of each message
	inbound []event
}

// run starts a script, and sends it the webhooks of a simulator.
func run(t *testing.T, folder, script string, scene simulator.Scene) *client {
	t.Helper()
	scene.Tokens = []simulator.Token{{Value: token}, {Value: "expired", Expires: start.Add(-time.Hour)}}
	sim, err := simulator.New(simulator.Options{Scene: scene, Clock: simulator.Frozen(start)})
	require.NoError(t, err)
	server := httptest.NewServer(sim)
	examples, err := filepath.Abs("../../examples/messages")
	require.NoError(t, err)

	ctx, stop := context.WithTimeout(context.Background(), 3*time.Minute)
	node := exec.CommandContext(ctx, "node", script)
	node.Dir, node.Stderr = folder, os.Stderr
	node.Env = append(os.Environ(), "BASE_URL="+server.URL, "TOKEN="+token, "NUMBER="+number, "APP_SECRET="+simulator.DefaultAppSecret, "VERIFY_TOKEN="+verify, "EXAMPLES="+examples)
	orders, err := node.StdinPipe()
	require.NoError(t, err)
	says, err := node.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, node.Start())
	t.Cleanup(func() {
		orders.Close()
		assert.NoError(t, node.Wait())
		stop()
		sim.Close()
		server.Close()
	})
	c := &client{Simulator: sim, t: t, ctx: ctx, says: json.NewDecoder(bufio.NewReader(says)), orders: orders, told: map[string]string{}}
	listening := c.readUntil("listening")
	require.Len(t, listening, 1)
	assert.Error(t, sim.Subscribe(ctx, simulator.Webhook{URL: listening[0].URL, VerifyToken: "wrong"}))
	assert.NotNil(t, c.readUntil("webhook")[0].Error)
	require.NoError(t, sim.Subscribe(ctx, simulator.Webhook{URL: listening[0].URL, VerifyToken: verify}))
	return c
}

// readUntil reads the script's events up to one of that name. Webhooks are recorded separately.
func (c *client) readUntil(name string) (lines []event) {
	c.t.Helper()
	for {
		var l event
		require.NoError(c.t, c.says.Decode(&l), "waiting for %s", name)
		switch l.Name {
		case "status":
			c.told[l.ID] = l.Status
		case "message":
			c.inbound = append(c.inbound, l)
		default:
			lines = append(lines, l)
		}
		if l.Name == name {
			return lines
		}
	}
}

// do sends the script a command, and returns its events.
func (c *client) do(what string) []event {
	c.t.Helper()
	_, err := io.WriteString(c.orders, what+"\n")
	require.NoError(c.t, err)
	lines := c.readUntil("done")
	return lines[:len(lines)-1]
}

// deliverAll delivers the accepted messages, and waits until the script has the webhooks.
func (c *client) deliverAll() {
	c.t.Helper()
	c.Advance(time.Second)
	require.NoError(c.t, c.Idle(c.ctx))
}

// TestClientsSend: each type that the clients know is accepted, and webhooks about it pass
// the clients' own verification.
func TestClientsSend(t *testing.T) {
	folder := install(t)
	for _, script := range scripts {
		t.Run(script, func(t *testing.T) {
			c := run(t, folder, script, simulator.Scene{})
			ids := map[string]string{}
			for _, l := range c.do("send") {
				assert.Nil(t, l.Error, l.Name)
				if l.ID != "" {
					ids[l.ID] = l.Name
				}
				if l.Name == "upload" {
					assert.Equal(t, "image/png", l.MimeType)
					assert.Equal(t, 8, l.Size)
				}
			}
			assert.Len(t, ids, c.Counts().Accepted)
			assert.GreaterOrEqual(t, len(ids), 20)
			c.deliverAll()

			_, err := c.Send(simulator.Inbound{From: "+33612345678", Name: "Ada", Text: "Merci é 🙂 </script>"})
			require.NoError(t, err)
			c.deliverAll()
			for _, l := range c.do("catch up") {
				assert.Nil(t, l.Error, l.Name)
			}
			require.Len(t, c.inbound, 1)
			assert.Equal(t, "Merci é 🙂 </script>", c.inbound[0].Text)
			for id, name := range ids {
				m, known := c.Message(id)
				require.True(t, known, name)
				assert.Equal(t, m.State, c.told[id], name)
			}
			assert.Zero(t, c.Counts().Failed, "webhooks that were not taken")
			if script == "kapso.mjs" { // which answers, and marks as read
				asked := c.inbound[0].ID
				m, _ := c.Message(asked)
				assert.Equal(t, "typing", m.MarkedAs)
				assert.Equal(t, []simulator.Reaction{{Emoji: "👍"}}, m.Reactions)
			}
		})
	}
}

// TestClientsAreRefused: the clients read the simulator's errors as they read Meta's, with
// the codes that Meta documents.
func TestClientsAreRefused(t *testing.T) {
	folder := install(t)
	want := map[string]apiError{
		"too long":     {Status: 400, Code: 100, Category: "parameter"},
		"no recipient": {Status: 400, Code: 100},
		"no type":      {Status: 400, Code: 100},
		"window":       {Status: 400, Code: 131047, Category: "reengagementWindow"},
		"limit":        {Status: 400, Code: 130429, Category: "throttling"},
		"number":       {Status: 400, Code: 100, Category: "parameter"},
		"token":        {Status: 401, Code: 190, Category: "authorization"},
		"template":     {Status: 404, Code: 132001},
		"parameters":   {Status: 400, Code: 132000},

		"sendInteractiveLocationRequest": {Status: 400, Code: 100, Category: "parameter"},
		"sendInteractiveCallPermission":  {Status: 400, Code: 100, Category: "parameter"},
	}
	definition, err := templates.Read([]byte(template))
	require.NoError(t, err)
	for _, script := range scripts {
		t.Run(script, func(t *testing.T) {
			c := run(t, folder, script, simulator.Scene{Accounts: []simulator.Account{{ID: simulator.DefaultAccountID, Numbers: []simulator.Number{{ID: number}}}}})
			c.PutTemplate(definition)
			refused := c.do("refuse")
			assert.GreaterOrEqual(t, len(refused), 5)
			for _, l := range refused {
				if !assert.NotNil(t, l.Error, l.Name) {
					continue
				}
				assert.Equal(t, want[l.Name].Status, l.Error.Status, l.Name)
				assert.Equal(t, want[l.Name].Code, l.Error.Code, l.Name)
				assert.NotEmpty(t, l.Error.Trace, l.Name)
				if strings.HasPrefix(script, "kapso") {
					assert.Equal(t, want[l.Name].Category, l.Error.Category, l.Name)
				}
			}
			assert.Zero(t, c.Counts().Accepted)
		})
	}
}

// TestClientsVerifySignature: the clients refuse webhooks signed with another app's secret.
func TestClientsVerifySignature(t *testing.T) {
	folder := install(t)
	for _, script := range scripts {
		t.Run(script, func(t *testing.T) {
			c := run(t, folder, script, simulator.Scene{App: simulator.App{Secret: "of another app"}})
			_, err := c.Send(simulator.Inbound{From: "+33612345678", To: number, Text: "Bonjour"})
			require.NoError(t, err)
			c.deliverAll()
			told := c.do("catch up")
			require.Len(t, told, 1)
			assert.NotNil(t, told[0].Error)
			assert.Empty(t, c.inbound)
			assert.Equal(t, 1, c.Counts().Failed)
		})
	}
}
