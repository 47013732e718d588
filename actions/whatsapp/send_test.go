package whatsapp_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/flow/call"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	token  = "EAAGm0PX4ZCps+TEST/token=="
	sender = "106540352242922"
	okBody = `{"messaging_product":"whatsapp","contacts":[{"input":"+33612345678","wa_id":"33612345678","user_id":"FR.13491208655302741918"}],"messages":[{"id":"wamid.TEST","message_status":"accepted"}]}`
)

// A fakeAPI is a server in place of the API. handle answers; the requests are recorded.
type fakeAPI struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []map[string]any
	tokens []string
	paths  []string
}

func newFakeAPI(t *testing.T, handle http.HandlerFunc) *fakeAPI {
	m := &fakeAPI{}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		var body map[string]any
		_ = json.Unmarshal(text, &body)
		m.mu.Lock()
		m.bodies = append(m.bodies, body)
		m.tokens = append(m.tokens, r.Header.Get("Authorization"))
		m.paths = append(m.paths, r.URL.Path)
		m.mu.Unlock()
		handle(w, r)
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *fakeAPI) received() []map[string]any {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bodies
}

func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// credentials is a vault with one connection.
type credentials struct {
	mu      sync.Mutex
	conn    vault.Connection
	after   *vault.Connection // what Refresh finds, nil: the same
	err     error
	refresh int
}

func (c *credentials) Resolve(context.Context, string) (vault.Connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn, c.err
}

func (c *credentials) Refresh(context.Context, string) (vault.Connection, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refresh++
	if c.after != nil {
		c.conn = *c.after
	}
	return c.conn, c.after != nil, c.err
}

func connection(url, token string) vault.Connection {
	return vault.Connection{
		Name: "shop", App: vault.WhatsApp, Version: "v" + token,
		Setup:   map[string]string{"base_url": url},
		Secrets: map[string]vault.Secret{"token": vault.NewSecret(token)},
	}
}

func newSet(t testing.TB, c actions.Connections, o whatsapp.Options) *actions.Set {
	set, err := actions.NewSet(c, whatsapp.SendMessage(o), whatsapp.MarkRead(o))
	require.NoError(t, err)
	require.NoError(t, set.Events(whatsapp.Events()...))
	return set
}

func text(extra map[string]any) map[string]any {
	in := map[string]any{
		"sender_phone_id": sender, "recipient": "+33612345678",
		"message_type": "text", "message": map[string]any{"body": "Bonjour <b> & co"},
	}
	maps.Copy(in, extra)
	return in
}

func send(in map[string]any) call.Call {
	return call.Call{Key: "f1.run.1", First: "f1.run.1", Run: "run", Step: "notify", Attempt: 1,
		Action: "whatsapp.send_message", Connection: "shop", Input: in}
}

func TestSend(t *testing.T) {
	m := newFakeAPI(t, answers(200, okBody))
	set := newSet(t, &credentials{conn: connection(m.URL, token)}, whatsapp.Options{})
	in, found := set.Action("whatsapp.send_message").In.Coerce(text(map[string]any{"message_type": "TEXT", "tracking": "order 7", "reply_to": "wamid.X"}))
	require.NoError(t, found.Err())

	o := set.Do(context.Background(), send(in.(map[string]any)))
	assert.Equal(t, call.Succeeded, o.Status)
	assert.Nil(t, o.Error)
	assert.Equal(t, int64(200), o.Output["status_code"])
	assert.Equal(t, true, o.Output["success"])
	assert.Equal(t, "wamid.TEST", o.Output["message_id"])
	assert.Equal(t, "33612345678", o.Output["wa_id"])
	assert.Equal(t, "FR.13491208655302741918", o.Output["user_id"])
	assert.Equal(t, "accepted", o.Output["delivery"])
	assert.Equal(t, false, o.Output["fallback_used"])

	require.Len(t, m.received(), 1)
	assert.Equal(t, "/v23.0/"+sender+"/messages", m.paths[0])
	assert.Equal(t, "Bearer "+token, m.tokens[0])
	assert.Equal(t, map[string]any{
		"messaging_product": "whatsapp", "recipient_type": "individual", "to": "+33612345678", "type": "text",
		"text": map[string]any{"body": "Bonjour <b> & co"}, "context": map[string]any{"message_id": "wamid.X"},
		"biz_opaque_callback_data": "f1.run.1|order 7",
	}, m.received()[0])
}

// With await, acceptance alone is no success: receipts decide.
func TestAwaitedSendIsPending(t *testing.T) {
	m := newFakeAPI(t, answers(200, okBody))
	set := newSet(t, &credentials{conn: connection(m.URL, token)}, whatsapp.Options{})
	c := send(text(nil))
	c.Await = "delivered"
	o := set.Do(context.Background(), c)
	assert.Equal(t, call.Pending, o.Status)
	assert.Equal(t, false, o.Output["success"])
	assert.Equal(t, "wamid.TEST", o.Output["message_id"])
	assert.Equal(t, "accepted", o.Output["delivery"])

	sig := set.Action(c.Action)
	o = sig.Settle(c.Input, o.Output, call.Receipt{Key: c.Key, State: "delivered"}, c.Await)
	assert.Equal(t, call.Succeeded, o.Status)
	assert.Equal(t, true, o.Output["success"])
}

// byName is a vault whose connections are named after their tokens.
type byName struct {
	actions.Connections
	url string
}

func (v byName) Resolve(_ context.Context, name string) (vault.Connection, error) {
	return connection(v.url, name), nil
}

func TestTokenOfEachAccount(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]string{} // from the sender to the token that it came with
	m := newFakeAPI(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.URL.Path] = r.Header.Get("Authorization")
		mu.Unlock()
		assert.Equal(t, "identity", r.Header.Get("Accept-Encoding"))
		answers(200, okBody)(w, r)
	})
	set := newSet(t, byName{url: m.URL}, whatsapp.Options{})
	var all sync.WaitGroup
	want := map[string]string{}
	for n := range 40 {
		from := strconv.Itoa(1000 + n)
		c := send(text(map[string]any{"sender_phone_id": from}))
		c.Connection = "token-" + strconv.Itoa(n%4)
		want["/v23.0/"+from+"/messages"] = "Bearer " + c.Connection
		all.Go(func() { assert.Equal(t, call.Succeeded, set.Do(t.Context(), c).Status) })
	}
	all.Wait()
	assert.Equal(t, want, seen)
}
