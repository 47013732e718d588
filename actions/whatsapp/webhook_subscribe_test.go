package whatsapp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// subscriber is a connection to an API, with what webhooks need.
func subscriber(baseURL string, without ...string) vault.Connection {
	c := vault.Connection{Name: "shop", App: vault.WhatsApp,
		Setup:   map[string]string{"base_url": baseURL, "waba_id": "1029", "business_id": "2030"},
		Secrets: map[string]vault.Secret{"token": vault.NewSecret("token-1"), "app_secret": vault.NewSecret(appSecret), "verify_token": vault.NewSecret("verify-1")},
	}
	for _, field := range without {
		delete(c.Setup, field)
		delete(c.Secrets, field)
	}
	return c
}

// level finds a finding.
func level(t *testing.T, found []whatsapp.Finding, name string) whatsapp.Finding {
	t.Helper()
	for _, f := range found {
		if f.Name == name {
			return f
		}
	}
	require.Fail(t, "no finding", "%s in %v", name, found)
	return whatsapp.Finding{}
}

func TestSubscribeWebhooks(t *testing.T) {
	subscribed := `{"data":[{"whatsapp_business_api_data":{"id":"7","name":"Shop"},"override_callback_uri":"https://a.test/x"}]}`
	for _, tt := range []struct {
		name     string
		without  []string
		callback string
		status   int
		answer   string
		want     whatsapp.Level
		says     string
		body     string // of the request
	}{
		{"to the app's address", nil, "", 200, `{"success":true}`, whatsapp.OK, "gets the account's webhooks", ""},
		{"to another address", nil, "https://a.test/x", 200, `{"success":true}`, whatsapp.OK, "at https://a.test/x", `{"override_callback_uri":"https://a.test/x","verify_token":"verify-1"}`},
		{"Meta says nothing", nil, "", 200, `{}`, whatsapp.Fail, "nothing was subscribed", ""},
		{"the address does not answer", nil, "https://a.test/x", 400, `{"error":{"code":2200,"message":"(#2200) Callback verification failed: verify-1"}}`, whatsapp.Fail, "facteur webhook check shop", ""},
		{"the token may not", nil, "", 403, `{"error":{"code":200,"message":"(#200) Permissions error"}}`, whatsapp.Fail, "(200)", ""},
		{"no account", []string{"waba_id"}, "", 0, "", whatsapp.Fail, "no waba_id", ""},
		{"no token", []string{"token"}, "", 0, "", whatsapp.Fail, "no token", ""},
		{"no verify token", []string{"verify_token"}, "https://a.test/x", 0, "", whatsapp.Fail, "no verify_token", ""},
		{"no verify token is needed", []string{"verify_token"}, "", 200, `{"success":true}`, whatsapp.OK, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked, body := 0, ""
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "/v23.0/1029/subscribed_apps", r.URL.Path)
				assert.Equal(t, "Bearer token-1", r.Header.Get("Authorization"))
				assert.NotContains(t, r.URL.String(), "verify-1", "addresses are logged on the way")
				if r.Method == http.MethodGet {
					_, _ = io.WriteString(w, subscribed)
					return
				}
				asked++
				text, _ := io.ReadAll(r.Body)
				body = string(text)
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.answer)
			}))
			defer api.Close()
			found := whatsapp.SubscribeWebhooks(t.Context(), nil, subscriber(api.URL, tt.without...), tt.callback)
			require.NotEmpty(t, found)
			assert.Equal(t, tt.want, found[0].Level)
			text, err := json.Marshal(found)
			require.NoError(t, err)
			assert.Contains(t, string(text), tt.says)
			for _, secret := range []string{"token-1", "verify-1", appSecret} {
				assert.NotContains(t, string(text), secret)
			}
			if tt.status == 0 {
				assert.Zero(t, asked)
			}
			if tt.body != "" {
				assert.JSONEq(t, tt.body, body)
			}
			if tt.want == whatsapp.OK {
				assert.Equal(t, "subscribed: Shop at https://a.test/x", level(t, found, "webhooks").Detail)
			}
		})
	}
}

func TestCheckCallback(t *testing.T) {
	none := func(http.ResponseWriter, *http.Request) {}
	for _, tt := range []struct {
		name                 string
		handler              http.Handler
		without              []string
		handshake, signature whatsapp.Level
		says                 string
	}{
		{"all is well", newCallback().handler(), nil, whatsapp.OK, whatsapp.OK, "the challenge comes back"},
		{"no verify token here", newCallback().handler(), []string{"verify_token"}, whatsapp.Fail, whatsapp.OK, "no verify_token"},
		{"no app secret here", newCallback().handler(), []string{"app_secret"}, whatsapp.OK, whatsapp.Warn, "no app_secret here"},
		{"another verify token there", changed(func(c *callback) { c.connections["shop"].Secrets["verify_token"] = vault.NewSecret("other") }), nil, whatsapp.Fail, whatsapp.OK, "another verify_token"},
		{"another app secret there", changed(func(c *callback) { c.connections["shop"].Secrets["app_secret"] = vault.NewSecret("other") }), nil, whatsapp.OK, whatsapp.Fail, "another app_secret"},
		{"no app secret there", changed(func(c *callback) { delete(c.connections["shop"].Secrets, "app_secret") }), nil, whatsapp.OK, whatsapp.Fail, "status 503"},
		{"insecure there", changed(func(c *callback) { c.Insecure = true; delete(c.connections["shop"].Secrets, "app_secret") }), nil, whatsapp.OK, whatsapp.Warn, "anybody may send webhooks"},
		{"no such connection there", changed(func(c *callback) { delete(c.connections, "shop") }), nil, whatsapp.Fail, whatsapp.Warn, "no such connection"},
		{"something else answers", http.HandlerFunc(none), nil, whatsapp.Fail, whatsapp.Warn, "the answer is not the challenge"},
		{"who takes any token", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.URL.Query().Get("hub.challenge"))
		}), nil, whatsapp.Fail, whatsapp.Warn, "any verify token is taken"},
		{"a proxy that changes bodies", proxy(newCallback().handler()), nil, whatsapp.OK, whatsapp.Fail, "proxies pass bodies on byte by byte"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			there := httptest.NewServer(tt.handler)
			defer there.Close()
			found := whatsapp.CheckCallback(t.Context(), nil, subscriber("", tt.without...), there.URL+"/webhooks/whatsapp/shop")
			assert.Equal(t, whatsapp.Warn, level(t, found, "address").Level, "Meta calls only https")
			assert.Equal(t, tt.handshake, level(t, found, "handshake").Level, found)
			assert.Equal(t, tt.signature, level(t, found, "signature").Level, found)
			text, err := json.Marshal(found)
			require.NoError(t, err)
			assert.Contains(t, string(text), tt.says)
			assert.NotContains(t, string(text), "verify-1")
			assert.NotContains(t, string(text), appSecret)
		})
	}
	found := whatsapp.CheckCallback(t.Context(), nil, subscriber(""), "https://127.0.0.1:1/webhooks/whatsapp/shop")
	assert.Equal(t, whatsapp.OK, level(t, found, "address").Level)
	assert.Equal(t, whatsapp.Fail, level(t, found, "handshake").Level)
	assert.Len(t, found, 2, "there is nobody to ask more")
	found = whatsapp.CheckCallback(t.Context(), nil, subscriber(""), "facteur")
	assert.Equal(t, whatsapp.Fail, level(t, found, "address").Level)
}

func changed(change func(*callback)) http.Handler {
	c := newCallback()
	change(c)
	return c.handler()
}

// proxy decodes bodies and encodes them again.
func proxy(to http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var v any
		if json.NewDecoder(r.Body).Decode(&v) == nil {
			text, _ := json.Marshal(v)
			r.Body = io.NopCloser(strings.NewReader(string(text)))
			r.ContentLength = int64(len(text))
		}
		to.ServeHTTP(w, r)
	})
}

func TestSilence(t *testing.T) {
	var s whatsapp.Silence
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	assert.Empty(t, s.Senders(start))
	s.Heard("1", start)
	s.Sent("1", "a", at(time.Minute))
	s.Sent("2", "b", at(2*time.Minute))
	s.Sent("1", "c", at(5*time.Minute))
	assert.Empty(t, s.Senders(at(11*time.Minute-1)))
	assert.Equal(t, []whatsapp.SilentSender{{Sender: "1", Since: at(time.Minute), Message: "a"}}, s.Senders(at(11*time.Minute)))
	assert.Equal(t, []whatsapp.SilentSender{{Sender: "2", Since: at(2 * time.Minute), Message: "b"}}, s.Senders(at(12*time.Minute)), "each is told once")
	s.Heard("1", at(30*time.Second)) // what came before says nothing
	s.Sent("1", "d", at(40*time.Minute))
	assert.Equal(t, []whatsapp.SilentSender{{Sender: "1", Since: at(time.Minute), Message: "d"}, {Sender: "2", Since: at(2 * time.Minute)}},
		s.Senders(at(72*time.Minute)), "and again after an hour")
	s.Heard("1", at(80*time.Minute))
	s.Sent("1", "e", at(90*time.Minute))
	assert.Empty(t, s.Senders(at(95*time.Minute)))
	assert.Len(t, s.Senders(at(150*time.Minute)), 2)
}
