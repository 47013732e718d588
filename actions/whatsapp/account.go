package whatsapp

import (
	"cmp"

	"facteur/vault"
)

// App is the app of this package's connections.
const App = string(vault.WhatsApp)

// The API of connections that have no base_url or api_version.
const (
	DefaultBaseURL = "https://graph.facebook.com"
	DefaultVersion = "v23.0"
)

// An Account is a vault connection to the Cloud API, decoded. Optional fields may be "".
type Account struct {
	Name          string
	Token         vault.Secret
	WABA          string // WhatsApp Business Account ID, optional
	Business      string // business portfolio ID, optional
	SenderPhoneID string // default phone number ID to send from, optional
	BaseURL       string
	Version       string
}

// Connect reads an account from a connection.
func Connect(c vault.Connection) (Account, error) {
	return Account{
		Name:          c.Name,
		Token:         c.Secret("token"),
		WABA:          c.Get("waba_id"),
		Business:      c.Get("business_id"),
		SenderPhoneID: c.Get("sender_phone_id"),
		BaseURL:       cmp.Or(c.Get("base_url"), DefaultBaseURL),
		Version:       cmp.Or(c.Get("api_version"), DefaultVersion),
	}, nil
}
