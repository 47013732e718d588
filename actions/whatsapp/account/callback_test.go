package account_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"facteur/actions/whatsapp/account"
	"facteur/actions/whatsapp/inbound"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A callback is a daemon's.
type callback struct {
	connections map[string]vault.Connection
	insecure    bool
}

func newCallback() *callback {
	return &callback{connections: map[string]vault.Connection{"shop": subscriber("")}}
}

func (c *callback) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/webhooks/whatsapp/{connection}", inbound.Handler(inbound.Options{
		Insecure: c.insecure,
		Resolve: func(_ context.Context, name string) (vault.Connection, error) {
			conn, ok := c.connections[name]
			if !ok {
				return conn, &vault.UnknownConnectionError{Name: name}
			}
			return conn, nil
		},
		Apply: func(context.Context, string, []inbound.Notification) error { return nil },
	}))
	return mux
}

func TestCheckCallback(t *testing.T) {
	none := func(http.ResponseWriter, *http.Request) {}
	for _, tt := range []struct {
		name                 string
		handler              http.Handler
		without              []string
		handshake, signature account.Level
		says                 string
	}{
		{"all is well", newCallback().handler(), nil, account.OK, account.OK, "the challenge is returned"},
		{"no verify token here", newCallback().handler(), []string{"verify_token"}, account.Fail, account.OK, "no verify_token"},
		{"no app secret here", newCallback().handler(), []string{"app_secret"}, account.OK, account.Warn, "no app_secret here"},
		{"another verify token there", changed(func(c *callback) { c.connections["shop"].Secrets["verify_token"] = vault.NewSecret("other") }), nil, account.Fail, account.OK, "a different verify_token"},
		{"another app secret there", changed(func(c *callback) { c.connections["shop"].Secrets["app_secret"] = vault.NewSecret("other") }), nil, account.OK, account.Fail, "a different app_secret"},
		{"no app secret there", changed(func(c *callback) { delete(c.connections["shop"].Secrets, "app_secret") }), nil, account.OK, account.Fail, "status 503"},
		{"insecure there", changed(func(c *callback) { c.insecure = true; delete(c.connections["shop"].Secrets, "app_secret") }), nil, account.OK, account.Warn, "anybody can send webhooks"},
		{"no such connection there", changed(func(c *callback) { delete(c.connections, "shop") }), nil, account.Fail, account.Warn, "no such connection"},
		{"something else answers", http.HandlerFunc(none), nil, account.Fail, account.Warn, "the answer is not the challenge"},
		{"who takes any token", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.URL.Query().Get("hub.challenge"))
		}), nil, account.Fail, account.Warn, "any verify token is accepted"},
		{"a proxy that changes bodies", proxy(newCallback().handler()), nil, account.OK, account.Fail, "any proxy passes on bodies unchanged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			there := httptest.NewServer(tt.handler)
			defer there.Close()
			found := account.CheckCallback(t.Context(), nil, subscriber("", tt.without...), there.URL+"/webhooks/whatsapp/shop")
			assert.Equal(t, account.Warn, level(t, found, "address").Level, "Meta calls only https")
			assert.Equal(t, tt.handshake, level(t, found, "handshake").Level, found)
			assert.Equal(t, tt.signature, level(t, found, "signature").Level, found)
			text, err := json.Marshal(found)
			require.NoError(t, err)
			assert.Contains(t, string(text), tt.says)
			assert.NotContains(t, string(text), "verify-1")
			assert.NotContains(t, string(text), appSecret)
		})
	}
	found := account.CheckCallback(t.Context(), nil, subscriber(""), "https://127.0.0.1:1/webhooks/whatsapp/shop")
	assert.Equal(t, account.OK, level(t, found, "address").Level)
	assert.Equal(t, account.Fail, level(t, found, "handshake").Level)
	assert.Len(t, found, 2, "there is nobody to ask more")
	found = account.CheckCallback(t.Context(), nil, subscriber(""), "facteur")
	assert.Equal(t, account.Fail, level(t, found, "address").Level)
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
