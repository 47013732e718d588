package account_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"facteur/actions/whatsapp/account"
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
func level(t *testing.T, found []account.Finding, name string) account.Finding {
	t.Helper()
	for _, f := range found {
		if f.Name == name {
			return f
		}
	}
	require.Fail(t, "no finding", "%s in %v", name, found)
	return account.Finding{}
}

func TestSubscribeWebhooks(t *testing.T) {
	subscribed := `{"data":[{"whatsapp_business_api_data":{"id":"7","name":"Shop"},"override_callback_uri":"https://a.test/x"}]}`
	for _, tt := range []struct {
		name     string
		without  []string
		callback string
		status   int
		answer   string
		want     account.Level
		says     string
		body     string // of the request
	}{
		{"to the app's address", nil, "", 200, `{"success":true}`, account.OK, "receives the account's webhooks", ""},
		{"to another address", nil, "https://a.test/x", 200, `{"success":true}`, account.OK, "at https://a.test/x", `{"override_callback_uri":"https://a.test/x","verify_token":"verify-1"}`},
		{"Meta says nothing", nil, "", 200, `{}`, account.Fail, "nothing was subscribed", ""},
		{"the address does not answer", nil, "https://a.test/x", 400, `{"error":{"code":2200,"message":"(#2200) Callback verification failed: verify-1"}}`, account.Fail, "facteur webhook check shop", ""},
		{"the token may not", nil, "", 403, `{"error":{"code":200,"message":"(#200) Permissions error"}}`, account.Fail, "(200)", ""},
		{"no account", []string{"waba_id"}, "", 0, "", account.Fail, "no waba_id", ""},
		{"no token", []string{"token"}, "", 0, "", account.Fail, "no token", ""},
		{"no verify token", []string{"verify_token"}, "https://a.test/x", 0, "", account.Fail, "no verify_token", ""},
		{"no verify token is needed", []string{"verify_token"}, "", 200, `{"success":true}`, account.OK, "", ""},
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
			found := account.SubscribeWebhooks(t.Context(), nil, subscriber(api.URL, tt.without...), tt.callback)
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
			if tt.want == account.OK {
				assert.Equal(t, "subscribed: Shop at https://a.test/x", level(t, found, "webhooks").Detail)
			}
		})
	}
}
