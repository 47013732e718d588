package whatsapp

import (
	"cmp"

	"facteur/vault"
)

// App is what connections of this package are for.
const App = string(vault.WhatsApp)

// The API that is called when the connection names no other.
const (
	DefaultBaseURL = "https://graph.facebook.com"
	DefaultVersion = "v23.0"
)

// An Account is a connection to the Cloud API.
type Account struct {
	Name          string
	Token         vault.Secret
	AppSecret     vault.Secret // "" where the connection has none
	WABA          string       // WhatsApp Business Account ID, ""
	Business      string       // portfolio ID, ""
	SenderPhoneID string       // what the connection sends from by default, ""
	BaseURL       string
	Version       string
}

// Connect reads an account from a connection.
func Connect(c vault.Connection) (Account, error) {
	return Account{
		Name:          c.Name,
		Token:         c.Secret("token"),
		AppSecret:     c.Secret("app_secret"),
		WABA:          c.Get("waba_id"),
		Business:      c.Get("business_id"),
		SenderPhoneID: c.Get("sender_phone_id"),
		BaseURL:       cmp.Or(c.Get("base_url"), DefaultBaseURL),
		Version:       cmp.Or(c.Get("api_version"), DefaultVersion),
	}, nil
}
