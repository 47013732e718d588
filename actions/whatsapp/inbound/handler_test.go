package inbound_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/actions/whatsapp/inbound"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const appSecret = "app-secret-of-the-shop"

// A callback is the handler of webhooks with all that it works with.
type callback struct {
	inbound.Options
	connections map[string]vault.Connection
	vault       error // what the vault says in place of a connection

	mu      sync.Mutex
	told    []inbound.Notification
	answers []inbound.Answer
	log     bytes.Buffer
}

func newCallback() *callback {
	c := &callback{connections: map[string]vault.Connection{}}
	add := func(name string, app vault.App, secrets map[string]string) {
		conn := vault.Connection{Name: name, App: app, Secrets: map[string]vault.Secret{}}
		for field, text := range secrets {
			conn.Secrets[field] = vault.NewSecret(text)
		}
		c.connections[name] = conn
	}
	add("shop", vault.WhatsApp, map[string]string{"token": "t", "app_secret": appSecret, "verify_token": "verify-1"})
	add("bare", vault.WhatsApp, map[string]string{"token": "t"})
	add("hook", vault.Webhook, map[string]string{"secret": appSecret})
	c.Resolve = func(ctx context.Context, name string) (vault.Connection, error) {
		conn, ok := c.connections[name]
		switch {
		case c.vault != nil:
			return vault.Connection{}, c.vault
		case !ok:
			return vault.Connection{}, &vault.UnknownConnectionError{Name: name}
		}
		return conn, ctx.Err()
	}
	c.Apply = func(_ context.Context, _ string, told []inbound.Notification) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.told = append(c.told, told...)
		return nil
	}
	c.Answered = func(a inbound.Answer) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.answers = append(c.answers, a)
	}
	c.Log = slog.New(slog.NewTextHandler(&c.log, nil))
	return c
}

func (c *callback) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/webhooks/whatsapp/{connection}", inbound.Handler(c.Options))
	return mux
}

func request(h http.Handler, method, target string, body []byte, signature string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, bytes.NewReader(body))
	if signature != "" {
		r.Header.Set(inbound.SignatureHeader, signature)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func sign(body []byte) string {
	mac := hmac.New(sha256.New, []byte(appSecret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestHandshake(t *testing.T) {
	for _, tt := range []struct {
		target string
		status int
		body   string
	}{
		{"/webhooks/whatsapp/shop?hub.mode=subscribe&hub.verify_token=verify-1&hub.challenge=1158201444", 200, "1158201444"},
		{"/webhooks/whatsapp/shop?hub.mode=subscribe&hub.verify_token=verify-2&hub.challenge=1", 403, ""},
		{"/webhooks/whatsapp/shop?hub.mode=unsubscribe&hub.verify_token=verify-1&hub.challenge=1", 403, ""},
		{"/webhooks/whatsapp/shop", 403, ""},
		{"/webhooks/whatsapp/bare?hub.mode=subscribe&hub.verify_token=&hub.challenge=1", 403, ""},
		{"/webhooks/whatsapp/hook?hub.mode=subscribe&hub.verify_token=verify-1&hub.challenge=1", 404, ""},
		{"/webhooks/whatsapp/nobody?hub.mode=subscribe&hub.verify_token=verify-1&hub.challenge=1", 404, ""},
	} {
		c := newCallback()
		w := request(c.handler(), http.MethodGet, tt.target, nil, "")
		assert.Equal(t, tt.status, w.Code, tt.target)
		assert.Equal(t, tt.body, w.Body.String(), tt.target)
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		assert.NotContains(t, c.log.String(), "verify-1")
	}
}

// A fault of the vault that passes.
type passing struct{}

func (passing) Error() string    { return "the vault is sealed" }
func (passing) Unreadable() bool { return true }

func TestHandler(t *testing.T) {
	status, err := os.ReadFile(filepath.Join(handler, "status_sent.json"))
	require.NoError(t, err)
	several, err := os.ReadFile(filepath.Join(handler, "several.json"))
	require.NoError(t, err)
	others := bytes.Replace(status, []byte("f1.k3f9.1|"), nil, 1)
	long := bytes.Repeat([]byte(" "), inbound.MaxBody+1)
	for _, tt := range []struct {
		name       string
		connection string
		body       []byte
		signature  string
		change     func(*callback)
		status     int
		told       int
		log        string
	}{
		{"a status", "shop", status, sign(status), nil, 200, 1, ""},
		{"several things", "shop", several, sign(several), nil, 200, 6, ""},
		{"signed by another", "shop", status, sign(several), nil, 401, 0, "its signature does not match"},
		{"not signed", "shop", status, "", nil, 401, 0, "it has no X-Hub-Signature-256"},
		{"not signed, insecure", "shop", status, "", func(c *callback) { c.Insecure = true }, 401, 0, "it has no X-Hub-Signature-256"},
		{"no secret", "bare", status, sign(status), nil, 503, 0, "the connection has no app_secret"},
		{"no secret, insecure", "bare", status, "", func(c *callback) { c.Insecure = true }, 200, 1, ""},
		{"no webhook, insecure", "bare", []byte(`{"a":1}`), "", func(c *callback) { c.Insecure = true }, 400, 0, "it is not a webhook"},
		{"unknown connection", "nobody", status, sign(status), nil, 404, 0, ""},
		{"another app", "hook", status, sign(status), nil, 404, 0, ""},
		{"no JSON", "shop", []byte("oui"), sign([]byte("oui")), nil, 200, 0, "cannot be read; its content is lost"},
		{"another product", "shop", []byte(`{"object":"page","entry":[]}`), sign([]byte(`{"object":"page","entry":[]}`)), nil, 200, 0, `its object is \"page\"`},
		{"nothing", "shop", []byte(`{"object":"whatsapp_business_account","entry":[]}`), sign([]byte(`{"object":"whatsapp_business_account","entry":[]}`)), nil, 200, 0, ""},
		{"an unknown field", "shop", []byte(`{"entry":[{"changes":[{"field":"weather","value":{"sun":1}}]}]}`), sign([]byte(`{"entry":[{"changes":[{"field":"weather","value":{"sun":1}}]}]}`)), nil, 200, 1, "the field is unknown"},
		{"too long", "shop", long, sign(long), nil, 413, 0, "longer than 3145728 bytes"},
		{"the disk is full", "shop", status, sign(status), func(c *callback) {
			c.Apply = func(context.Context, string, []inbound.Notification) error { return errors.New("the disk is full") }
		}, 503, 0, "the disk is full"},
		{"the vault is down", "shop", status, sign(status), func(c *callback) { c.vault = passing{} }, 503, 0, "the vault is sealed"},
		{"a number of others", "shop", others, sign(others), func(c *callback) { c.Known = func(_, id string) bool { return id == "1" } }, 200, 0, "no flow or connection names"},
		{"a call of a number that no flow names any more", "shop", status, sign(status), func(c *callback) { c.Known = func(_, id string) bool { return id == "1" } }, 200, 1, ""},
		{"a number of ours", "shop", status, sign(status), func(c *callback) { c.Known = func(_, id string) bool { return id == "106540352242922" } }, 200, 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCallback()
			if tt.change != nil {
				tt.change(c)
			}
			w := request(c.handler(), http.MethodPost, "/webhooks/whatsapp/"+tt.connection, tt.body, tt.signature)
			assert.Equal(t, tt.status, w.Code)
			assert.Empty(t, w.Body.String(), "nobody there reads it")
			assert.Len(t, c.told, tt.told)
			require.Len(t, c.answers, 1)
			assert.Equal(t, tt.status, c.answers[0].Status)
			assert.NotContains(t, c.log.String(), appSecret)
			assert.NotContains(t, c.log.String(), "33612345678")
			if tt.log == "" {
				assert.Empty(t, c.log.String())
			} else {
				assert.Contains(t, c.log.String(), tt.log)
			}
		})
	}
}

func TestMethods(t *testing.T) {
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodPatch} {
		w := request(newCallback().handler(), method, "/webhooks/whatsapp/shop", nil, "")
		assert.Equal(t, http.StatusMethodNotAllowed, w.Code)
		assert.Equal(t, "GET, POST", w.Header().Get("Allow"))
	}
}

// TestWebhookDocumented posts all that Meta documents, and again.
func TestWebhookDocumented(t *testing.T) {
	c := newCallback()
	h := c.handler()
	each(t, handler, func(name string, body []byte) {
		want, err := inbound.Parse(body)
		require.NoError(t, err)
		for range 2 {
			c.told = nil
			require.Equal(t, http.StatusOK, request(h, http.MethodPost, "/webhooks/whatsapp/shop", body, sign(body)).Code, name)
			assert.Equal(t, printed(t, want), printed(t, c.told), name)
		}
	})
	each(t, handler+"/bad", func(name string, body []byte) {
		c.told = nil
		assert.Equal(t, http.StatusOK, request(h, http.MethodPost, "/webhooks/whatsapp/shop", body, sign(body)).Code, name)
		assert.Empty(t, c.told, name)
		assert.True(t, c.answers[len(c.answers)-1].Unreadable, name)
	})
}

// TestVaultDown: webhooks go on while the vault does not answer, or does not come
// to an end, with what it said last.
func TestVaultDown(t *testing.T) {
	body, err := os.ReadFile(filepath.Join(handler, "status_sent.json"))
	require.NoError(t, err)
	c := newCallback()
	h := c.handler()
	post := func(signature string) int {
		return request(h, http.MethodPost, "/webhooks/whatsapp/shop", body, signature).Code
	}
	require.Equal(t, 200, post(sign(body)))
	c.vault = passing{}
	assert.Equal(t, 200, post(sign(body)))
	assert.Equal(t, 401, post("sha256="+strings.Repeat("0", 64)))
	c.vault = context.DeadlineExceeded
	assert.Equal(t, 200, post(sign(body)))
	assert.Contains(t, c.log.String(), "the vault cannot be read")
	c.vault = errors.New("permission denied")
	assert.Equal(t, 503, post(sign(body)), "what does not pass by itself, somebody has to mend")
	c.vault = &vault.UnknownConnectionError{Name: "shop"}
	assert.Equal(t, 404, post(sign(body)))
}

// TestSlow lets a client send its body so slowly that it does not come.
func TestSlow(t *testing.T) {
	c := newCallback()
	c.BodyTimeout = 20 * time.Millisecond
	server := httptest.NewServer(c.handler())
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /webhooks/whatsapp/shop HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=00\r\nContent-Length: 3000000\r\n\r\n{")
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Contains(t, string(answer), "408 Request Timeout")
}

// TestFlood posts many large bodies at the same time, and statuses in between.
func TestFlood(t *testing.T) {
	c := newCallback()
	server := httptest.NewServer(c.handler())
	defer server.Close()
	var large []string
	for i := range 1000 {
		large = append(large, fmt.Sprintf(`{"field":"messages","value":{"metadata":{"phone_number_id":"1"},"messages":[{"from":"33612345678","id":"wamid.%d","timestamp":"1749416383","type":"text","text":{"body":"%s"}}]}}`, i, strings.Repeat("x", 2500)))
	}
	big := []byte(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[` + strings.Join(large, ",") + `]}]}`)
	require.Less(t, len(big), inbound.MaxBody)
	small, err := os.ReadFile(filepath.Join(handler, "status_sent.json"))
	require.NoError(t, err)
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			body := small
			if i%2 == 0 {
				body = big
			}
			req, err := http.NewRequest(http.MethodPost, server.URL+"/webhooks/whatsapp/shop", bytes.NewReader(body))
			if !assert.NoError(t, err) {
				return
			}
			req.Header.Set(inbound.SignatureHeader, sign(body))
			resp, err := http.DefaultClient.Do(req)
			if assert.NoError(t, err) {
				assert.Equal(t, 200, resp.StatusCode)
				resp.Body.Close()
			}
		})
	}
	all.Wait()
	assert.Len(t, c.told, 6*1000+6)
}

// FuzzHandler: whatever comes, it is answered, and nothing is stored that Meta did
// not sign.
func FuzzHandler(f *testing.F) {
	each(f, handler, func(_ string, body []byte) { f.Add(http.MethodPost, "shop", body, sign(body)) })
	f.Add(http.MethodPost, "bare", []byte("{}"), "")
	f.Add(http.MethodGet, "shop", []byte{}, "sha256=")
	f.Add("BREW", "../shop", []byte("\x00"), "sha256=zz")
	f.Fuzz(func(t *testing.T, method, connection string, body []byte, signature string) {
		c := newCallback()
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Method = method
		r.SetPathValue("connection", connection)
		r.Header.Set(inbound.SignatureHeader, signature)
		w := httptest.NewRecorder()
		inbound.Handler(c.Options).ServeHTTP(w, r)
		assert.Contains(t, []int{200, 401, 403, 404, 405, 413, 503}, w.Code)
		if w.Code == 200 {
			assert.NoError(t, inbound.VerifySignature(body, signature, vault.NewSecret(appSecret)))
		}
		if w.Code != 200 || c.answers[0].Unreadable {
			assert.Empty(t, c.told)
		}
	})
}

func BenchmarkHandler(b *testing.B) {
	c := newCallback()
	c.Apply = func(context.Context, string, []inbound.Notification) error { return nil }
	c.Answered = nil
	h := c.handler()
	body, err := os.ReadFile(filepath.Join(handler, "status_sent.json"))
	require.NoError(b, err)
	signature := sign(body)
	b.ReportAllocs()
	for b.Loop() {
		if w := request(h, http.MethodPost, "/webhooks/whatsapp/shop", body, signature); w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}
