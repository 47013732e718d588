package account

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/vault"
)

// A callbackChecker asks a callback URL what Meta asks it.
type callbackChecker struct {
	*inspector
	callback string
}

// CheckCallback tests a callback URL as Meta does, and with requests that must be refused: the
// handshake with the connection's verify_token, and with a wrong one; an empty webhook that is signed
// with its app_secret, and one that is not. A nil client is one of its own.
func CheckCallback(ctx context.Context, client *http.Client, c vault.Connection, callback string) []Finding {
	u, err := url.Parse(callback)
	if err != nil || u.Host == "" {
		return []Finding{{"address", Fail, "it is not an address", fmt.Sprintf("%q is not the URL of a server", callback), "write it as https://facteur.shop.test/webhooks/whatsapp/" + c.Name}}
	}
	k := callbackChecker{&inspector{ctx: ctx, api: api{client: whatsapp.Options{Client: client}.HTTP()}}, callback}
	if u.Scheme == "https" {
		k.add("address", OK, callback, "", "")
	} else {
		k.add("address", Warn, callback, "Meta calls only https", "give the daemon a certificate, or put a proxy in front of it")
	}
	k.handshake(c)
	if !k.unreachable {
		k.signatures(c)
	}
	return withoutSecrets(k.found, c)
}

// exchange sends one request. Without ok, the reason has been added under the name.
func (k callbackChecker) exchange(name, method, address string, body []byte, signature string) (a actions.Answer, ok bool) {
	ctx, stop := context.WithTimeout(k.ctx, actions.DefaultTimeout)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err == nil {
		req.Header.Set("User-Agent", "facteur webhook check") // the daemon logs what it refuses of this
		if body != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		if signature != "" {
			req.Header.Set(inbound.SignatureHeader, signature)
		}
		if a, err = actions.Exchange(ctx, k.client.Do, req, maxResponse); err == nil {
			return a, true
		}
	}
	k.unreachable = true
	k.add(name, Fail, "the callback URL does not answer", err.Error(), help(err, "check the name and the certificate, and that the daemon can be reached from outside"))
	return a, false
}

func (k callbackChecker) handshake(c vault.Connection) {
	token := c.Secret("verify_token")
	if token.IsZero() {
		k.found = append(k.found, noVerifyToken(c.Name))
		return
	}
	challenge := rand.Text()
	ask := func(token string) (actions.Answer, bool) {
		query := url.Values{"hub.mode": {"subscribe"}, "hub.verify_token": {token}, "hub.challenge": {challenge}}
		return k.exchange("handshake", http.MethodGet, k.callback+"?"+query.Encode(), nil, "")
	}
	a, ok := ask(token.Reveal())
	switch status := fmt.Sprintf("the answer has status %d", a.Status); {
	case !ok:
	case a.Status == http.StatusForbidden:
		k.add("handshake", Fail, status, "the daemon at this URL has a different verify_token for the connection, or none", "if you have just stored it, wait half a minute; check that the daemon uses this vault")
	case a.Status == http.StatusNotFound:
		k.add("handshake", Fail, status, "the daemon at this URL has no such connection, or something other than the daemon answers", "check the path: /webhooks/whatsapp/"+c.Name)
	case a.Status != http.StatusOK:
		k.add("handshake", Fail, status, "Meta requires 200", "check the daemon's log, and any proxy in front of it")
	case string(a.Body) != challenge:
		k.add("handshake", Fail, "the answer is not the challenge", "something other than the daemon answers", "check any proxy in front of the daemon: it must pass on /webhooks/ unchanged")
	default:
		other, ok := ask(rand.Text())
		switch {
		case ok && other.Status == http.StatusOK:
			k.add("handshake", Fail, "any verify token is accepted", "something other than the daemon answers", "check any proxy in front of the daemon")
		case ok:
			k.add("handshake", OK, "the challenge is returned", "", "")
		}
	}
}

// signatures sends webhooks that tell nothing. The body has white space and an escape that
// who decodes and encodes it on the way would not keep.
func (k callbackChecker) signatures(c vault.Connection) {
	body := []byte(`{ "object": "whatsapp_business_account", "entry": [], "note": "d\u00e9j\u00e0" }`)
	a, ok := k.exchange("signature", http.MethodPost, k.callback, body, "")
	switch {
	case !ok:
		return
	case a.Status == http.StatusServiceUnavailable:
		k.add("signature", Fail, "webhooks are not accepted (status 503)", "the daemon at this URL has no app_secret for the connection, or cannot store anything", "store it: facteur vault set "+c.Name+" app_secret; see the daemon's log")
		return
	case a.Status != http.StatusUnauthorized:
		k.add("signature", Warn, fmt.Sprintf("an unsigned webhook is answered with status %d", a.Status), "the connection has no app_secret, so anybody can send webhooks", "store it: facteur vault set "+c.Name+" app_secret")
		return
	}
	secret := c.Secret("app_secret")
	if secret.IsZero() {
		k.add("signature", Warn, "not checked", "the connection has no app_secret here", "store it: facteur vault set "+c.Name+" app_secret")
		return
	}
	a, ok = k.exchange("signature", http.MethodPost, k.callback, body, inbound.Sign(body, secret))
	switch {
	case !ok:
	case a.Status == http.StatusOK:
		k.add("signature", OK, "signed webhooks are accepted, others are refused", "", "")
	case a.Status == http.StatusUnauthorized:
		k.add("signature", Fail, "a webhook signed with app_secret is refused", "the daemon at this URL has a different app_secret, or a proxy changes bodies", "check that the daemon uses this vault, and that any proxy passes on bodies unchanged")
	default:
		k.add("signature", Fail, fmt.Sprintf("a signed webhook is answered with status %d", a.Status), "the daemon cannot store it, or something other than the daemon answers", "check the daemon's log, and any proxy in front of it")
	}
}
