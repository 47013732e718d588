package account_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/account"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// healthy is the API's answers to the questions of a check, by path.
func healthy() map[string]string {
	return map[string]string{
		"/v23.0/debug_token":        `{"data":{"is_valid":true,"expires_at":0,"scopes":["whatsapp_business_messaging","whatsapp_business_management"]}}`,
		"/v23.0/" + sender:          `{"id":"` + sender + `","verified_name":"Chez Nous","display_phone_number":"+33 6 12 34 56 78","quality_rating":"GREEN","name_status":"APPROVED","status":"CONNECTED","throughput":{"level":"STANDARD"}}`,
		"/v23.0/55":                 `{"id":"55","name":"Chez Nous","message_template_namespace":"ns"}`,
		"/v23.0/55/subscribed_apps": `{"data":[{"whatsapp_business_api_data":{"id":"1","name":"Facteur"}}]}`,
	}
}

func check(t *testing.T, answers map[string]string, change func(*vault.Connection)) []account.Finding {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := answers[r.URL.Path]
		if !ok {
			body = refused(100, `,"error_subcode":33`)
		}
		if strings.HasPrefix(body, `{"error"`) {
			w.WriteHeader(400)
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(api.Close)
	conn := connection(api.URL)
	conn.Setup["sender_phone_id"], conn.Setup["waba_id"], conn.Setup["business_id"] = sender, "55", "66"
	if change != nil {
		change(&conn)
	}
	found := account.CheckConnection(context.Background(), nil, conn)
	text, err := json.Marshal(found)
	require.NoError(t, err)
	assert.NotContains(t, string(text), token)
	assert.NotContains(t, string(text), url.QueryEscape(token))
	for _, f := range found {
		assert.NotEmpty(t, f.Name)
		assert.NotEmpty(t, f.Detail, f.Name)
		if f.Level != account.OK {
			assert.NotEmpty(t, f.Cause, f.Name)
			assert.NotEmpty(t, f.Cure, f.Name)
		}
	}
	return found
}

func TestAHealthyConnection(t *testing.T) {
	var lines []string
	for _, f := range check(t, healthy(), nil) {
		lines = append(lines, fmt.Sprintf("%s %s: %s", f.Level, f.Name, f.Detail))
	}
	assert.Equal(t, []string{
		"ok secret: the token can be read",
		"ok token: valid, never expires",
		"ok permissions: whatsapp_business_messaging and whatsapp_business_management",
		"ok phone number: +33 6 12 34 56 78, Chez Nous",
		"ok display name: APPROVED",
		"ok quality: GREEN",
		"ok throughput: STANDARD",
		"ok account: Chez Nous",
		"ok webhooks: subscribed: Facteur",
	}, lines)
}

func TestWhatIsWrongWithAConnection(t *testing.T) {
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for _, tt := range []struct {
		name   string
		path   string // whose answer is another
		answer string
		change func(*vault.Connection)
		want   string // level, name, and a part of detail or cause
	}{
		{"no token", "", "", func(c *vault.Connection) { c.Secrets = nil }, "fail secret: it has no token"},
		{"another app", "", "", func(c *vault.Connection) { c.App = vault.HTTP }, "fail secret: it is for HTTP"},
		{"a revoked token", "/v23.0/debug_token", `{"data":{"is_valid":false,"error":{"message":"The session has been invalidated"}}}`, nil, "fail token: The session has been invalidated"},
		{"a token that Meta echoes", "/v23.0/debug_token", `{"data":{"is_valid":false,"error":{"message":"bad token ` + token + `"}}}`, nil, "fail token: bad token [secret]"},
		{"a token of the dashboard", "/v23.0/debug_token", fmt.Sprintf(`{"data":{"is_valid":true,"expires_at":%d,"scopes":["whatsapp_business_messaging"]}}`, at(time.Hour)), nil, "warn token: but expires"},
		{"a token that is over", "/v23.0/debug_token", fmt.Sprintf(`{"data":{"is_valid":true,"expires_at":%d}}`, at(-time.Hour)), nil, "fail token: expired"},
		{"no permission to send", "/v23.0/debug_token", `{"data":{"is_valid":true,"scopes":["whatsapp_business_management"]}}`, nil, "fail permissions: lacks whatsapp_business_messaging"},
		{"no permission to look", "/v23.0/debug_token", `{"data":{"is_valid":true,"scopes":["whatsapp_business_messaging"]}}`, nil, "warn permissions: lacks whatsapp_business_management"},
		{"a token that is refused", "/v23.0/debug_token", refused(190, ""), nil, "fail token: (190)"},
		{"no such number", "/v23.0/" + sender, refused(100, `,"error_subcode":33`), nil, "fail phone number: does not exist"},
		{"something else", "/v23.0/" + sender, `{"id":"x"}`, nil, "fail phone number: it is not a phone number"},
		{"a number that waits", "/v23.0/" + sender, `{"display_phone_number":"+33","status":"PENDING"}`, nil, "fail phone number: PENDING"},
		{"a name that is refused", "/v23.0/" + sender, `{"display_phone_number":"+33","name_status":"DECLINED"}`, nil, "warn display name: DECLINED"},
		{"bad quality", "/v23.0/" + sender, `{"display_phone_number":"+33","quality_rating":"RED"}`, nil, "warn quality: RED"},
		{"no number", "", "", func(c *vault.Connection) { delete(c.Setup, "sender_phone_id") }, "warn phone number: has no sender_phone_id"},
		{"the portfolio, as it says itself", "", "", func(c *vault.Connection) { c.Setup["business_id"] = "55" }, "fail account: the portfolio's ID"},
		{"the portfolio, as Meta says", "/v23.0/55", refused(100, ""), nil, "fail account: often it is the portfolio's ID"},
		{"no account", "/v23.0/55", `{"id":"55","name":"x"}`, nil, "fail account: is not a WhatsApp Business Account"},
		{"no webhooks", "/v23.0/55/subscribed_apps", `{"data":[]}`, nil, "warn webhooks: no app is subscribed"},
		{"HTML", "/v23.0/debug_token", `<html>`, nil, "fail token: the answer is not from the API (status 200)"},
		{"an answer without end", "/v23.0/debug_token", strings.Repeat("x", 2<<20), nil, "fail token: longer than 1 MiB"},
		{"nobody there", "", "", func(c *vault.Connection) { c.Setup["base_url"] = "http://127.0.0.1:1" }, "fail token: the connection was refused"},
		{"no address", "", "", func(c *vault.Connection) { c.Setup["base_url"] = "http://a b" }, "fail token: base_url"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answers := healthy()
			if tt.path != "" {
				answers[tt.path] = tt.answer
			}
			found := check(t, answers, tt.change)
			head, part, _ := strings.Cut(tt.want, ": ")
			for _, f := range found {
				if string(f.Level)+" "+f.Name == head && strings.Contains(f.Detail+" "+f.Cause, part) {
					return
				}
			}
			t.Errorf("want %q, got %+v", tt.want, found)
		})
	}
}
