package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"facteur/vault"
)

// The headers that carry the proof where the connection names none.
const (
	SignatureHeader = "X-Hub-Signature-256" // of hmac
	secretHeader    = "Authorization"       // of shared
)

// Why a request could not be verified.
var (
	errApp    = errors.New("the connection is not of app WEBHOOK")
	errSecret = errors.New("the connection has no secret")
	errNone   = errors.New("the request has no signature or secret in the header that the connection names")
	errWrong  = errors.New("the signature or secret of the request does not match the connection")
)

// Verify checks that who sent a request knows the secret of a connection, in a time that
// does not tell where proofs differ. The body is that of the request, byte by byte.
//
// With type hmac the header holds the HMAC-SHA256 of the body, as hexadecimal digits, with
// or without sha256= before them, or as base64. With type shared it holds the secret
// itself, Bearer before it or not.
//
// The signature covers no time, so a recorded request could be replayed. TLS keeps it from being
// recorded; where that is not enough, the trigger's dedupe detects the repetition.
func Verify(c vault.Connection, header http.Header, body []byte) error {
	secret := c.Secret("secret")
	switch {
	case c.App != vault.Webhook:
		return errApp
	case secret.IsZero():
		return errSecret
	}
	given := strings.TrimSpace(header.Get(headerOf(c)))
	if given == "" {
		return errNone
	}
	if c.Get("type") == "shared" {
		if scheme, token, ok := strings.Cut(given, " "); ok && strings.EqualFold(scheme, "Bearer") && secret.Equal(strings.TrimSpace(token)) || secret.Equal(given) {
			return nil
		}
		return errWrong
	}
	sum, ok := decode(strings.TrimPrefix(given, "sha256="))
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write(body)
	if !ok || !hmac.Equal(mac.Sum(nil), sum) {
		return errWrong
	}
	return nil
}

// headerOf names the header that carries the proof.
func headerOf(c vault.Connection) string {
	switch header := c.Get("header"); {
	case header != "":
		return header
	case c.Get("type") == "shared":
		return secretHeader
	}
	return SignatureHeader
}

// decode reads a signature.
func decode(text string) (sum []byte, ok bool) {
	if sum, err := hex.DecodeString(text); err == nil && len(sum) == sha256.Size {
		return sum, true
	}
	for _, form := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding, base64.URLEncoding} {
		if sum, err := form.DecodeString(text); err == nil && len(sum) == sha256.Size {
			return sum, true
		}
	}
	return nil, false
}
