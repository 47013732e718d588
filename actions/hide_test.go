package actions_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"testing"

	"facteur/actions"
	"facteur/flow/call"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type echo struct {
	Body any `json:"body,omitempty"`
}

// A server may repeat a credential in any form, also where nobody looks for a value.
func TestASecretIsHiddenInEveryForm(t *testing.T) {
	const secret = `p4ss/w+rd?"<é>=`
	conn := vault.Connection{Name: "shop", App: vault.HTTP, Version: "1", Setup: map[string]string{"username": "me"},
		Secrets: map[string]vault.Secret{"password": vault.NewSecret(secret)}}
	quoted, err := json.Marshal(secret)
	require.NoError(t, err)
	forms := []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), string(quoted),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawStdEncoding.EncodeToString([]byte(secret)),
		base64.URLEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
		base64.StdEncoding.EncodeToString([]byte("me:" + secret)),
		url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("me:" + secret))),
	}
	for _, form := range forms {
		body := map[string]any{
			"value": "see " + form, "list": []any{map[string]any{"deep": form}},
			form: map[string]any{"x-" + form: int64(1)},
		}
		set, err := actions.NewSet(&keys{conn: conn}, actions.Define(
			actions.Spec[struct{}]{Signature: call.Signature{Name: "test.echo", App: string(vault.HTTP)}},
			func(context.Context, struct{}, struct{}) (echo, error) {
				return echo{body}, actions.Permanent(&call.Error{Code: "c", Message: "no: " + form, Details: map[string]any{form: form}})
			}))
		require.NoError(t, err)
		o := set.Do(context.Background(), call.Call{Action: "test.echo", Connection: "shop"})
		everything := []any{o.Output, o.Error.Message, o.Error.Details}
		var texts func(v any) []string
		texts = func(v any) (out []string) {
			switch v := v.(type) {
			case string:
				return []string{v}
			case []any:
				for _, x := range v {
					out = append(out, texts(x)...)
				}
			case map[string]any:
				for k, x := range v {
					out = append(append(out, k), texts(x)...)
				}
			}
			return out
		}
		found := texts(everything)
		require.Len(t, found, 11)
		for _, text := range found {
			assert.NotContains(t, text, form)
		}
	}
}

// A server's JSON may make a number of a secret that has only digits. What must be a number
// stays one.
func TestASecretOfDigitsIsHiddenInNumbers(t *testing.T) {
	type counted struct {
		Body  any   `json:"body,omitempty"`
		Count int64 `json:"count"`
	}
	for secret, same := range map[string]any{
		"482913": int64(482913), "0482913": int64(482913), "12345678901234567890": 12345678901234567890.0,
	} {
		conn := vault.Connection{Name: "shop", App: vault.HTTP, Version: "1",
			Secrets: map[string]vault.Secret{"token": vault.NewSecret(secret), "pin": vault.NewSecret("000200")}}
		set, err := actions.NewSet(&keys{conn: conn}, actions.Define(
			actions.Spec[struct{}]{Signature: call.Signature{Name: "test.echo", App: string(vault.HTTP)}},
			func(context.Context, struct{}, struct{}) (counted, error) {
				body := map[string]any{"code": same, "list": []any{same, int64(200), 482913.5}}
				return counted{body, 482913}, actions.Permanent(&call.Error{Code: "c", Details: map[string]any{"code": same}})
			}))
		require.NoError(t, err)
		o := set.Do(context.Background(), call.Call{Action: "test.echo", Connection: "shop"})
		body := map[string]any{"code": "[secret]", "list": []any{"[secret]", int64(200), 482913.5}}
		assert.Equal(t, map[string]any{"body": body, "count": int64(482913)}, o.Output, secret)
		assert.Equal(t, map[string]any{"code": "[secret]"}, o.Error.Details, secret)
	}
}
