package whatsapp_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/flow/call"

	"github.com/stretchr/testify/assert"
)

// A send is failed, retryable or not, only if Meta surely did not accept it; otherwise it is
// unknown.
func TestFailedMeansNotAccepted(t *testing.T) {
	cutAt := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"error":{"me`)
		}
	}
	for _, tt := range []struct {
		name      string
		handle    http.HandlerFunc
		want      call.Status
		retryable bool
	}{
		{"a gateway's own JSON", answers(504, `{"error":{"code":504,"message":"upstream timed out"}}`), call.Unknown, false},
		{"a gateway's own JSON, with a number of Meta's", answers(502, `{"error":{"code":2,"message":"bad gateway","type":"server_error"}}`), call.Unknown, false},
		{"a gateway's own list", answers(503, `{"errors":[{"code":1016,"title":"no healthy upstream"}]}`), call.Unknown, false},
		{"a 200 with somebody's error", answers(200, `{"error":{"code":1,"message":"no"}}`), call.Unknown, false},
		{"a code that nobody knows, with a 500", answers(500, graphError(-1, "")), call.Unknown, false},
		{"a transient one that nobody knows, with a 500", answers(500, graphError(-1, `,"is_transient":true`)), call.Failed, true},
		{"overloaded, says Meta", answers(503, graphError(2, "")), call.Failed, true},
		{"a 408", answers(408, ""), call.Unknown, false},
		{"a 408 that is cut", cutAt(408), call.Unknown, false},
		{"a 400 that is cut", cutAt(400), call.Failed, true},
		{"a 503 that is cut", cutAt(503), call.Unknown, false},
		{"a 303", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/there", http.StatusSeeOther) }, call.Unknown, false},
		{"a 307", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		}, call.Failed, false},
		{"a 304", answers(304, ""), call.Unknown, false},
		{"a 204", answers(204, ""), call.Unknown, false},
		{"a 206 with a message", answers(206, okBody), call.Succeeded, false},
		{"early hints first", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			answers(502, "")(w, r)
		}, call.Unknown, false},
		{"both an id and an error", answers(200, `{"messages":[{"id":"wamid.X"}],"error":{"code":131000}}`), call.Succeeded, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newFakeAPI(t, tt.handle)
			o := newSet(t, &credentials{conn: connection(m.URL, token)}, whatsapp.Options{}).Do(context.Background(), send(text(nil)))
			assert.Equal(t, tt.want, o.Status)
			assert.Equal(t, tt.retryable, o.Retryable)
			if tt.want == call.Unknown {
				assert.Equal(t, "unknown", o.Output["delivery"])
				assert.Equal(t, "outcome_unknown", o.Error.Code)
			}
			assert.Len(t, m.received(), 1)
		})
	}
}

type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("out of luck") }

func TestPanicIsUnknown(t *testing.T) {
	set := newSet(t, &credentials{conn: connection("https://graph.test", token)}, whatsapp.Options{Client: &http.Client{Transport: panicking{}}})
	o := set.Do(context.Background(), send(text(nil)))
	assert.Equal(t, call.Unknown, o.Status)
	assert.Equal(t, "unknown", o.Output["delivery"])
	assert.Equal(t, map[string]any{"delivery": "unknown"}, set.Action("whatsapp.send_message").UnknownOutput)
}

// The fallback is sent only after the message was refused, and its outcome is that of the
// call.
func TestFallbackOutcome(t *testing.T) {
	fallback := map[string]any{"fallback": map[string]any{"message_type": "template", "message": map[string]any{"name": "hello", "language": map[string]any{"code": "fr"}}}}
	for _, tt := range []struct {
		name   string
		first  http.HandlerFunc
		second http.HandlerFunc
		sends  int
		want   call.Status
		used   bool
	}{
		{"the answer of the fallback is lost", answers(400, graphError(131047, "")), answers(502, ""), 2, call.Unknown, true},
		{"the fallback is refused", answers(400, graphError(131047, "")), answers(400, graphError(132001, "")), 2, call.Failed, true},
		{"the answer of the message is lost", answers(502, ""), answers(200, okBody), 1, call.Unknown, false},
		{"a gateway speaks of the window", answers(502, `{"error":{"code":131047,"message":"Re-engagement message"}}`), answers(200, okBody), 1, call.Unknown, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var m *fakeAPI
			m = newFakeAPI(t, func(w http.ResponseWriter, r *http.Request) {
				if len(m.received()) == 1 {
					tt.first(w, r)
				} else {
					tt.second(w, r)
				}
			})
			o := newSet(t, &credentials{conn: connection(m.URL, token)}, whatsapp.Options{}).Do(context.Background(), send(text(fallback)))
			assert.Equal(t, tt.want, o.Status)
			assert.Equal(t, tt.used, o.Output["fallback_used"])
			assert.Len(t, m.received(), tt.sends)
		})
	}
}

func TestCancelledBeforeAndAfterTheRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	m := newFakeAPI(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Second):
		}
	})
	set := newSet(t, &credentials{conn: connection(m.URL, token)}, whatsapp.Options{})
	o := set.Do(ctx, send(text(nil)))
	assert.Equal(t, call.Unknown, o.Status, "the server had it")
	o = set.Do(ctx, send(text(nil)))
	assert.Equal(t, call.Cancelled, o.Status)
	assert.Equal(t, "failed", o.Output["delivery"])
	assert.Len(t, m.received(), 1)
}

func TestTokenWithLineBreak(t *testing.T) {
	m := newFakeAPI(t, answers(200, okBody))
	o := newSet(t, &credentials{conn: connection(m.URL, token+"\n")}, whatsapp.Options{}).Do(context.Background(), send(text(nil)))
	assert.Equal(t, call.Failed, o.Status)
	assert.False(t, o.Retryable)
	assert.Contains(t, o.Error.Message, "line break")
	assert.NotContains(t, o.Error.Message, token)
	assert.Empty(t, m.received())
}
