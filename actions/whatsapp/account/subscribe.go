package account

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"facteur/vault"
)

// SubscribeWebhooks makes Meta send the webhooks of the connection's account (waba_id) to
// the app of its token, and then tells which apps get them. With a callback they go to
// that address whatever the app's is; Meta asks it at once, with the connection's
// verify_token, so somebody has to answer there. Doing it again changes nothing. A nil
// client is one of its own.
func SubscribeWebhooks(ctx context.Context, client *http.Client, c vault.Connection, callback string) []Finding {
	i, found := newInspector(ctx, client, c)
	if i == nil {
		return found
	}
	waba, verify := i.account.WABA, c.Secret("verify_token")
	switch {
	case waba == "":
		return []Finding{{"subscription", Fail, "nothing was subscribed", "the connection has no waba_id", "store it: facteur vault set " + c.Name + " waba_id=…"}}
	case waba == i.account.Business:
		return []Finding{{"subscription", Fail, "nothing was subscribed", "waba_id is the portfolio's ID", "use the WhatsApp Business Account ID from WhatsApp Manager"}}
	case callback != "" && verify.IsZero():
		return []Finding{noVerifyToken(c.Name)}
	}
	var body []byte
	detail := "the token's app receives the account's webhooks"
	if callback != "" {
		body, _ = json.Marshal(map[string]string{"override_callback_uri": callback, "verify_token": verify.Reveal()}) // texts
		detail += ", at " + callback
	}
	v, ok := i.do("subscription", http.MethodPost, "/"+url.PathEscape(waba)+"/subscribed_apps", body)
	switch success, _ := v.Get("success").Bool(); {
	case ok && success:
		i.add("subscription", OK, detail, "", "")
		i.webhooks()
	case ok:
		i.add("subscription", Fail, "nothing was subscribed", "the API does not confirm it", "try again")
	case callback != "" && i.refused == callbackUnverified:
		i.found[0].Cause = "Meta called the callback URL, which did not return the challenge"
		i.found[0].Cure = "find out why: facteur webhook check " + c.Name
	}
	return withoutSecrets(i.found, c)
}

// callbackUnverified is what Meta says when a callback URL does not answer its question.
const callbackUnverified = 2200

func noVerifyToken(connection string) Finding {
	return Finding{"handshake", Fail, "the callback URL cannot be verified", "the connection has no verify_token", "store a text of your choice: facteur vault set " + connection + " verify_token"}
}
