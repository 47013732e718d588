package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"facteur/e2e/bench/child"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// All variants send the same request, except for the call's key.
func TestSameRequest(t *testing.T) {
	type request struct{ path, body, authorization, contentType string }
	key := regexp.MustCompile(`"f1\.[A-Za-z0-9]{26}\.1"`)
	sent := func(begin func(child.Setup) (*child.Subject, error)) (got request) {
		api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got = request{r.URL.Path, key.ReplaceAllString(string(body), `"KEY"`), r.Header.Get("Authorization"), r.Header.Get("Content-Type")}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"messaging_product":"whatsapp","contacts":[{"input":"+33600000007","wa_id":"33600000007"}],"messages":[{"id":"wamid.TEST"}]}`)
		}))
		defer api.Close()
		s, err := begin(child.Setup{API: api.URL, Dir: t.TempDir(), Senders: []string{"106540352200000"}})
		require.NoError(t, err)
		require.NoError(t, s.Do(7))
		if s.Close != nil {
			require.NoError(t, s.Close())
		}
		return got
	}
	want := sent(bare)
	assert.Contains(t, want.body, `"KEY"`)
	assert.Equal(t, want, sent(durable))
	assert.Equal(t, want, sent(inMemory))
}
