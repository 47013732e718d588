package whatsapp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"facteur/actions/whatsapp"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
)

func receiving(address string, without ...string) vault.Connection {
	c := vault.Connection{
		Name: "shop", App: vault.WhatsApp, Setup: map[string]string{"waba_id": "777", "base_url": address},
		Secrets: map[string]vault.Secret{
			"token": vault.NewSecret("EAAGtoken+secret"), "app_secret": vault.NewSecret("app+secret+value"), "verify_token": vault.NewSecret("verify me & more"),
		},
	}
	for _, name := range without {
		delete(c.Secrets, name)
		delete(c.Setup, name)
	}
	return c
}

func levels(found []whatsapp.Finding) string {
	var out []string
	for _, f := range found {
		out = append(out, fmt.Sprintf("%s %s", f.Name, f.Level))
	}
	return strings.Join(out, ", ")
}

func TestSubscribeWebhooks(t *testing.T) {
	var asked []string
	refuse := false
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path+" "+r.URL.Query().Get("override_callback_uri")+" "+r.URL.Query().Get("verify_token"))
		assert.Equal(t, "Bearer EAAGtoken+secret", r.Header.Get("Authorization"))
		switch {
		case refuse:
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":{"code":2200,"message":"(#2200) Callback verification failed with verify me & more and EAAGtoken+secret"}}`)
		case r.Method == http.MethodPost:
			fmt.Fprint(w, `{"success":true}`)
		default:
			fmt.Fprint(w, `{"data":[{"whatsapp_business_api_data":{"name":"Shop app"}}]}`)
		}
	}))
	defer api.Close()

	found := whatsapp.SubscribeWebhooks(t.Context(), nil, receiving(api.URL), "")
	assert.Equal(t, "subscription ok, webhooks ok", levels(found))
	assert.Equal(t, []string{"POST /v23.0/777/subscribed_apps  ", "GET /v23.0/777/subscribed_apps  "}, asked)

	asked = nil
	whatsapp.SubscribeWebhooks(t.Context(), nil, receiving(api.URL), "https://facteur.test/webhooks/whatsapp/shop")
	assert.Equal(t, "POST /v23.0/777/subscribed_apps https://facteur.test/webhooks/whatsapp/shop verify me & more", asked[0])

	refuse = true
	found = whatsapp.SubscribeWebhooks(t.Context(), nil, receiving(api.URL), "")
	assert.Equal(t, "subscription fail", levels(found))
	assert.NotContains(t, fmt.Sprint(found), "EAAGtoken+secret")
	assert.NotContains(t, fmt.Sprint(found), "verify me & more")

	for without, want := range map[string]string{"waba_id": "account fail", "verify_token": "verify token fail"} {
		assert.Equal(t, want, levels(whatsapp.SubscribeWebhooks(t.Context(), nil, receiving(api.URL, without), "https://facteur.test/x")))
	}
}

func TestCheckCallback(t *testing.T) {
	answer := func(w http.ResponseWriter, r *http.Request) {
		challenge, err := whatsapp.VerifySubscription(r.URL.Query(), vault.NewSecret("verify me & more"))
		if err != nil {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprint(w, challenge)
	}
	daemon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer daemon.Close()
	callback := daemon.URL + "/webhooks/whatsapp/shop"
	check := func(c vault.Connection) []whatsapp.Finding {
		return whatsapp.CheckCallback(t.Context(), nil, c, callback)
	}

	assert.Equal(t, "app secret ok, handshake ok, strangers ok", levels(check(receiving(""))))
	assert.Equal(t, "app secret warn, handshake ok, strangers ok", levels(check(receiving("", "app_secret"))))
	assert.Equal(t, "app secret ok, verify token fail", levels(check(receiving("", "verify_token"))))

	answer = func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Query().Get("hub.challenge")) }
	assert.Equal(t, "app secret ok, handshake ok, strangers fail", levels(check(receiving(""))))
	answer = func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "<html>you asked %s</html>", r.URL.RawQuery)
	}
	found := check(receiving(""))
	assert.Equal(t, "app secret ok, handshake fail", levels(found))
	daemon.Close()
	found = append(found, check(receiving(""))...)
	assert.Equal(t, "app secret ok, handshake fail, app secret ok, handshake fail", levels(found))
	for _, secret := range []string{"verify me & more", "verify+me", "app+secret+value"} {
		assert.NotContains(t, fmt.Sprint(found), secret)
	}
}
