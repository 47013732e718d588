package simulator_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/actions/whatsapp/templates"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzMessages: whatever is sent, the answer is an id or an error in Meta's shape, and
// what is accepted obeys the client's rules, can be drawn, and is told in webhooks that
// can be read.
func FuzzMessages(f *testing.F) {
	files, _ := filepath.Glob("../../../examples/messages/*.json")
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(string(body))
	}
	f.Add(texts("+33536490014"))
	f.Add(`{"messaging_product":"whatsapp","recipient":"FR.1","type":"interactive","interactive":{"type":"list"}}`)
	hook := newReceiver(f)
	s, err := simulator.New(simulator.Options{Clock: simulator.Frozen(start), Keep: 50, Templates: []*templates.Definition{definition(f, orderShipped)}, Scene: simulator.Scene{Webhook: simulator.Webhook{URL: hook.URL}}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, messages, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer t")
		ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond) // some recipients never answer
		defer stop()
		r = r.WithContext(ctx)
		w := httptest.NewRecorder()
		func() {
			defer func() {
				if p := recover(); p != nil {
					require.Equal(t, http.ErrAbortHandler, p)
				}
			}()
			s.ServeHTTP(w, r)
		}()
		if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || w.Body.Len() == 0 {
			return
		}
		if w.Code != http.StatusOK {
			apiError(t, w.Body.String())
			return
		}
		var answer struct{ Messages []struct{ ID string } }
		_ = json.Unmarshal(w.Body.Bytes(), &answer)
		for _, m := range answer.Messages {
			found, ok := s.Message(m.ID)
			require.True(t, ok)
			bubble := found.Bubble()
			assert.NotZero(t, bubble)
			_, _ = s.Tap(simulator.Tap{MessageID: m.ID})
		}
		s.Advance(time.Second)
	})
}

// FuzzControl: whatever is asked of the control API, it answers JSON, and goes on.
func FuzzControl(f *testing.F) {
	for _, seed := range []string{`{"from":"+33612345678","text":"a"}`, `{"from":"FR.1","type":"image"}`, `{"advance":"1h"}`, `{"do":"error","code":4}`, `{"message_id":"x","choice":"1"}`, `{"phone":"1","user_id":"FR.1"}`, `{"id":"1","tier":"TIER_50"}`, `{"token":"x"}`, `[]`, `null`} {
		for _, path := range []string{"messages", "clock", "faults", "tap", "react", "people", "numbers", "templates", "tokens", "read"} {
			f.Add(path, seed)
		}
	}
	s, err := simulator.New(simulator.Options{Clock: simulator.Frozen(start), Keep: 50})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, path, body string) {
		if strings.HasPrefix(path, "idle") || strings.HasPrefix(path, "webhook") || strings.HasPrefix(path, "events") || strings.ContainsAny(path, "?#%") {
			return
		}
		r, err := http.NewRequest(http.MethodPost, "http://simulator"+simulator.ControlPath+path, strings.NewReader(body))
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		text, _ := io.ReadAll(w.Body)
		if w.Header().Get("Location") == "" && w.Code != http.StatusMethodNotAllowed {
			assert.True(t, json.Valid(text), string(text))
		}
		assert.NotEqual(t, http.StatusInternalServerError, w.Code)
		s.ClearFaults()
		s.Counts()
	})
}
