package httpcall_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/actions"
	"facteur/actions/httpcall"
	"facteur/flow/call"
	"facteur/flow/schema"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// asked is a request as a server saw it.
type asked struct {
	Method, Path, Query, Body string
	Header                    http.Header
}

type server struct {
	*httptest.Server
	mu  sync.Mutex
	got []asked
}

func serve(t *testing.T, handle http.HandlerFunc) *server {
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.got = append(s.got, asked{r.Method, r.URL.Path, r.URL.RawQuery, string(body), r.Header.Clone()})
		s.mu.Unlock()
		handle(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) host() string { return strings.TrimPrefix(s.URL, "http://") }

func says(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

type keys struct{ conn vault.Connection }

func (k keys) Resolve(context.Context, string) (vault.Connection, error) { return k.conn, nil }
func (k keys) Refresh(context.Context, string) (vault.Connection, bool, error) {
	return k.conn, false, nil
}

var open = httpcall.Policy{AllowPrivate: true}

// do performs a request as a flow would.
func do(t *testing.T, p httpcall.Policy, conn *vault.Connection, in map[string]any) call.Outcome {
	t.Helper()
	var k keys
	c := call.Call{Key: "f1.r.1", Action: "http.request"}
	if conn != nil {
		k.conn, c.Connection = *conn, "api"
		k.conn.App = vault.HTTP
	}
	set, err := actions.NewSet(k, httpcall.Request(p, nil))
	require.NoError(t, err)
	v, found := set.Action("http.request").In.Coerce(in)
	require.NoError(t, found.Err())
	c.Input = v.(map[string]any)
	if yes, ok := in["idempotent"].(bool); ok {
		c.Idempotent = yes
	}
	return set.Do(context.Background(), c)
}

func TestRequests(t *testing.T) {
	s := serve(t, says(200, "application/json; charset=utf-8", `{"n": 7, "f": 1.5}`))
	for _, tt := range []struct {
		name string
		in   map[string]any
		want asked
		kind string
	}{
		{"the plainest", map[string]any{"url": s.URL + "/a"}, asked{Method: "GET", Path: "/a"}, ""},
		{"a query", map[string]any{"url": s.URL + "/a?z=1#top", "query": map[string]any{"q": "é &", "n": int64(7), "list": []any{true, 1.5}}}, asked{Method: "GET", Path: "/a", Query: "z=1&list=true&list=1.5&n=7&q=%C3%A9+%26"}, ""},
		{"json", map[string]any{"url": s.URL, "method": "post", "json": map[string]any{"b": []any{nil, "<a>"}, "a": 90 * time.Second}}, asked{Method: "POST", Path: "/", Body: `{"a":"1m30s","b":[null,"<a>"]}`}, "application/json"},
		{"a form", map[string]any{"url": s.URL, "method": "POST", "form": map[string]any{"a": "1 2"}}, asked{Method: "POST", Path: "/", Body: "a=1+2"}, "application/x-www-form-urlencoded"},
		{"text", map[string]any{"url": s.URL, "method": "PUT", "text": ""}, asked{Method: "PUT", Path: "/"}, "text/plain; charset=utf-8"},
		{"headers", map[string]any{"url": s.URL, "method": "PATCH", "text": "<a/>", "headers": map[string]any{"content-type": "text/xml"}}, asked{Method: "PATCH", Path: "/", Body: "<a/>"}, "text/xml"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.got = nil
			o := do(t, open, nil, tt.in)
			require.Equal(t, call.Succeeded, o.Status, "%+v", o.Error)
			require.Len(t, s.got, 1)
			got := s.got[0]
			assert.Equal(t, tt.kind, got.Header.Get("Content-Type"))
			got.Header = nil
			assert.Equal(t, tt.want, got)
			assert.Equal(t, int64(200), o.Output["status_code"])
			assert.Equal(t, map[string]any{"n": int64(7), "f": 1.5}, o.Output["json"])
			assert.Equal(t, `{"n": 7, "f": 1.5}`, o.Output["text"])
			assert.Equal(t, "application/json; charset=utf-8", o.Output["headers"].(map[string]any)["content-type"])
		})
	}
}

func TestStatuses(t *testing.T) {
	for _, tt := range []struct {
		method     string
		status     int
		expect     any
		idempotent bool
		want       call.Status
		retryable  bool
	}{
		{"POST", 201, nil, false, call.Succeeded, false},
		{"GET", 302, nil, false, call.Succeeded, false},
		{"GET", 404, nil, false, call.Failed, false},
		{"GET", 404, []any{int64(200), int64(404)}, false, call.Succeeded, false},
		{"GET", 200, int64(201), false, call.Failed, false},
		{"POST", 429, nil, false, call.Failed, true},
		{"POST", 503, nil, false, call.Failed, true},
		{"POST", 500, nil, false, call.Failed, false},
		{"POST", 502, nil, true, call.Failed, true},
		{"GET", 504, nil, false, call.Failed, true},
		{"DELETE", 500, nil, false, call.Failed, true},
		{"PATCH", 500, nil, false, call.Failed, false},
		{"GET", 501, nil, false, call.Failed, false},
	} {
		s := serve(t, says(tt.status, "text/plain", "body"))
		in := map[string]any{"url": s.URL, "method": tt.method}
		if tt.expect != nil {
			in["expect_status"] = tt.expect
		}
		v := do(t, open, nil, in)
		if tt.idempotent {
			set, err := actions.NewSet(nil, httpcall.Request(open, nil))
			require.NoError(t, err)
			v = set.Do(context.Background(), call.Call{Action: "http.request", Input: in, Idempotent: true})
		}
		assert.Equal(t, tt.want, v.Status, "%s %d", tt.method, tt.status)
		assert.Equal(t, tt.retryable, v.Retryable, "%s %d", tt.method, tt.status)
		assert.Equal(t, int64(tt.status), v.Output["status_code"])
		assert.Nil(t, v.Output["json"])
		if tt.want == call.Failed {
			assert.Equal(t, "http_status", v.Error.Code)
			assert.Equal(t, int64(tt.status), v.Error.StatusCode)
			assert.Equal(t, "body", v.Output["text"])
		}
	}
}

func TestRetryAfterIsKept(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(503)
	})
	assert.Equal(t, 7*time.Second, do(t, open, nil, map[string]any{"url": s.URL, "method": "POST"}).After)
}

func TestAnAnswerThatIsTooLong(t *testing.T) {
	s := serve(t, says(200, "text/plain", strings.Repeat("x", 5<<20)))
	o := do(t, open, nil, map[string]any{"url": s.URL, "method": "POST"})
	assert.Equal(t, call.Unknown, o.Status)
	assert.Contains(t, o.Error.Message, "longer than 1 MiB")
	assert.Equal(t, int64(200), o.Output["status_code"])
	o = do(t, open, nil, map[string]any{"url": s.URL})
	assert.Equal(t, call.Failed, o.Status)
	assert.Equal(t, "answer_too_long", o.Error.Code)
	assert.False(t, o.Retryable, "it would be too long again")
	o = do(t, httpcall.Policy{AllowPrivate: true, MaxBody: 6 << 20}, nil, map[string]any{"url": s.URL})
	assert.Equal(t, call.Succeeded, o.Status)
}

func TestNoAnswer(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		c, _, _ := w.(http.Hijacker).Hijack()
		c.Close()
	})
	o := do(t, open, nil, map[string]any{"url": s.URL, "method": "POST"})
	assert.Equal(t, call.Unknown, o.Status)
	o = do(t, open, nil, map[string]any{"url": s.URL, "method": "PUT"})
	assert.Equal(t, call.Failed, o.Status)
	assert.True(t, o.Retryable)
	o = do(t, open, nil, map[string]any{"url": "http://127.0.0.1:1", "method": "POST"})
	assert.Equal(t, call.Failed, o.Status)
	assert.Equal(t, "network", o.Error.Class)
	assert.Contains(t, o.Error.Message, "the connection was refused")
}

func TestTheAllowList(t *testing.T) {
	s := serve(t, says(200, "text/plain", "ok"))
	_, port, _ := strings.Cut(s.host(), ":")
	for _, tt := range []struct {
		name   string
		policy httpcall.Policy
		url    string
		code   string // "" when it is allowed
	}{
		{"a private address", httpcall.Policy{}, s.URL, "address_refused"},
		{"a name of one", httpcall.Policy{}, "http://localhost:" + port, "address_refused"},
		{"allowed in general", httpcall.Policy{AllowPrivate: true}, s.URL, ""},
		{"listed itself", httpcall.Policy{AllowHosts: []string{"127.0.0.1"}}, s.URL, ""},
		{"listed with its port", httpcall.Policy{AllowHosts: []string{s.host()}}, s.URL, ""},
		{"listed with another port", httpcall.Policy{AllowHosts: []string{"127.0.0.1:1"}, AllowPrivate: true}, s.URL, "host_refused"},
		{"a listed name may be its own", httpcall.Policy{AllowHosts: []string{"LOCALHOST."}}, "http://localhost:" + port, ""},
		{"another is listed", httpcall.Policy{AllowHosts: []string{"api.shop.test"}, AllowPrivate: true}, s.URL, "host_refused"},
		{"hexadecimal", httpcall.Policy{}, "http://[::ffff:7f00:1]:" + port, "address_refused"},
		{"credentials of a cloud", httpcall.Policy{AllowPrivate: true}, "http://169.254.169.254/latest", "address_refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := do(t, tt.policy, nil, map[string]any{"url": tt.url, "method": "POST"})
			if tt.code == "" {
				assert.Equal(t, call.Succeeded, o.Status, "%+v", o.Error)
				return
			}
			assert.Equal(t, call.Failed, o.Status)
			require.NotNil(t, o.Error)
			assert.Equal(t, tt.code, o.Error.Code)
			assert.False(t, o.Retryable)
			assert.NotEmpty(t, o.Error.Details["help"])
		})
	}
}

func TestKindsOfAddress(t *testing.T) {
	for text, want := range map[string]string{
		"8.8.8.8": "public", "2606:4700::1111": "public", "172.32.0.1": "public", "100.128.0.1": "public",
		"10.1.2.3": "private", "172.16.0.1": "private", "192.168.1.1": "private", "127.0.0.1": "private", "::1": "private",
		"100.64.0.1": "private", "fd12::1": "private", "::ffff:10.0.0.1": "private", "64:ff9b::a00:1": "private", "2002:a00:1::": "private",
		"169.254.169.254": "local", "fe80::1": "local", "0.0.0.0": "local", "::": "local", "224.0.0.1": "local", "255.255.255.255": "local",
		"100.100.100.200": "local", "168.63.129.16": "local", "fd00:ec2::254": "local", "0.1.2.3": "local", "64:ff9b::a9fe:a9fe": "local", "198.18.0.1": "local",
	} {
		assert.Equal(t, want, httpcall.KindOf(netip.MustParseAddr(text)), text)
	}
}

func TestWildcards(t *testing.T) {
	p := httpcall.Policy{AllowHosts: []string{"*.shop.test", "api.other.test:8443"}}
	for text, want := range map[string]bool{
		"https://a.shop.test": true, "https://a.b.SHOP.test.": true, "https://shop.test": false, "https://evilshop.test": false,
		"https://a.shop.test.evil.test": false, "https://api.other.test": false, "https://api.other.test:8443": true,
	} {
		sig := httpcall.Request(p, nil).Signature()
		found := sig.Check(schema.NewValue(map[string]any{"url": text}, nil))
		assert.Equal(t, want, found.Err() == nil, "%s: %v", text, found)
	}
}

func TestRedirects(t *testing.T) {
	end := serve(t, says(200, "text/plain", "end"))
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, end.URL+"/there", http.StatusFound)
		case "/home":
			http.Redirect(w, r, "/here", http.StatusTemporaryRedirect)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/local":
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}
	})
	conn := &vault.Connection{Setup: map[string]string{"type": "header", "header": "X-Api-Key"}, Secrets: map[string]vault.Secret{"value": vault.NewSecret("hush-hush")}}

	o := do(t, open, conn, map[string]any{"url": s.URL + "/away"})
	assert.Equal(t, call.Succeeded, o.Status, "a redirect is an answer")
	assert.Equal(t, int64(302), o.Output["status_code"])
	assert.Empty(t, end.got)

	o = do(t, open, conn, map[string]any{"url": s.URL + "/away", "follow_redirects": true})
	assert.Equal(t, "end", o.Output["text"])
	require.Len(t, end.got, 1)
	assert.Empty(t, end.got[0].Header.Get("X-Api-Key"), "another host gets no credentials")

	do(t, open, conn, map[string]any{"url": s.URL + "/home", "follow_redirects": true, "method": "POST", "text": "x"})
	last := s.got[len(s.got)-1]
	assert.Equal(t, []string{"/here", "x", "hush-hush"}, []string{last.Path, last.Body, last.Header.Get("X-Api-Key")})

	for path, code := range map[string]string{"/round": "redirects", "/file": "redirects", "/local": "address_refused"} {
		o = do(t, open, conn, map[string]any{"url": s.URL + path, "follow_redirects": true})
		assert.Equal(t, call.Failed, o.Status, path)
		assert.Equal(t, code, o.Error.Code, path)
		assert.False(t, o.Retryable, path)
	}
	o = do(t, httpcall.Policy{AllowHosts: []string{s.host()}}, conn, map[string]any{"url": s.URL + "/away", "follow_redirects": true, "method": "POST"})
	assert.Equal(t, call.Unknown, o.Status, "the first host may have done its part")
	assert.Contains(t, o.Error.Message, "flows may not call the host")
	assert.Len(t, end.got, 1)
}

func TestConnections(t *testing.T) {
	s := serve(t, says(200, "text/plain", "ok"))
	secret := func(name, value string) map[string]vault.Secret {
		return map[string]vault.Secret{name: vault.NewSecret(value)}
	}
	bearer := &vault.Connection{Setup: map[string]string{"type": "bearer"}, Secrets: secret("token", "hush-hush")}
	for _, tt := range []struct {
		conn         *vault.Connection
		header, want string
	}{
		{bearer, "Authorization", "Bearer hush-hush"},
		{&vault.Connection{Setup: map[string]string{"type": "basic", "username": "me"}, Secrets: secret("password", "hush-hush")}, "Authorization", "Basic bWU6aHVzaC1odXNo"},
		{&vault.Connection{Setup: map[string]string{"type": "header", "header": "X-Api-Key"}, Secrets: secret("value", "hush-hush")}, "X-Api-Key", "hush-hush"},
	} {
		o := do(t, open, tt.conn, map[string]any{"url": s.URL})
		require.Equal(t, call.Succeeded, o.Status)
		assert.Equal(t, tt.want, s.got[len(s.got)-1].Header.Get(tt.header))
	}

	based := &vault.Connection{Setup: map[string]string{"type": "bearer", "base_url": s.URL + "/v1/"}, Secrets: secret("token", "hush-hush")}
	o := do(t, open, based, map[string]any{"url": "/orders?a=1"})
	require.Equal(t, call.Succeeded, o.Status, "%+v", o.Error)
	assert.Equal(t, "/v1/orders", s.got[len(s.got)-1].Path)
	n := len(s.got)
	o = do(t, open, based, map[string]any{"url": "http://elsewhere.test/orders"})
	assert.Equal(t, "invalid_input", o.Error.Code)
	assert.Contains(t, o.Error.Message, "so its credentials are not sent to http://elsewhere.test")
	assert.Len(t, s.got, n)

	refuses := serve(t, says(401, "application/json", `{}`))
	o = do(t, open, bearer, map[string]any{"url": refuses.URL, "method": "POST"})
	assert.Equal(t, call.Failed, o.Status)
	assert.Equal(t, "auth", o.Error.Class)
}

func TestNoSecretInOutcomes(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		w.WriteHeader(400)
		_, _ = io.WriteString(w, r.Header.Get("Authorization")+url.QueryEscape(r.Header.Get("Authorization")))
	})
	for _, conn := range []*vault.Connection{
		{Setup: map[string]string{"type": "bearer"}, Secrets: map[string]vault.Secret{"token": vault.NewSecret("hush+hush/=")}},
		{Setup: map[string]string{"type": "basic", "username": "me"}, Secrets: map[string]vault.Secret{"password": vault.NewSecret("hush+hush/=")}},
	} {
		text, err := json.Marshal(do(t, open, conn, map[string]any{"url": s.URL, "method": "POST"}))
		require.NoError(t, err)
		for _, form := range []string{"hush", "bWU6"} {
			assert.NotContains(t, string(text), form)
		}
	}
}

func TestBadInput(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   map[string]any
		want string // of the outcome
		path string // of the violation, "" when types or rules cannot see it
	}{
		{"no scheme", map[string]any{"url": "api.shop.test"}, "it has no host", "url"},
		{"another scheme", map[string]any{"url": "file:///etc/passwd"}, "only http and https", "url"},
		{"credentials", map[string]any{"url": "https://me:hush@api.test"}, "store them in a connection", "url"},
		{"not an address", map[string]any{"url": "https://a b/?token=hush"}, "it is not an address", "url"},
		{"two bodies", map[string]any{"url": "https://a.test", "method": "POST", "json": map[string]any{}, "text": "x"}, "several bodies", "text"},
		{"a body on GET", map[string]any{"url": "https://a.test", "text": "x"}, "takes no body", "text"},
		{"a status", map[string]any{"url": "https://a.test", "expect_status": "2xx"}, "give a status", "expect_status"},
		{"a header's value", map[string]any{"url": "https://a.test", "headers": map[string]any{"X-A": "a\r\nX-B: b"}}, "control character", "headers.X-A"},
		{"a header's name", map[string]any{"url": "https://a.test", "headers": map[string]any{"X A": "a"}}, "not the name of a header", "headers.X A"},
		{"the host", map[string]any{"url": "https://a.test", "headers": map[string]any{"host": "b.test"}}, "set by facteur", "headers.host"},
		{"a list in a query", map[string]any{"url": "https://a.test", "query": map[string]any{"a": map[string]any{}}}, "contains a list or an object", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := do(t, open, nil, tt.in)
			assert.Equal(t, call.Failed, o.Status)
			assert.Equal(t, "invalid_input", o.Error.Code)
			assert.Contains(t, o.Error.Message, tt.want)
			assert.NotContains(t, o.Error.Message, "hush")
			assert.Equal(t, int64(0), o.Output["status_code"])
			found := httpcall.Request(open, nil).Signature().Check(schema.NewValue(tt.in, nil))
			if tt.path == "" {
				assert.Empty(t, found)
				return
			}
			require.Len(t, found, 1)
			assert.Equal(t, tt.path, found[0].Path.String())
		})
	}
}

// Without a connection nothing completes a path; what is not known yet may have a host.
func TestAlone(t *testing.T) {
	alone := httpcall.Request(open, nil).Signature().LintNoConnection
	text := func(fixed ...string) schema.Unknown {
		return schema.Unknown{Type: schema.StringType, FixedParts: fixed}
	}
	for _, tt := range []struct {
		url   any
		wrong bool
	}{
		{"/orders", true}, {"api.shop.test/orders", true}, {"https://api.shop.test", false}, {"https://", false},
		{schema.Unknown{Type: schema.StringType}, false}, {nil, false},
		{text("/orders/", ""), true}, {text("api.shop.test/orders/", ""), true}, {text("https://api.shop.test/", ""), false},
		{text("", "/orders"), false}, {text("api.", "/orders"), false}, {text("https://", "/orders"), false},
	} {
		found := alone(schema.NewValue(map[string]any{"url": tt.url}, &schema.Tracker{}))
		assert.Equal(t, tt.wrong, len(found) == 1, "%v %v", tt.url, found)
	}
}

// A credential in a header is warned of, with the way to a connection; expressions and
// words that are none are not.
func TestSecretsInHeaders(t *testing.T) {
	lint := httpcall.Request(open, nil).Signature().Lint
	for _, tt := range []struct {
		name  string
		value any
		setup string // "": no warning
	}{
		{"Authorization", "Bearer EAAGm0PX4ZCpsBAKZC", "--app HTTP\","},
		{"authorization", "bearer hush", "--app HTTP\","},
		{"Authorization", "Basic bWU6aHVzaA==", "--app HTTP type=basic username=USER\","},
		{"Authorization", "Token 9944b09199c62bcf", "type=header header=Authorization\","},
		{"Authorization", "3f9a7c52e1", "type=header header=Authorization\","},
		{"X-Api-Key", "k3y-of-the-shop", "type=header header=X-Api-Key\","},
		{"apiKey", "0123456789", "header=apiKey\","},
		{"PRIVATE-TOKEN", "glpat-xxxxxxxxxxxxxxxxxxxx", "header=PRIVATE-TOKEN\","},
		{"X-Shop_Secret", "abcdefghijklmnopqrstuvwxyz", "header=X-Shop_Secret\","},
		{"Authorization", "Bearer", ""},
		{"Authorization", "", ""},
		{"Authorization", schema.Unknown{Type: schema.StringType}, ""},
		{"X-Api-Key", schema.Unknown{Type: schema.StringType}, ""},
		{"X-Api-Key", "no-cache", ""},
		{"X-Api-Key", "not given", ""},
		{"Cache-Control", "no-cache, max-age=86400", ""},
		{"Idempotency-Key", "order-1042-of-2026", ""},
		{"X-Token-Type", "urn:ietf:params:oauth:token-type:jwt", ""},
		{"X-Request-Id", "0f8fad5b-d9cb-469f-a165-70867728950e", ""},
		{"Accept", "application/vnd.shop.v2+json", ""},
		{"key", "", ""},
	} {
		found := lint(schema.NewValue(map[string]any{"url": "https://a.test", "headers": map[string]any{tt.name: tt.value, "X-A": "a"}}, &schema.Tracker{}))
		if tt.setup == "" {
			assert.Empty(t, found, "%s: %v", tt.name, tt.value)
			continue
		}
		require.Len(t, found, 1, "%s: %v", tt.name, tt.value)
		assert.Equal(t, schema.Path{"headers", tt.name}, found[0].Path)
		assert.True(t, found[0].Warning && found[0].Hidden)
		assert.Contains(t, found[0].Hint, "facteur vault set NAME ")
		assert.Contains(t, found[0].Hint, tt.setup)
		assert.NotContains(t, found[0].Error()+found[0].Hint, tt.value)
	}
	for _, in := range []any{schema.Unknown{Type: schema.AnyType}, map[string]any{"url": "/"}, map[string]any{"headers": schema.Unknown{Type: schema.AnyType}}} {
		assert.Empty(t, lint(schema.NewValue(in, &schema.Tracker{})))
	}
}

func TestUnknownPartsAreNotChecked(t *testing.T) {
	unknown := schema.Unknown{Type: schema.AnyType}
	sig := httpcall.Request(httpcall.Policy{AllowHosts: []string{"a.test"}}, nil).Signature()
	for _, in := range []any{
		unknown,
		map[string]any{"url": unknown, "method": unknown, "text": "x", "expect_status": unknown, "headers": unknown},
		map[string]any{"url": "https://a.test", "expect_status": []any{unknown}, "headers": map[string]any{"X-A": unknown}},
	} {
		assert.Empty(t, sig.Check(schema.NewValue(in, nil)))
	}
}
