package inbound

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"strings"

	"facteur/vault"
)

// SignatureHeader is the header that VerifySignature wants the value of.
const SignatureHeader = "X-Hub-Signature-256"

// Why a webhook could not be verified.
var (
	ErrNoSecret     = errors.New("the connection has no app_secret, so no signature can be checked")
	ErrNotSigned    = errors.New("it has no " + SignatureHeader + " of the form sha256=…")
	ErrSignature    = errors.New("its signature does not match: the body was changed, or app_secret belongs to another app")
	ErrSubscription = errors.New("it is not a subscription request with the connection's verify token")
)

// VerifySignature checks that Meta signed a body with the secret of the app. The body is
// that of the request, byte by byte: decoded and encoded again it is another. How long
// it takes does not tell where signatures differ.
func VerifySignature(body []byte, header string, secret vault.Secret) error {
	if secret.IsZero() {
		return ErrNoSecret
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(header), signaturePrefix)
	given, err := hex.DecodeString(text)
	if !ok || err != nil || len(given) != sha256.Size {
		return ErrNotSigned
	}
	if !hmac.Equal(sum(body, secret), given) {
		return ErrSignature
	}
	return nil
}

const signaturePrefix = "sha256="

// Sign returns the header with which Meta would sign a body with the secret of the app.
func Sign(body []byte, secret vault.Secret) string {
	return signaturePrefix + hex.EncodeToString(sum(body, secret))
}

func sum(body []byte, secret vault.Secret) []byte {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write(body)
	return mac.Sum(nil)
}

// VerifySubscription answers Meta's question whether a webhook address is ours: the
// challenge to send back, bare, with status 200.
func VerifySubscription(query url.Values, token vault.Secret) (challenge string, err error) {
	if token.IsZero() || query.Get("hub.mode") != "subscribe" || !token.Equal(query.Get("hub.verify_token")) {
		return "", ErrSubscription
	}
	return query.Get("hub.challenge"), nil
}
