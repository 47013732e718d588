package actions_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"facteur/actions"
	"facteur/flow/call"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type in struct {
	Do string `json:"do"`
}

type out struct {
	StatusCode int64  `json:"status_code" schema:"always"`
	Text       string `json:"text,omitempty"`
}

const secret = "s3cret/+token=="

// keys is a vault whose answers a test sets.
type keys struct {
	conn, fresh vault.Connection
	err         error
	shut        error // of Refresh alone
	refreshed   int
}

func (k *keys) Resolve(ctx context.Context, _ string) (vault.Connection, error) {
	if ctx.Err() != nil {
		return vault.Connection{}, ctx.Err()
	}
	return k.conn, k.err
}

func (k *keys) Refresh(context.Context, string) (vault.Connection, bool, error) {
	k.refreshed++
	return k.fresh, k.fresh.Version != k.conn.Version, errors.Join(k.err, k.shut)
}

func key(token string) vault.Connection {
	return vault.Connection{Name: "shop", App: vault.HTTP, Version: token, Setup: map[string]string{"username": "me"},
		Secrets: map[string]vault.Secret{"token": vault.NewSecret(token)}}
}

func action(name string, do func(ctx context.Context, token string, in in) (out, error)) actions.Action {
	return actions.Define(actions.Spec[string]{
		Signature: call.Signature{Name: name, App: string(vault.HTTP), ConnectionOptional: true},
		Connect: func(c vault.Connection) (string, error) {
			if c.Secret("token").IsZero() {
				return "", errors.New("it has no token")
			}
			return c.Secret("token").Reveal(), nil
		},
	}, do)
}

func newSet(t *testing.T, k actions.Connections, do func(ctx context.Context, token string, in in) (out, error)) *actions.Set {
	set, err := actions.NewSet(k, action("test.do", do))
	require.NoError(t, err)
	return set
}

func TestOutcomes(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		name       string
		err        error
		idempotent bool
		want       call.Outcome
	}{
		{"success", nil, false, call.Outcome{Status: call.Succeeded}},
		{"pending", actions.ErrPending, false, call.Outcome{Status: call.Pending}},
		{"permanent", actions.Permanent(boom), false, call.Outcome{Status: call.Failed, Error: &call.Error{Code: "failed", Class: "permanent", Message: "boom"}}},
		{"retry", actions.Retry(boom), false, call.Outcome{Status: call.Failed, Retryable: true, Error: &call.Error{Code: "failed", Class: "transient", Message: "boom"}}},
		{"after", actions.After(time.Minute, boom), false, call.Outcome{Status: call.Failed, Retryable: true, After: time.Minute, Error: &call.Error{Code: "failed", Class: "transient", Message: "boom"}}},
		{"unknown", actions.Unknown(boom), false, call.Outcome{Status: call.Unknown, Error: &call.Error{Code: "outcome_unknown", Class: "unknown", Message: "boom"}}},
		{"unknown, idempotent", actions.Unknown(&call.Error{Code: "timeout", Message: "late"}), true, call.Outcome{Status: call.Failed, Retryable: true, Error: &call.Error{Code: "timeout", Message: "late"}}},
		{"plain", boom, false, call.Outcome{Status: call.Unknown, Error: &call.Error{Code: "outcome_unknown", Class: "unknown", Message: "boom"}}},
		{"plain, idempotent", boom, true, call.Outcome{Status: call.Failed, Retryable: true, Error: &call.Error{Code: "failed", Class: "unknown", Message: "boom"}}},
		{"wrapped", fmt.Errorf("while sending: %w", actions.Permanent(boom)), false, call.Outcome{Status: call.Failed, Error: &call.Error{Code: "failed", Class: "permanent", Message: "boom"}}},
		{"auth", actions.AuthError(boom), false, call.Outcome{Status: call.Failed, Error: &call.Error{Code: "auth", Class: "auth", Message: "boom"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := newSet(t, nil, func(context.Context, string, in) (out, error) { return out{StatusCode: 7}, tt.err })
			got := set.Do(context.Background(), call.Call{Action: "test.do", Idempotent: tt.idempotent})
			tt.want.Output = map[string]any{"status_code": int64(7)}
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestAFailureThatSaysNothing(t *testing.T) {
	set := newSet(t, nil, func(context.Context, string, in) (out, error) { return out{}, &actions.Failure{Status: call.Failed} })
	o := set.Do(context.Background(), call.Call{Action: "test.do"})
	assert.Equal(t, call.Failed, o.Status)
	assert.NotEmpty(t, o.Error.Message)
}

func TestAPanicIsUnknownAndItsStackStaysInside(t *testing.T) {
	set := newSet(t, &keys{conn: key(secret)}, func(context.Context, string, in) (out, error) { panic("the token is " + secret) })
	var stack []byte
	set.Panicked = func(c call.Call, _ any, s []byte) { stack = s }
	got := set.Do(context.Background(), call.Call{Action: "test.do", Connection: "shop"})
	assert.Equal(t, call.Unknown, got.Status)
	assert.Equal(t, "outcome_unknown", got.Error.Code)
	assert.Equal(t, int64(0), got.Output["status_code"])
	assert.NotContains(t, got.Error.Message, secret)
	assert.NotContains(t, got.Error.Message, "goroutine")
	assert.Contains(t, string(stack), "TestAPanic")

	got = set.Do(context.Background(), call.Call{Action: "test.do", Connection: "shop", Idempotent: true})
	assert.Equal(t, call.Failed, got.Status)
	assert.True(t, got.Retryable)
}

func TestConnections(t *testing.T) {
	down := &vault.BackendError{Backend: "hashicorp", Op: "read", Connection: "shop", Reason: vault.Down}
	damaged := &vault.BackendError{Backend: "file", Op: "open", Where: "vault.age", Connection: "shop", Reason: vault.Corrupt}
	denied := &vault.BackendError{Backend: "hashicorp", Op: "read", Connection: "shop", Reason: vault.Denied}
	wrong := key(secret)
	wrong.App = vault.WhatsApp
	empty := key(secret)
	empty.Secrets = nil
	for _, tt := range []struct {
		name string
		keys *keys
		held bool
		want string
	}{
		{"down", &keys{err: down}, true, "does not answer"},
		{"damaged", &keys{err: damaged}, true, "cannot open vault.age"},
		{"denied", &keys{err: denied}, false, "permission denied"},
		{"unknown", &keys{err: &vault.UnknownConnectionError{Name: "shop", Known: []string{"shop_fr"}}}, false, "shop_fr"},
		{"of another app", &keys{conn: wrong}, false, "is for WHATSAPP, but test.do needs one for HTTP"},
		{"not complete", &keys{conn: empty}, false, "it has no token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := newSet(t, tt.keys, func(context.Context, string, in) (out, error) { t.Error("was called"); return out{}, nil })
			got := set.Do(context.Background(), call.Call{Action: "test.do", Connection: "shop"})
			assert.Equal(t, call.Failed, got.Status)
			assert.Equal(t, tt.held, got.Held)
			assert.Equal(t, tt.name == "down", got.Retryable, "where nobody holds calls, what has to be mended is not waited for")
			assert.Equal(t, "connection", got.Error.Code)
			assert.Contains(t, got.Error.Message, tt.want)
			assert.Equal(t, int64(0), got.Output["status_code"])
		})
	}
}

func TestARotatedTokenIsPickedUpOnce(t *testing.T) {
	calls := 0
	refuse := func(_ context.Context, token string, _ in) (out, error) {
		calls++
		if token == "old-token" {
			return out{StatusCode: 401}, actions.AuthError(errors.New("the token was refused"))
		}
		return out{StatusCode: 200}, nil
	}
	t.Run("changed", func(t *testing.T) {
		k := &keys{conn: key("old-token"), fresh: key("new-token")}
		got := newSet(t, k, refuse).Do(context.Background(), call.Call{Action: "test.do", Connection: "shop"})
		assert.Equal(t, call.Succeeded, got.Status)
		assert.False(t, got.Refused)
		assert.Equal(t, []int{1, 2}, []int{k.refreshed, calls})
	})
	t.Run("changed, and refused too", func(t *testing.T) {
		calls = 0
		k := &keys{conn: key("old-token"), fresh: key("new-token")}
		got := newSet(t, k, func(_ context.Context, token string, _ in) (out, error) {
			calls++
			return out{StatusCode: 401}, actions.AuthError(errors.New(token + " was refused"))
		}).Do(context.Background(), call.Call{Action: "test.do", Connection: "shop"})
		assert.Equal(t, call.Failed, got.Status)
		assert.True(t, got.Refused)
		assert.Equal(t, []int{1, 2}, []int{k.refreshed, calls})
	})
	t.Run("the same", func(t *testing.T) {
		calls = 0
		k := &keys{conn: key("old-token"), fresh: key("old-token")}
		got := newSet(t, k, refuse).Do(context.Background(), call.Call{Action: "test.do", Connection: "shop"})
		assert.Equal(t, call.Failed, got.Status)
		assert.Equal(t, "auth", got.Error.Class)
		assert.True(t, got.Refused)
		assert.Equal(t, int64(401), got.Output["status_code"])
		assert.Equal(t, []int{1, 1}, []int{k.refreshed, calls})
	})
	for name, shut := range map[string]error{
		"nobody can say":         &vault.BackendError{Backend: "hashicorp", Op: "read", Connection: "shop", Reason: vault.Sealed},
		"nobody says it in time": context.DeadlineExceeded,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			k := &keys{conn: key("old-token"), shut: shut}
			got := newSet(t, k, refuse).Do(ctx, call.Call{Action: "test.do", Connection: "shop"})
			assert.Equal(t, call.Failed, got.Status)
			assert.True(t, got.Held, "nothing was accepted, and there may be another token")
			assert.False(t, got.Refused)
			assert.False(t, got.Retryable, "where nobody holds calls it is a refusal")
			assert.Contains(t, got.Error.Message, "the token was refused (the vault could not be asked for a newer one: ")
		})
	}
	t.Run("gone meanwhile", func(t *testing.T) {
		k := &keys{conn: key("old-token"), shut: &vault.BackendError{Backend: "hashicorp", Op: "read", Connection: "shop", Reason: vault.NotFound}}
		got := newSet(t, k, refuse).Do(context.Background(), call.Call{Action: "test.do", Connection: "shop"})
		assert.False(t, got.Held)
		assert.True(t, got.Refused)
	})
}

func TestContexts(t *testing.T) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	set := newSet(t, &keys{conn: key(secret)}, func(ctx context.Context, _ string, _ in) (out, error) {
		<-ctx.Done()
		return out{}, ctx.Err()
	})
	got := set.Do(over, call.Call{Action: "test.do", Connection: "shop"})
	assert.Equal(t, call.Cancelled, got.Status)
	got = set.Do(over, call.Call{Action: "test.do"})
	assert.Equal(t, call.Cancelled, got.Status)
	got = set.Do(context.Background(), call.Call{Action: "test.do", Timeout: time.Millisecond})
	assert.Equal(t, call.Unknown, got.Status)
	assert.False(t, got.Refused)
	late, stop := context.WithTimeout(context.Background(), 0)
	defer stop()
	got = set.Do(late, call.Call{Action: "test.do"})
	assert.Equal(t, call.Failed, got.Status)
	assert.Equal(t, "timeout", got.Error.Code)
	assert.True(t, got.Retryable)
}

func TestNoSecretLeavesTheSet(t *testing.T) {
	set := newSet(t, &keys{conn: key(secret), fresh: key(secret)}, func(_ context.Context, token string, in in) (out, error) {
		all := strings.Join([]string{token, "s3cret%2F%2Btoken%3D%3D", base64.StdEncoding.EncodeToString([]byte("me:" + token))}, " ")
		return out{Text: all}, actions.Permanent(&call.Error{Message: "refused " + all, Details: map[string]any{"a": []any{map[string]any{"b": all}}}})
	})
	got := set.Do(context.Background(), call.Call{Action: "test.do", Connection: "shop"})
	text, err := json.Marshal(got)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "s3cret")
	assert.NotContains(t, string(text), "bWU6")
	assert.Equal(t, "[secret] [secret] [secret]", got.Output["text"])
}

func TestCatalog(t *testing.T) {
	nothing := func(context.Context, string, in) (out, error) { return out{}, nil }
	_, err := actions.NewSet(nil, action("a.b", nothing), action("a.b", nothing))
	assert.EqualError(t, err, `there are two actions named "a.b"`)

	set, err := actions.NewSet(nil, action("z.z", nothing), action("a.b", nothing))
	require.NoError(t, err)
	var _ call.Catalog = set
	var _ call.Do = set.Do
	require.NoError(t, set.Events(call.Event{Name: "e"}))
	assert.EqualError(t, set.Events(call.Event{Name: "e"}), `there are two event kinds named "e"`)
	names, events := set.Names()
	assert.Equal(t, []string{"a.b", "z.z"}, names)
	assert.Equal(t, []string{"e"}, events)
	assert.Nil(t, set.Action("nope"))
	assert.Nil(t, set.Event("nope"))
	assert.Equal(t, "do", set.Action("a.b").In.Fields[0].Name)
	assert.Equal(t, call.Failed, set.Do(context.Background(), call.Call{Action: "nope"}).Status)
	got := set.Do(context.Background(), call.Call{Action: "a.b", Input: map[string]any{"do": 7.5}})
	assert.Equal(t, "invalid_input", got.Error.Code)
}
