package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/actions/webhook"
	"facteur/flow/schema"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const secret = "what-both-sides-know"

func connection(name, kind, header, secret string) vault.Connection {
	c := vault.Connection{Name: name, App: vault.Webhook, Setup: map[string]string{"type": kind}, Secrets: map[string]vault.Secret{"secret": vault.NewSecret(secret)}}
	if header != "" {
		c.Setup["header"] = header
	}
	return c
}

func sum(body, secret string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return mac.Sum(nil)
}

func signed(body string) string { return "sha256=" + hex.EncodeToString(sum(body, secret)) }

// A receiver is a handler with all that it works with.
type receiver struct {
	mu          sync.Mutex
	connections map[string]vault.Connection
	paths       map[string][]string // connections; none among them: anybody
	got         []webhook.Delivery
	answers     []int
	log         bytes.Buffer
	deliver     error
	patience    time.Duration
	explain     bool
}

func newReceiver() *receiver {
	r := &receiver{connections: map[string]vault.Connection{}, paths: map[string][]string{
		"/orders": {"shop"}, "/open": {webhook.NoConnection}, "/mixed": {webhook.NoConnection, "shop"}, "/paid": {"bank", "shop"},
		"/broken": {"gone"}, "/wrong": {"whatsapp"}, "/half": {webhook.NoConnection, "gone"},
	}}
	for _, c := range []vault.Connection{
		connection("shop", "hmac", "", secret), connection("bank", "shared", "X-Bank-Key", "bank-secret-1"),
		{Name: "whatsapp", App: vault.WhatsApp, Secrets: map[string]vault.Secret{"secret": vault.NewSecret(secret)}},
	} {
		r.connections[c.Name] = c
	}
	return r
}

func (r *receiver) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/hooks/{path...}", webhook.Handler(webhook.Options{
		Find: func(path string) (names []string, open bool) {
			for _, name := range r.paths[path] {
				if name == webhook.NoConnection {
					open = true
				} else {
					names = append(names, name)
				}
			}
			return names, open
		},
		Paths: func() []string { return slices.Sorted(maps.Keys(r.paths)) },
		Resolve: func(_ context.Context, name string) (vault.Connection, error) {
			c, ok := r.connections[name]
			if !ok {
				return c, errors.New("the vault does not answer")
			}
			return c, nil
		},
		Deliver: func(_ context.Context, d webhook.Delivery) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.got = append(r.got, d)
			return r.deliver
		},
		BodyTimeout: r.patience,
		Explain:     r.explain,
		Now:         func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) },
		Log:         slog.New(slog.NewTextHandler(&r.log, nil)),
		Answered: func(status int, _ time.Duration) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.answers = append(r.answers, status)
		},
	}))
	return mux
}

func (r *receiver) post(path, body string, header ...string) *httptest.ResponseRecorder {
	return r.do(http.MethodPost, path, strings.NewReader(body), header...)
}

func (r *receiver) do(method, path string, body io.Reader, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, body)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.handler().ServeHTTP(w, req)
	return w
}

func TestHandler(t *testing.T) {
	const body = `{"id": 7, "text": "d\u00e9j\u00e0"}`
	parsed := map[string]any{"id": int64(7), "text": "déjà"}
	long := strings.Repeat("x", webhook.MaxBody+1)
	for _, tt := range []struct {
		name, path, body string
		header           []string
		status           int
		connection       string // of what is delivered
		data             any    // its body
	}{
		{"signed", "/hooks/orders", body, []string{"X-Hub-Signature-256", signed(body), "Content-Type", "application/json; charset=utf-8"}, 202, "shop", parsed},
		{"signed, in base64", "/hooks/orders", body, []string{"X-Hub-Signature-256", base64.StdEncoding.EncodeToString(sum(body, secret))}, 202, "shop", parsed},
		{"signed, digits alone", "/hooks/orders/", body, []string{"X-Hub-Signature-256", hex.EncodeToString(sum(body, secret))}, 202, "shop", parsed},
		{"not signed", "/hooks/orders", body, nil, 401, "", nil},
		{"signed by another", "/hooks/orders", body, []string{"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(sum(body, "another"))}, 401, "", nil},
		{"decoded and encoded again", "/hooks/orders", `{"id":7,"text":"déjà"}`, []string{"X-Hub-Signature-256", signed(body)}, 401, "", nil},
		{"no signature at all", "/hooks/orders", body, []string{"X-Hub-Signature-256", "sha256=zz"}, 401, "", nil},
		{"the secret in place of a signature", "/hooks/orders", body, []string{"X-Hub-Signature-256", secret}, 401, "", nil},
		{"a shared secret", "/hooks/paid", body, []string{"X-Bank-Key", "bank-secret-1"}, 202, "bank", parsed},
		{"a shared secret, as a token", "/hooks/paid", body, []string{"X-Bank-Key", "bearer bank-secret-1"}, 202, "bank", parsed},
		{"another shared secret", "/hooks/paid", body, []string{"X-Bank-Key", "bank-secret-2"}, 401, "", nil},
		{"the path's other connection", "/hooks/paid", body, []string{"X-Hub-Signature-256", signed(body)}, 202, "shop", parsed},
		{"anybody", "/hooks/open", body, nil, 202, "none", parsed},
		{"anybody, where some prove themselves", "/hooks/mixed", body, nil, 202, "none", parsed},
		{"who proves it, where anybody may", "/hooks/mixed", body, []string{"X-Hub-Signature-256", signed(body)}, 202, "shop", parsed},
		{"no such path", "/hooks/nothing", body, []string{"X-Hub-Signature-256", signed(body)}, 404, "", nil},
		{"no path", "/hooks/", body, nil, 404, "", nil},
		{"a path that is none", "/hooks/a%20b", body, nil, 404, "", nil},
		{"the vault is down", "/hooks/broken", body, []string{"X-Hub-Signature-256", signed(body)}, 503, "", nil},
		{"the vault is down, where anybody may", "/hooks/half", body, nil, 503, "", nil},
		{"a connection of another app", "/hooks/wrong", body, []string{"X-Hub-Signature-256", signed(body)}, 503, "", nil},
		{"too long", "/hooks/open", long, nil, 413, "", nil},
		{"as long as may be", "/hooks/open", long[1:], nil, 202, "none", long[1:]},
		{"text", "/hooks/open", "bonjour", []string{"Content-Type", "text/plain"}, 202, "none", "bonjour"},
		{"a form", "/hooks/open", "a=1&b=2", []string{"Content-Type", "application/x-www-form-urlencoded"}, 202, "none", "a=1&b=2"},
		{"text that begins like JSON", "/hooks/open", "[x] done", nil, 202, "none", "[x] done"},
		{"a number is text", "/hooks/open", "012", nil, 202, "none", "012"},
		{"a number is JSON where it says so", "/hooks/open", "12", []string{"Content-Type", "application/vnd.shop+json"}, 202, "none", int64(12)},
		{"nothing", "/hooks/open", "", []string{"Content-Type", "application/json"}, 202, "none", ""},
		{"broken JSON", "/hooks/open", `{"a":`, []string{"Content-Type", "application/json"}, 400, "", nil},
		{"neither JSON nor text", "/hooks/open", "\xff\xfe\x00", nil, 415, "", nil},
		{"compressed", "/hooks/open", "\x1f\x8b", []string{"Content-Encoding", "gzip"}, 415, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newReceiver()
			w := r.post(tt.path, tt.body, tt.header...)
			require.Equal(t, tt.status, w.Code, w.Body)
			assert.Equal(t, []int{tt.status}, r.answers)
			var answer map[string]any
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
			assert.NotContains(t, w.Body.String()+r.log.String(), secret)
			if tt.status != 202 {
				assert.Empty(t, r.got)
				assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
				assert.EqualValues(t, tt.status, answer["status"])
				return
			}
			require.Len(t, r.got, 1)
			d := r.got[0]
			assert.Equal(t, d.ID, answer["id"])
			assert.Equal(t, tt.connection, d.Connection)
			assert.Equal(t, tt.data, d.Data["body"])
			assert.Equal(t, "/"+strings.Trim(strings.TrimPrefix(tt.path, "/hooks"), "/"), d.Path)
			_, found := webhook.Event().Type.Coerce(d.Data)
			assert.NoError(t, found.Err())
		})
	}
}

func TestOtherMethods(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		w := newReceiver().do(method, "/hooks/orders", nil)
		assert.Equal(t, http.StatusMethodNotAllowed, w.Code)
		assert.Equal(t, http.MethodPost, w.Header().Get("Allow"))
	}
}

// TestUnknownPath: it cannot be told from the answer whether a path is none or has no
// flow.
func TestUnknownPath(t *testing.T) {
	r := newReceiver()
	assert.Equal(t, r.post("/hooks/nothing", "x").Body.String(), r.post("/hooks/a%0Ab", "x").Body.String())
}

// TestExplain: only those who develop are told what a request lacks, and nobody a secret.
func TestExplain(t *testing.T) {
	for _, tt := range []struct{ name, path, told, explained string }{
		{"the vault is down", "/hooks/broken", "send it again", "its sender cannot be verified: the vault does not answer"},
		{"a connection of another app", "/hooks/wrong", "send it again", "whatsapp: the connection is not of app WEBHOOK"},
		{"no such path", "/hooks/order", "there is no webhook at this path", "there is no webhook at this path: flows accept webhooks at /broken, /half, /mixed, /open, /orders, /paid, /wrong"},
		{"no proof", "/hooks/paid", "the connection names", "X-Bank-Key must contain the secret of bank, or X-Hub-Signature-256 must contain the HMAC-SHA256 of the body with the secret of shop"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newReceiver()
			strange := r.post(tt.path, "x").Body.String()
			assert.Contains(t, strange, tt.told)
			assert.NotContains(t, strange, tt.explained)
			r.explain = true
			candid := r.post(tt.path, "x").Body.String()
			assert.Contains(t, candid, tt.explained)
			assert.NotContains(t, candid, "bank-secret-1")
			assert.NotContains(t, candid, secret)
		})
	}
}

// TestHeaders: flows see no header that holds a secret.
func TestHeaders(t *testing.T) {
	r := newReceiver()
	r.post("/hooks/paid", "x", "X-Bank-Key", "bank-secret-1", "Authorization", "Basic abc", "Cookie", "a=b",
		"X-Copy", "key=bank-secret-1", "X-Hub-Signature-256", "sha256=00", "X-Topic", "paid", "User-Agent", "bank/1")
	require.Len(t, r.got, 1)
	assert.Equal(t, map[string]any{"x-topic": "paid", "user-agent": "bank/1"}, r.got[0].Data["headers"])
}

func TestIDs(t *testing.T) {
	id := func(r *receiver, path, body string, header ...string) string {
		w := r.post(path, body, header...)
		require.Equal(t, 202, w.Code)
		return r.got[len(r.got)-1].ID
	}
	r := newReceiver()
	assert.NotEqual(t, id(r, "/hooks/open", "x"), id(r, "/hooks/open", "x"), "each is a new one")
	first := id(r, "/hooks/open", "x", "Webhook-Id", "7")
	assert.Equal(t, first, id(r, "/hooks/open", "y", "Webhook-Id", "7"), "the sender says that it is the same")
	assert.NotEqual(t, first, id(r, "/hooks/mixed", "x", "Webhook-Id", "7"), "on another path it is another")
	assert.NotEqual(t, first, id(r, "/hooks/open", "x", "Idempotency-Key", "7"))

	assert.NotContains(t, id(r, "/hooks/open", "x", "Webhook-Id", "customer"), "customer", "it tells nothing of the value")
}

func TestNotStored(t *testing.T) {
	r := newReceiver()
	r.deliver = errors.New("the disk is full")
	w := r.post("/hooks/open", "x")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Equal(t, "5", w.Header().Get("Retry-After"))
	assert.NotContains(t, w.Body.String(), "disk", "that is ours alone")
	assert.Contains(t, r.log.String(), "the disk is full")
}

// TestSlow lets a client send one byte and then nothing.
func TestSlow(t *testing.T) {
	r := newReceiver()
	r.patience = 20 * time.Millisecond
	server := httptest.NewServer(r.handler())
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /hooks/open HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx")
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err, "the server closes the connection")
	assert.Contains(t, string(answer), "408 Request Timeout")
	assert.Empty(t, r.got)
}

// TestLongBodies lets strangers begin many long bodies: there is an end to what they take, and
// short ones are read as ever.
func TestLongBodies(t *testing.T) {
	r := newReceiver()
	server := httptest.NewServer(r.handler())
	defer server.Close()
	post := func(body io.Reader, length int, proof string) int {
		req, err := http.NewRequest(http.MethodPost, server.URL+"/hooks/orders", body)
		if !assert.NoError(t, err) {
			return 0
		}
		req.ContentLength = int64(length)
		req.Header.Set(webhook.SignatureHeader, proof)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0
		}
		assert.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	const most = 64
	text := strings.Repeat(" ", webhook.MaxBody)
	begun, statuses := make([]*io.PipeWriter, most+16), make(chan int)
	for i := range begun {
		body, part := io.Pipe()
		begun[i] = part
		go func() { statuses <- post(body, len(text), signed("something else")) }()
		go io.WriteString(part, text[:100<<10])
	}
	for range len(begun) - most {
		assert.Equal(t, http.StatusServiceUnavailable, <-statuses)
	}
	assert.Equal(t, http.StatusAccepted, post(strings.NewReader("{}"), 2, signed("{}")))
	for _, part := range begun {
		part.CloseWithError(io.ErrUnexpectedEOF)
	}
	for range most {
		assert.Zero(t, <-statuses)
	}
	assert.Eventually(t, func() bool { return post(strings.NewReader(text), len(text), signed(text)) == http.StatusAccepted }, 10*time.Second, time.Millisecond, "there is room again")
}

// TestNotAskedFor tells who has no proof at all at once, and does not read what they send.
func TestNotAskedFor(t *testing.T) {
	r := newReceiver()
	assert.Equal(t, http.StatusUnauthorized, r.do(http.MethodPost, "/hooks/orders", unread{t}).Code)
	assert.Equal(t, http.StatusServiceUnavailable, r.do(http.MethodPost, "/hooks/broken", unread{t}).Code)
}

type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) { u.t.Error("it is read"); return 0, io.EOF }

// TestBrokenOff lets a client leave in the middle of the body.
func TestBrokenOff(t *testing.T) {
	r := newReceiver()
	w := r.do(http.MethodPost, "/hooks/open", io.MultiReader(strings.NewReader("x"), broken{}))
	assert.Equal(t, http.StatusBadRequest, w.Code)
	assert.Empty(t, r.got)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestPath(t *testing.T) {
	for text, want := range map[string]string{"payments/done": "/payments/done", "/payments/done/": "/payments/done", "//a//b": "/a//b", "/é": "/é"} {
		got, err := webhook.Path(text)
		assert.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for _, text := range []string{"", "/", "a b", "a?b", "a#b", "a\nb", "a\x00b", "\xff", strings.Repeat("a", 1025)} {
		_, err := webhook.Path(text)
		assert.ErrorContains(t, err, "is not a path", text)
		assert.Less(t, len(err.Error()), 200)
	}
}

// FuzzHandler: whatever comes, it is answered; without the proof nothing is delivered, and
// what is delivered is as flows expect it.
func FuzzHandler(f *testing.F) {
	f.Add("/hooks/orders", []byte(`{"id":7}`), "X-Hub-Signature-256", signed(`{"id":7}`), "application/json")
	f.Add("/hooks/paid", []byte("x"), "X-Bank-Key", "bank-secret-1", "text/plain")
	f.Add("/hooks/open", []byte(`[1e400]`), "Webhook-Id", "1", "application/json;;")
	f.Add("/hooks/mixed", []byte("\xff"), "Authorization", "Bearer", "a/b+json")
	f.Add("/hooks/%2e%2e/open", bytes.Repeat([]byte("["), 20_000), "Content-Encoding", "br", "")
	event := webhook.Event()
	f.Fuzz(func(t *testing.T, path string, body []byte, name, value, kind string) {
		r := newReceiver()
		req := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		req.SetPathValue("path", strings.TrimPrefix(path, "/hooks/"))
		req.Header.Set(name, value)
		req.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		r.handlerAlone().ServeHTTP(w, req)
		if w.Code != http.StatusAccepted {
			assert.Empty(t, r.got)
			assert.Contains(t, []int{400, 401, 404, 413, 415, 503}, w.Code)
			return
		}
		require.Len(t, r.got, 1)
		d := r.got[0]
		proved := webhook.Verify(r.connections["shop"], req.Header, body) == nil || webhook.Verify(r.connections["bank"], req.Header, body) == nil
		assert.Equal(t, proved && d.Path != "/open", d.Connection != webhook.NoConnection)
		_, found := event.Type.Coerce(d.Data)
		assert.NoError(t, found.Err())
		_, err := schema.AppendJSON(nil, d.Data)
		assert.NoError(t, err)
	})
}

// handlerAlone is the handler without a router before it.
func (r *receiver) handlerAlone() http.Handler {
	var alone http.Handler
	router := r.handler().(*http.ServeMux)
	alone, _ = router.Handler(httptest.NewRequest(http.MethodPost, "/hooks/x", nil))
	return alone
}

func BenchmarkHandler(b *testing.B) {
	r := newReceiver()
	body := `{"id":"7","customer":{"phone":"+33612345678","name":"Ada"},"items":[{"sku":"a","count":1},{"sku":"b","count":2}]}`
	h, signature := r.handler(), signed(body)
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequest(http.MethodPost, "/hooks/orders", strings.NewReader(body))
		req.Header.Set(webhook.SignatureHeader, signature)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != http.StatusAccepted {
			b.Fatal(w.Code)
		}
		r.got, r.answers = r.got[:0], r.answers[:0]
	}
}
