package record

import "strings"

// secretName tells whether a header or a parameter of that name holds a secret.
func secretName(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{"authorization", "cookie", "token", "secret", "password", "appsecret_proof", "api-key", "apikey", "api_key", "signature"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
