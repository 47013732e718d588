package inbound_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/flow/schema"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const handler = "../../../testdata/webhooks"

// told is what a body tells, as facteur webhook inspect prints it.
func told(t testing.TB, body []byte) string {
	found, err := inbound.Parse(body)
	require.NoError(t, err)
	return printed(t, found)
}

func printed(t testing.TB, found []inbound.Notification) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, n := range found {
		require.NoError(t, e.Encode(n))
	}
	return b.String()
}

// golden compares with a file, or writes it.
func golden(t *testing.T, path, got string) {
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// each calls f with every file of a folder that ends in .json.
func each(t testing.TB, dir string, f func(name string, body []byte)) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(t, err)
		f(strings.TrimSuffix(file, ".json"), body)
	}
}

func TestWebhooks(t *testing.T) {
	each(t, handler, func(name string, body []byte) {
		t.Run(filepath.Base(name), func(t *testing.T) { golden(t, name+".jsonl", told(t, body)) })
	})
}

func TestNoWebhooks(t *testing.T) {
	each(t, handler+"/bad", func(name string, body []byte) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			_, err := inbound.Parse(body)
			require.IsType(t, &inbound.Error{}, err)
			golden(t, name+".txt", err.Error()+"\n")
		})
	})
}

// TestWebhooksOfTomorrow: fields that nobody knows yet, anywhere, change nothing. Where one
// is a list beside what a value tells, that is told too.
func TestWebhooksOfTomorrow(t *testing.T) {
	for _, extra := range []any{"text", 7, true, nil, []any{map[string]any{"id": "x"}}, map[string]any{"id": "x", "status": "failed"}} {
		each(t, handler, func(name string, body []byte) {
			var v any
			require.NoError(t, json.Unmarshal(body, &v))
			more, err := json.Marshal(enrich(v, extra))
			require.NoError(t, err)
			found, err := inbound.Parse(more)
			require.NoError(t, err)
			found = slices.DeleteFunc(found, func(n inbound.Notification) bool { return strings.HasSuffix(n.Note, ": zz_not_known_yet") })
			assert.Equal(t, told(t, body), printed(t, found), "%s with %v", name, extra)
		})
	}
}

func enrich(v, extra any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = enrich(x, extra)
		}
		v["zz_not_known_yet"] = extra
	case []any:
		for i := range v {
			v[i] = enrich(v[i], extra)
		}
	}
	return v
}

func one(t *testing.T, name string) inbound.Notification {
	body, err := os.ReadFile(filepath.Join(handler, name+".json"))
	require.NoError(t, err)
	found, err := inbound.Parse(body)
	require.NoError(t, err)
	require.NotEmpty(t, found)
	return found[0]
}

func TestReceipt(t *testing.T) {
	r, ok := one(t, "status_sent").Receipt()
	require.True(t, ok)
	assert.Equal(t, "f1.k3f9.1", r.Key)
	assert.Equal(t, "wamid.OUT:sent", r.ID)
	assert.Equal(t, "sent", r.State)
	assert.Nil(t, r.Error)
	assert.Equal(t, map[string]any{
		"message_id": "wamid.OUT", "status": "sent", "wa_id": "33612345678", "recipient": "+33612345678", "sender_phone_id": "106540352242922",
		"tracking": "order-7", "timestamp": "2025-06-18T16:22:53Z",
		"conversation": map[string]any{"id": "6ceb9d929c9bdc4f90e967a32f8639b4", "expiration_timestamp": "1750350173", "origin": map[string]any{"type": "utility"}},
		"pricing":      map[string]any{"billable": true, "pricing_model": "CBP", "category": "utility"},
	}, r.Data)

	r, ok = one(t, "standby_status").Receipt()
	require.True(t, ok, "whoever answers the conversation")
	assert.Equal(t, "f1.k3f9.1", r.Key)

	r, ok = one(t, "status_user_id").Receipt()
	require.True(t, ok)
	assert.Equal(t, "f1.k3f9.2", r.Key)
	assert.Equal(t, "FR.1349", r.Data["user_id"])
	assert.Equal(t, "FR.1349", r.Data["recipient"])
	assert.NotContains(t, r.Data, "wa_id")

	r, ok = one(t, "status_failed").Receipt()
	require.True(t, ok)
	require.NotNil(t, r.Error)
	assert.Equal(t, "131026", r.Error.Code)
	assert.Equal(t, int64(131026), r.Error.MetaCode)
	assert.Equal(t, "recipient", r.Error.Class)
	assert.Equal(t, "Meta did not deliver the message: message undeliverable (131026)", r.Error.Message)
	assert.Equal(t, "never", r.Error.Details["retry"])
	settled := whatsapp.SendMessage(whatsapp.Options{}).Signature().Settle(nil, nil, r, "delivered")
	assert.Equal(t, r.Error, settled.Error, "it is said once")

	for _, name := range []string{"status_read", "status_played", "message_text", "status_payment", "status_call", "call_terminate", "template_approved"} {
		_, ok = one(t, name).Receipt()
		assert.False(t, ok, name)
	}
}

func TestEvent(t *testing.T) {
	kind := whatsapp.Events()[0]
	for _, tt := range []struct{ file, from, kind, text, id, title, profile string }{
		{"message_text", "+33612345678", "text", "oui", "", "", "Ada"},
		{"message_image", "+33612345678", "image", "le colis", "", "", "Ada"},
		{"message_button", "+33612345678", "button", "Je confirme", "CONFIRM-7", "Je confirme", "Ada"},
		{"message_button_reply", "+33612345678", "interactive", "Oui", "yes", "Oui", "Ada"},
		{"message_list_reply", "+33612345678", "interactive", "Demain", "tomorrow", "Demain", "Ada"},
		{"message_reaction", "+33612345678", "reaction", "", "", "", "Ada"},
		{"message_order", "+33612345678", "order", "sans sucre", "", "", "Ada"},
		{"message_user_id", "FR.13491208655302741918", "text", "oui", "", "", "Ada"},
		{"message_number_and_user_id", "+33612345678", "text", "oui", "", "", "Ada"},
		{"message_brazil", "+551187654321", "text", "oi", "", "", "Ada"},
		{"history_media", "+33612345678", "image", "plante", "", "", ""},
	} {
		data, ok := one(t, tt.file).Event()
		if tt.file == "history_media" {
			assert.False(t, ok, "an old message is no event")
			continue
		}
		require.True(t, ok, tt.file)
		assert.Equal(t, "106540352242922", data["sender_phone_id"])
		assert.Equal(t, time.Unix(1749416383, 0).UTC(), data["timestamp"])
		assert.NotEmpty(t, data["message_id"])
		assert.NotEmpty(t, data["raw"])
		assert.Equal(t, []any{tt.from, tt.kind, tt.text, tt.id, tt.title, tt.profile},
			[]any{data["from"], data["type"], data["text"], data["reply_id"], data["reply_title"], data["profile_name"]}, tt.file)
		_, found := kind.Type.Coerce(data)
		assert.NoError(t, found.Err(), tt.file)
		_, err := kind.Subject(data["from"].(string))
		assert.NoError(t, err, tt.file)
	}
	for _, name := range []string{"echo", "history", "status_sent", "error_system", "message_system_number", "message_text_group", "unknown_field", "call_connect", "standby_message", "standby_flat", "standby_echo"} {
		_, ok := one(t, name).Event()
		assert.False(t, ok, name)
	}
}

func TestLimits(t *testing.T) {
	changes := func(n int) []byte {
		change := `{"field":"account_review_update","value":{"decision":"APPROVED"}}`
		return []byte(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[` + strings.TrimSuffix(strings.Repeat(change+",", n), ",") + `]}]}`)
	}
	found, err := inbound.Parse(changes(1000))
	require.NoError(t, err)
	assert.Len(t, found, 1000)
	_, err = inbound.Parse(changes(1001))
	assert.ErrorContains(t, err, "1001 changes")

	body := changes(1)
	padded := func(n int) []byte { return append(bytes.Repeat([]byte(" "), n-len(body)), body...) }
	_, err = inbound.Parse(padded(3 << 20))
	assert.NoError(t, err)
	_, err = inbound.Parse(padded(3<<20 + 1))
	assert.ErrorContains(t, err, "3145729 bytes")
}

func TestVerifySignature(t *testing.T) {
	secret, body := vault.NewSecret("app-secret-1"), []byte(`{"text":"d\u00e9j\u00e0"}`)
	mac := hmac.New(sha256.New, []byte("app-secret-1"))
	mac.Write(body)
	good := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	for _, tt := range []struct {
		name, header string
		body         []byte
		secret       vault.Secret
		want         error
	}{
		{"signed", good, body, secret, nil},
		{"in capitals", "sha256=" + strings.ToUpper(good[7:]), body, secret, nil},
		{"decoded and encoded again", good, []byte(`{"text":"déjà"}`), secret, inbound.ErrSignature},
		{"by another app", good, body, vault.NewSecret("app-secret-2"), inbound.ErrSignature},
		{"of nothing", "", body, secret, inbound.ErrNotSigned},
		{"the old header", "sha1=" + good[7:47], body, secret, inbound.ErrNotSigned},
		{"cut", good[:40], body, secret, inbound.ErrNotSigned},
		{"no hexadecimal", "sha256=" + strings.Repeat("zz", 32), body, secret, inbound.ErrNotSigned},
		{"without a secret", good, body, vault.Secret{}, inbound.ErrNoSecret},
	} {
		err := inbound.VerifySignature(tt.body, tt.header, tt.secret)
		assert.Equal(t, tt.want, err, tt.name)
		if err != nil {
			assert.NotContains(t, err.Error(), "app-secret")
		}
	}
}

func TestVerifySubscription(t *testing.T) {
	token := vault.NewSecret("verify-1")
	query := func(text string) url.Values { q, _ := url.ParseQuery(text); return q }
	challenge, err := inbound.VerifySubscription(query("hub.mode=subscribe&hub.verify_token=verify-1&hub.challenge=1158201444"), token)
	require.NoError(t, err)
	assert.Equal(t, "1158201444", challenge)
	for _, q := range []string{"", "hub.mode=subscribe&hub.challenge=1", "hub.mode=subscribe&hub.verify_token=verify-2&hub.challenge=1", "hub.mode=unsubscribe&hub.verify_token=verify-1&hub.challenge=1"} {
		challenge, err = inbound.VerifySubscription(query(q), token)
		assert.Equal(t, inbound.ErrSubscription, err, q)
		assert.Empty(t, challenge)
	}
	_, err = inbound.VerifySubscription(query("hub.mode=subscribe&hub.verify_token="), vault.Secret{})
	assert.Equal(t, inbound.ErrSubscription, err, "no token is not the empty one")
}

// FuzzParse: whatever comes, it is read or refused, twice alike, and what is read
// can be printed, received and waited for.
func FuzzParse(f *testing.F) {
	each(f, handler, func(_ string, body []byte) { f.Add(body) })
	each(f, handler+"/bad", func(_ string, body []byte) { f.Add(body) })
	f.Add([]byte(`{"entry":{"changes":{"value":[{"messages":{"type":7,"timestamp":{},"interactive":[1]}}]}}}`))
	kind := whatsapp.Events()[0]
	f.Fuzz(func(t *testing.T, body []byte) {
		found, err := inbound.Parse(body)
		if err != nil {
			assert.IsType(t, &inbound.Error{}, err)
			assert.NotEmpty(t, err.Error())
			return
		}
		again, err := inbound.Parse(body)
		require.NoError(t, err)
		assert.Equal(t, printed(t, found), printed(t, again))
		for _, n := range found {
			assert.NotEmpty(t, n.Kind)
			if r, ok := n.Receipt(); ok {
				assert.True(t, strings.HasPrefix(r.Key, "f1."))
				_, err := schema.AnyType.Coerce(r.Data)
				assert.NoError(t, err.Err())
			}
			if data, ok := n.Event(); ok {
				_, found := kind.Type.Coerce(data)
				assert.NoError(t, found.Err())
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	small, err := os.ReadFile(filepath.Join(handler, "status_sent.json"))
	require.NoError(b, err)
	for _, n := range []int{1, 1000, 4000} {
		var messages, contacts []string
		for i := range n {
			messages = append(messages, fmt.Sprintf(`{"from":"336%08d","id":"wamid.%d","timestamp":"1749416383","type":"text","text":{"body":"%s"}}`, i, i, strings.Repeat("oui ", 100)))
			contacts = append(contacts, fmt.Sprintf(`{"profile":{"name":"Ada"},"wa_id":"336%08d"}`, i))
		}
		body := fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"1"},"contacts":[%s],"messages":[%s]}}]}]}`,
			strings.Join(contacts, ","), strings.Join(messages, ","))
		if n == 1 {
			body = small
		}
		b.Run(fmt.Sprintf("%d_bytes", len(body)), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := inbound.Parse(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
