package whatsapp

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"facteur/actions"
	"facteur/vault"
)

// SubscribeWebhooks makes Meta send the webhooks of a connection's account to the app of
// its token. A callback, when not "", is where to, in place of the address that the app
// has; Meta asks there at once whether it is ours. A nil client is one of its own. No
// secret is in the findings.
func SubscribeWebhooks(ctx context.Context, client *http.Client, c vault.Connection, callback string) []Finding {
	account, err := Connect(c)
	store := "store it: facteur vault set " + c.Name
	switch {
	case err != nil:
		return []Finding{{"secret", Fail, "the connection cannot be used", err.Error(), store}}
	case account.WABA == "":
		return []Finding{{"account", Fail, "the connection has no waba_id", "it is the account whose webhooks are meant", store + " waba_id=…"}}
	case callback != "" && c.Secret("verify_token").IsZero():
		return []Finding{{"verify token", Fail, "the connection has no verify_token", "Meta proves with it that it asks for you", "make one up, then " + store}}
	}
	i := &inspector{ctx: ctx, client: Options{Client: client}.client(), account: account, now: time.Now()}
	query := url.Values{}
	if callback != "" {
		query.Set("override_callback_uri", callback)
		query.Set("verify_token", c.Secret("verify_token").Reveal())
	}
	if v, ok := i.ask("subscription", http.MethodPost, "/"+account.WABA+"/subscribed_apps", query); ok {
		if done, _ := v.Get("success").Bool(); done {
			i.add("subscription", OK, "the app of the token gets the webhooks of "+account.WABA, "", "")
		} else {
			i.add("subscription", Fail, "Meta does not say that it did", "the answer has no success", "try again, or subscribe the app in Meta's dashboard")
		}
		i.webhooks()
	}
	return withoutSecrets(i.found, c)
}

// CheckCallback asks at the address of a connection's webhooks what Meta asks when it is
// set there: it must give the challenge back to who knows the verify token, and to nobody
// else. A nil client is one of its own. No secret is in the findings.
func CheckCallback(ctx context.Context, client *http.Client, c vault.Connection, callback string) []Finding {
	var found []Finding
	add := func(name string, level Level, detail, cause, cure string) {
		found = append(found, Finding{name, level, detail, cause, cure})
	}
	store := "store it: facteur vault set " + c.Name
	if c.Secret("app_secret").IsZero() {
		add("app secret", Warn, "there is none", "without it nobody can tell whether a webhook is Meta's", "take it from the app's dashboard (Settings, Basic), then "+store)
	} else {
		add("app secret", OK, "it can be read", "", "")
	}
	token := c.Secret("verify_token")
	if token.IsZero() {
		add("verify token", Fail, "there is none", "Meta proves with it that it asks for you", "make one up, then "+store)
		return found
	}
	o := Options{Client: client}
	challenge := rand.Text()
	answer, err := handshake(ctx, o.client(), callback, token.Reveal(), challenge)
	switch {
	case err != nil:
		add("handshake", Fail, "nobody answers at "+callback, err.Error(), "see that the daemon runs, and that what stands before it passes "+pathOf(callback)+" on")
	case answer.Status == http.StatusOK && string(answer.Body) == challenge:
		add("handshake", OK, callback+" answers as Meta wants", "", "")
	default:
		add("handshake", Fail, fmt.Sprintf("%s answers with status %d and not with the challenge", callback, answer.Status),
			"the daemon there has another verify token, or something else answers", "see that the daemon uses this project, and that what stands before it passes "+pathOf(callback)+" on with its query")
	}
	if found[len(found)-1].Level == OK {
		answer, err := handshake(ctx, o.client(), callback, rand.Text(), challenge)
		if err == nil && answer.Status == http.StatusOK {
			add("strangers", Fail, callback+" also answers to a wrong verify token", "it is not this daemon that answers", "see what stands before it")
		} else {
			add("strangers", OK, "are refused", "", "")
		}
	}
	return withoutSecrets(found, c)
}

func handshake(ctx context.Context, client *http.Client, callback, token, challenge string) (actions.Answer, error) {
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	query := url.Values{"hub.mode": {"subscribe"}, "hub.verify_token": {token}, "hub.challenge": {challenge}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, callback+"?"+query.Encode(), nil)
	if err != nil {
		return actions.Answer{}, fmt.Errorf("it is not an address that can be called")
	}
	return actions.Exchange(client, req, 64<<10)
}

func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "it"
	}
	return u.Path
}
