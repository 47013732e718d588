package account_test

import (
	"fmt"

	"facteur/vault"
)

const (
	token     = "EAAGm0PX4ZCps+TEST/token=="
	sender    = "106540352242922"
	appSecret = "app-secret-of-the-shop"
)

// refused is an error of the API.
func refused(code int, more string) string {
	return fmt.Sprintf(`{"error":{"message":"(#%d) Title","type":"OAuthException","code":%d,"error_data":{"messaging_product":"whatsapp","details":"Some details."},"fbtrace_id":"Az8"%s}}`, code, code, more)
}

func connection(url string) vault.Connection {
	return vault.Connection{
		Name: "shop", App: vault.WhatsApp, Setup: map[string]string{"base_url": url}, Secrets: map[string]vault.Secret{"token": vault.NewSecret(token)},
	}
}
