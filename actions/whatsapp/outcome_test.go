package whatsapp_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/templates"
	"facteur/flow/call"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func graphError(code int, more string) string {
	return fmt.Sprintf(`{"error":{"message":"(#%d) Title","type":"OAuthException","code":%d,"error_data":{"messaging_product":"whatsapp","details":"Some details."},"fbtrace_id":"Az8"%s}}`, code, code, more)
}

func TestOutcomes(t *testing.T) {
	hangUp := func(w http.ResponseWriter, _ *http.Request) {
		c, _, _ := w.(http.Hijacker).Hijack()
		c.Close()
	}
	cut := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "500")
		w.WriteHeader(200)
		_, _ = io.WriteString(w, `{"messaging_product":"whatsapp","messages":[{"id":"wam`)
	}
	for _, tt := range []struct {
		name      string
		handle    http.HandlerFunc
		status    call.Status
		code      string
		class     string
		http      int64
		retryable bool
		delivery  string
	}{
		{"held for quality", answers(200, `{"messages":[{"id":"wamid.X","message_status":"held_for_quality_assessment"}]}`), call.Succeeded, "", "", 200, false, "held"},
		{"a 200 with HTML", answers(200, "<html><body>Sorry</body></html>"), call.Unknown, "outcome_unknown", "answer", 200, false, "unknown"},
		{"a 200 that is empty", answers(200, ""), call.Unknown, "outcome_unknown", "answer", 200, false, "unknown"},
		{"a 200 without an id", answers(200, `{"messages":[]}`), call.Unknown, "outcome_unknown", "answer", 200, false, "unknown"},
		{"a 200 with odd types", answers(200, `{"messages":{"id":7},"contacts":"none","error":"no"}`), call.Unknown, "outcome_unknown", "answer", 200, false, "unknown"},
		{"a 200 of 5 MB", answers(200, `{"messages":[{"id":"`+strings.Repeat("x", 5<<20)+`"}]}`), call.Unknown, "outcome_unknown", "answer", 200, false, "unknown"},
		{"a 200 that is cut", cut, call.Unknown, "outcome_unknown", "answer", 200, false, "unknown"},
		{"no answer", hangUp, call.Unknown, "outcome_unknown", "network", 0, false, "unknown"},
		{"a 502 with HTML", answers(502, "<html>Bad Gateway</html>"), call.Unknown, "outcome_unknown", "answer", 502, false, "unknown"},
		{"a 503 that is empty", answers(503, ""), call.Unknown, "outcome_unknown", "answer", 503, false, "unknown"},
		{"a 404 with HTML", answers(404, "<html>Not Found</html>"), call.Failed, "http_404", "permanent", 404, false, "failed"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, call.Failed, "http_302", "permanent", 302, false, "failed"},
		{"a 429 that is empty", answers(429, ""), call.Failed, "http_429", "throttle-app", 429, true, "failed"},
		{"a 401 that is empty", answers(401, ""), call.Failed, "http_401", "auth", 401, false, "failed"},
		{"not on WhatsApp", answers(400, graphError(131026, "")), call.Failed, "131026", "recipient", 400, false, "failed"},
		{"a rate limit", answers(400, graphError(130429, "")), call.Failed, "130429", "throttle-number", 400, true, "failed"},
		{"a pair limit", answers(400, graphError(131056, "")), call.Failed, "131056", "throttle-pair", 400, true, "failed"},
		{"a fault of Meta's", answers(500, graphError(131000, "")), call.Failed, "131000", "transient", 500, true, "failed"},
		{"a permission, with a 500", answers(500, graphError(3, "")), call.Failed, "3", "auth", 500, false, "failed"},
		{"outside the window", answers(400, graphError(131047, "")), call.Failed, "131047", "needs-template", 400, false, "failed"},
		{"no such object", answers(400, graphError(100, `,"error_subcode":33`)), call.Failed, "100", "account", 400, false, "failed"},
		{"an expired token", answers(401, graphError(190, `,"error_subcode":463`)), call.Failed, "190", "auth", 401, false, "failed"},
		{"an unknown code, transient", answers(400, graphError(999999, `,"is_transient":true`)), call.Failed, "999999", "transient", 400, true, "failed"},
		{"an unknown code", answers(400, graphError(999999, "")), call.Failed, "999999", "permanent", 400, false, "failed"},
		{"an error in a 200", answers(200, graphError(131026, "")), call.Failed, "131026", "recipient", 200, false, "failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newFakeAPI(t, tt.handle)
			set := newSet(t, &credentials{conn: connection(m.URL, token)}, whatsapp.Options{})
			o := set.Do(context.Background(), send(text(nil)))
			assert.Equal(t, tt.status, o.Status)
			assert.Equal(t, tt.http, o.Output["status_code"])
			assert.Equal(t, tt.status == call.Succeeded, o.Output["success"])
			assert.Equal(t, tt.delivery, o.Output["delivery"])
			assert.Equal(t, tt.retryable, o.Retryable)
			assert.Len(t, m.received(), 1, "sent once")
			if tt.status == call.Succeeded {
				assert.Nil(t, o.Error)
				return
			}
			require.NotNil(t, o.Error)
			assert.Equal(t, tt.code, o.Error.Code)
			assert.Equal(t, tt.class, o.Error.Class)
			assert.Equal(t, tt.http, o.Error.StatusCode)
			assert.NotEmpty(t, o.Error.Message)
		})
	}
}

func TestUnsentRequestIsRetried(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l.Close()
	for name, client := range map[string]*http.Client{
		"refused": {Transport: &http.Transport{}},
		"no such host": {Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}
		}}},
	} {
		set := newSet(t, &credentials{conn: connection("http://"+l.Addr().String(), token)}, whatsapp.Options{Client: client})
		o := set.Do(context.Background(), send(text(nil)))
		assert.Equal(t, call.Failed, o.Status, name)
		assert.True(t, o.Retryable, name)
		assert.Equal(t, "network", o.Error.Class, name)
		assert.Equal(t, "failed", o.Output["delivery"], name)
	}
}

func TestTimeoutAfterWritingIsUnknown(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	m := newFakeAPI(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-done:
		}
	})
	set := newSet(t, &credentials{conn: connection(m.URL, token)}, whatsapp.Options{})
	c := send(text(nil))
	c.Timeout = 50 * time.Millisecond
	o := set.Do(context.Background(), c)
	assert.Equal(t, call.Unknown, o.Status)
	assert.Equal(t, "timeout", o.Error.Class)
	assert.Equal(t, "unknown", o.Output["delivery"])
}

func TestRetryAfterAndThrottling(t *testing.T) {
	for _, tt := range []struct {
		name, header, value string
		code                int
		after               time.Duration
		backoff, throttled  string
	}{
		{"seconds", "Retry-After", "30", 130429, 30 * time.Second, "", "whatsapp:number:" + sender},
		{"minutes of an account", "X-Business-Use-Case-Usage", `{"1":[{"type":"whatsapp","call_count":100,"estimated_time_to_regain_access":15}]}`, 80007, 15 * time.Minute, "", "whatsapp:number:" + sender},
		{"a usage that makes no sense", "X-Business-Use-Case-Usage", `[[[`, 4, 0, "", "whatsapp:number:" + sender},
		{"a pair", "", "", 131056, 0, "pair", "whatsapp:pair:" + sender + ":33612345678"},
		{"maintenance", "", "", 131057, time.Minute, "", ""},
		{"still syncing", "", "", 134101, 10 * time.Minute, "", ""},
		{"a flow", "", "", 132069, time.Hour, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newFakeAPI(t, func(w http.ResponseWriter, r *http.Request) {
				if tt.header != "" {
					w.Header().Set(tt.header, tt.value)
				}
				answers(400, graphError(tt.code, ""))(w, r)
			})
			o := newSet(t, &credentials{conn: connection(m.URL, token)}, whatsapp.Options{}).Do(context.Background(), send(text(nil)))
			assert.Equal(t, call.Failed, o.Status)
			assert.True(t, o.Retryable)
			assert.Equal(t, tt.after, o.After)
			assert.Equal(t, tt.backoff, o.Backoff)
			assert.Equal(t, tt.throttled, o.Throttled)
		})
	}
}

func TestLimitedRetries(t *testing.T) {
	image := map[string]any{"message_type": "image", "message": map[string]any{"link": "https://cdn.test/a.png"}}
	upload := map[string]any{"message_type": "image", "message": map[string]any{"id": "123"}}
	for _, tt := range []struct {
		name    string
		code    int
		in      map[string]any
		attempt int
		want    bool
	}{
		{"api unknown", 1, nil, 1, true},
		{"api unknown", 1, nil, 2, true},
		{"api unknown", 1, nil, 3, false},
		{"a file by link", 131053, image, 1, true},
		{"a file by link", 131053, image, 2, false},
		{"a file by id", 131053, upload, 1, false},
	} {
		m := newFakeAPI(t, answers(400, graphError(tt.code, "")))
		c := send(text(tt.in))
		c.Attempt = tt.attempt
		o := newSet(t, &credentials{conn: connection(m.URL, token)}, whatsapp.Options{}).Do(context.Background(), c)
		assert.Equal(t, tt.want, o.Retryable, "%s, attempt %d", tt.name, tt.attempt)
	}
}

func TestRotatedToken(t *testing.T) {
	m := newFakeAPI(t, nil)
	m.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		m.tokens = append(m.tokens, r.Header.Get("Authorization"))
		m.mu.Unlock()
		if strings.HasSuffix(r.Header.Get("Authorization"), "old-token") {
			answers(401, graphError(190, ""))(w, r)
			return
		}
		answers(200, okBody)(w, r)
	})
	fresh := connection(m.URL, "new-token")
	keys := &credentials{conn: connection(m.URL, "old-token"), after: &fresh}
	set := newSet(t, keys, whatsapp.Options{})
	assert.Equal(t, call.Succeeded, set.Do(context.Background(), send(text(nil))).Status)
	assert.Equal(t, call.Succeeded, set.Do(context.Background(), send(text(nil))).Status)
	assert.Equal(t, []string{"Bearer old-token", "Bearer new-token", "Bearer new-token"}, m.tokens)
	assert.Equal(t, 1, keys.refresh)
}

func TestNoTokenIsInAnyOutcome(t *testing.T) {
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			body, _ := json.Marshal(map[string]any{"token": bearer, "url": url.QueryEscape(bearer), "error": map[string]any{"code": 190, "message": "bad " + bearer, "error_data": "see " + bearer}})
			_, _ = w.Write(body)
		}
	}
	for _, status := range []int{200, 400, 401, 500} {
		m := newFakeAPI(t, echo(status))
		o := newSet(t, &credentials{conn: connection(m.URL, token)}, whatsapp.Options{}).Do(context.Background(), send(text(nil)))
		text, err := json.Marshal(o)
		require.NoError(t, err)
		for _, form := range []string{token, url.QueryEscape(token), base64.StdEncoding.EncodeToString([]byte(token)), "EAAGm0PX4ZCps"} {
			assert.NotContains(t, string(text), form)
			assert.NotContains(t, fmt.Sprintf("%+v", o), form)
		}
	}
}

func TestFallback(t *testing.T) {
	fallback := map[string]any{"fallback": map[string]any{"message_type": "template", "message": map[string]any{"name": "hello", "language": map[string]any{"code": "fr"}}}}
	shut := func(context.Context, string, string) whatsapp.Window { return whatsapp.WindowShut }
	m := newFakeAPI(t, nil)
	m.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		m.mu.Lock()
		m.bodies = append(m.bodies, body)
		m.mu.Unlock()
		if body["type"] == "text" {
			answers(400, graphError(131047, ""))(w, r)
			return
		}
		answers(200, okBody)(w, r)
	})
	do := func(o whatsapp.Options, in map[string]any) (call.Outcome, []any) {
		m.bodies = nil
		out := newSet(t, &credentials{conn: connection(m.URL, token)}, o).Do(context.Background(), send(in))
		var kinds []any
		for _, b := range m.received() {
			kinds = append(kinds, b["type"])
			assert.Equal(t, "f1.run.1", b["biz_opaque_callback_data"])
		}
		return out, kinds
	}

	o, kinds := do(whatsapp.Options{}, text(fallback))
	assert.Equal(t, call.Succeeded, o.Status)
	assert.Equal(t, true, o.Output["fallback_used"])
	assert.Equal(t, []any{"text", "template"}, kinds)

	o, kinds = do(whatsapp.Options{Window: shut}, text(fallback))
	assert.Equal(t, call.Succeeded, o.Status)
	assert.Equal(t, true, o.Output["fallback_used"])
	assert.Equal(t, []any{"template"}, kinds)

	o, kinds = do(whatsapp.Options{Window: shut}, text(nil))
	assert.Equal(t, call.Failed, o.Status)
	assert.Equal(t, "window_closed", o.Error.Code)
	assert.Equal(t, false, o.Output["fallback_used"])
	assert.Empty(t, kinds)

	o, _ = do(whatsapp.Options{}, text(nil))
	assert.Equal(t, "131047", o.Error.Code)
	assert.Equal(t, int64(131047), o.Error.MetaCode)
	assert.Equal(t, int64(400), o.Output["status_code"])
	assert.Equal(t, false, o.Output["fallback_used"])
}

func TestOnce(t *testing.T) {
	m := newFakeAPI(t, answers(200, okBody))
	in := text(map[string]any{"once": map[string]any{"key": "order-7", "within": time.Hour}})
	o := newSet(t, &credentials{conn: connection(m.URL, token)}, whatsapp.Options{}).Do(context.Background(), send(in))
	assert.Equal(t, call.Failed, o.Status)
	assert.Contains(t, o.Error.Message, "`once` needs a ledger")
	assert.Empty(t, m.received())

	var claims []whatsapp.Claim
	once := func(_ context.Context, c whatsapp.Claim) (string, error) {
		claims = append(claims, c)
		return "wamid.EARLIER", nil
	}
	o = newSet(t, &credentials{conn: connection(m.URL, token)}, whatsapp.Options{Once: once}).Do(context.Background(), send(in))
	assert.Equal(t, call.Succeeded, o.Status)
	assert.Equal(t, "wamid.EARLIER", o.Output["repeats"])
	assert.Equal(t, int64(0), o.Output["status_code"])
	assert.Equal(t, []whatsapp.Claim{{Call: "f1.run.1", Step: "f1.run.1", Sender: sender, Recipient: "33612345678", Key: "order-7", Within: time.Hour}}, claims)
	assert.Empty(t, m.received())
}

// A send with `once` claims its key, then records its beginning, then makes the request. If
// the beginning cannot be recorded, it releases the claim.
func TestOnceBegins(t *testing.T) {
	var happened []string
	m := newFakeAPI(t, func(w http.ResponseWriter, r *http.Request) {
		happened = append(happened, "sent")
		answers(200, okBody)(w, r)
	})
	o := whatsapp.Options{
		Once: func(context.Context, whatsapp.Claim) (string, error) {
			happened = append(happened, "claimed")
			return "", nil
		},
		OnAnswer: func(_ context.Context, a whatsapp.Answer) { happened = append(happened, "told "+string(a.State)) },
	}
	set := newSet(t, &credentials{conn: connection(m.URL, token)}, o)
	var stopped error
	do := func(in map[string]any) call.Outcome {
		happened = nil
		c := send(in)
		require.Equal(t, in["once"] != nil, set.Action(c.Action).Prepares(c.Input))
		c.Begin = func(context.Context) error {
			happened = append(happened, "began")
			return stopped
		}
		return set.Do(context.Background(), c)
	}
	in := text(map[string]any{"once": map[string]any{"key": "order-7"}})
	assert.Equal(t, call.Succeeded, do(in).Status)
	assert.Equal(t, []string{"claimed", "began", "sent", "told accepted"}, happened)
	stopped = errors.New("the host stops")
	result := do(in)
	assert.Equal(t, call.Failed, result.Status)
	assert.Equal(t, "not_begun", result.Error.Code)
	assert.Equal(t, []string{"claimed", "began", "told failed"}, happened)
	do(text(nil))
	assert.Equal(t, []string{"sent", "told accepted"}, happened)
}

func TestOnceUnsettled(t *testing.T) {
	m := newFakeAPI(t, answers(200, okBody))
	in := text(map[string]any{"once": map[string]any{"key": "order-7"}})
	once := func(context.Context, whatsapp.Claim) (string, error) {
		return "", &whatsapp.UnsettledError{Call: "f1.other.1"}
	}
	o := newSet(t, &credentials{conn: connection(m.URL, token)}, whatsapp.Options{Once: once}).Do(context.Background(), send(in))
	assert.Equal(t, call.Failed, o.Status)
	assert.True(t, o.Retryable, "later it is known")
	assert.Equal(t, "once_unsettled", o.Error.Code)
	assert.Contains(t, o.Error.Message, "nothing was sent: the outcome of an earlier send with the same key is not known yet (call f1.other.1)")
	assert.Empty(t, m.received())
}

// OnAnswer is called once for each send whose outcome is known.
func TestOnAnswer(t *testing.T) {
	accepted := whatsapp.Answer{Call: "f1.run.1", Sender: sender, Recipient: "33612345678", MessageID: "wamid.X", State: "accepted"}
	refused := whatsapp.Answer{Call: "f1.run.1", Sender: sender, Recipient: "33612345678", State: "failed"}
	with := func(a whatsapp.Answer, change func(*whatsapp.Answer)) *whatsapp.Answer { change(&a); return &a }
	template := map[string]any{"fallback": map[string]any{"message": map[string]any{"name": "hello", "language": map[string]any{"code": "fr"}}}}
	ok := `{"contacts":[{"input":"+33612345678","wa_id":"33612345679"}],"messages":[{"id":"wamid.X"}]}`
	for _, tt := range []struct {
		name    string
		input   map[string]any
		answers []string // of requests, one after another
		status  []int
		want    *whatsapp.Answer
	}{
		{"accepted", nil, []string{ok}, []int{200}, with(accepted, func(a *whatsapp.Answer) { a.WaID = "33612345679" })},
		{"accepted, for somebody with a user ID", nil, []string{`{"contacts":[{"input":"+33612345678","user_id":"FR.1"}],"messages":[{"id":"wamid.X"}]}`}, []int{200},
			with(accepted, func(a *whatsapp.Answer) { a.UserID = "FR.1" })},
		{"held", nil, []string{`{"messages":[{"id":"wamid.X","message_status":"held_for_quality_assessment"}]}`}, []int{200},
			with(accepted, func(a *whatsapp.Answer) { a.State = "held" })},
		{"refused", nil, []string{graphError(131026, "")}, []int{400}, &refused},
		{"opted out", nil, []string{graphError(131050, "")}, []int{400}, with(refused, func(a *whatsapp.Answer) { a.OptedOut = true })},
		{"the window is shut", nil, []string{graphError(131047, "")}, []int{400}, with(refused, func(a *whatsapp.Answer) { a.Shut = true })},
		{"the window is shut, and the fallback sent", template, []string{graphError(131047, ""), ok}, []int{400, 200},
			with(accepted, func(a *whatsapp.Answer) { a.WaID, a.Shut = "33612345679", true })},
		{"nobody knows", nil, []string{"<html>"}, []int{502}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := 0
			m := newFakeAPI(t, func(w http.ResponseWriter, r *http.Request) {
				answers(tt.status[n], tt.answers[n])(w, r)
				n++
			})
			var got []whatsapp.Answer
			o := whatsapp.Options{OnAnswer: func(ctx context.Context, a whatsapp.Answer) {
				assert.NoError(t, ctx.Err())
				got = append(got, a)
			}}
			newSet(t, &credentials{conn: connection(m.URL, token)}, o).Do(context.Background(), send(text(tt.input)))
			if tt.want == nil {
				assert.Empty(t, got)
			} else {
				assert.Equal(t, []whatsapp.Answer{*tt.want}, got)
			}
		})
	}
}

func TestOptedOut(t *testing.T) {
	m := newFakeAPI(t, answers(200, okBody))
	definitions := func(category string) func() (*templates.Set, error) {
		return func() (*templates.Set, error) {
			d, err := templates.Read([]byte(`{"name":"offer","language":"fr","status":"APPROVED","category":"` + category + `","components":[{"type":"BODY","text":"Bonjour"}]}`))
			require.NoError(t, err)
			return templates.NewSet([]*templates.Definition{d})
		}
	}
	out := func(_ context.Context, from, to string) bool { return from == sender && to == "33612345678" }
	offer := map[string]any{"message_type": "template", "message": map[string]any{"name": "offer", "language": map[string]any{"code": "fr"}}}
	do := func(o whatsapp.Options, in map[string]any) call.Outcome {
		return newSet(t, &credentials{conn: connection(m.URL, token)}, o).Do(context.Background(), send(text(in)))
	}

	o := do(whatsapp.Options{OptedOut: out, Templates: definitions("MARKETING")}, offer)
	assert.Equal(t, call.Failed, o.Status)
	assert.False(t, o.Retryable)
	assert.Equal(t, "opted_out", o.Error.Code)
	assert.Equal(t, "recipient-optout", o.Error.Class)
	assert.Empty(t, m.received())

	for _, o := range []call.Outcome{
		do(whatsapp.Options{OptedOut: out, Templates: definitions("UTILITY")}, offer),
		do(whatsapp.Options{OptedOut: out}, offer),
		do(whatsapp.Options{OptedOut: out, Templates: definitions("MARKETING")}, nil),
		do(whatsapp.Options{OptedOut: func(context.Context, string, string) bool { return false }, Templates: definitions("MARKETING")}, offer),
	} {
		assert.Equal(t, call.Succeeded, o.Status)
	}
}

func TestSenderAndRecipient(t *testing.T) {
	m := newFakeAPI(t, answers(200, okBody))
	conn := connection(m.URL, token)
	conn.Setup["sender_phone_id"], conn.Setup["api_version"] = "777", "v25.0"
	set := newSet(t, &credentials{conn: conn}, whatsapp.Options{})

	o := set.Do(context.Background(), send(text(map[string]any{"sender_phone_id": "", "recipient": "US.13491208655302741918"})))
	require.Equal(t, call.Succeeded, o.Status)
	assert.Equal(t, "/v25.0/777/messages", m.paths[0])
	assert.Equal(t, "US.13491208655302741918", m.received()[0]["recipient"])
	assert.NotContains(t, m.received()[0], "to")

	conn = connection(m.URL, token)
	conn.Secrets = map[string]vault.Secret{"token": vault.NewSecret(token)}
	o = newSet(t, &credentials{conn: conn}, whatsapp.Options{}).Do(context.Background(), send(text(map[string]any{"sender_phone_id": ""})))
	assert.Equal(t, "invalid_input", o.Error.Code)
	assert.Contains(t, o.Error.Message, "sender_phone_id")

	for _, tt := range []struct{ recipient, want string }{
		{"33612345678", `write "+33612345678"`},
		{"0612345678", "has no +"},
		{"+331", "too short"},
		{"+3361234567890123", "too long"},
		{"+999123456789", "does not start with a country code"},
		{"+033612345678", "does not start with a country code"},
		{"+0012025550123", "does not start with a country code"},
		{"0033612345678", "write + instead: +33612345678"},
		{"us.1349", "not a phone number"},
		{"\u202a+33612345678\u202c", "remove the invisible characters"},
		{"+", "not a phone number"},
	} {
		o := set.Do(context.Background(), send(text(map[string]any{"recipient": tt.recipient})))
		assert.Equal(t, call.Failed, o.Status, tt.recipient)
		assert.Equal(t, "invalid_input", o.Error.Code)
		assert.Contains(t, o.Error.Message, tt.want)
		assert.Equal(t, int64(0), o.Output["status_code"])
		assert.False(t, o.Retryable)
	}
	o = set.Do(context.Background(), send(text(map[string]any{"recipient": "+33 6 12-34 (56) 78"})))
	require.Equal(t, call.Succeeded, o.Status)
	assert.Equal(t, "+33612345678", m.received()[len(m.received())-1]["to"])
}

func TestMarkRead(t *testing.T) {
	m := newFakeAPI(t, answers(200, `{"success":true}`))
	set := newSet(t, &credentials{conn: connection(m.URL, token)}, whatsapp.Options{})
	c := send(map[string]any{"sender_phone_id": sender, "message_id": "wamid.X", "typing": true})
	c.Action = "whatsapp.mark_read"
	o := set.Do(context.Background(), c)
	assert.Equal(t, call.Succeeded, o.Status)
	assert.Equal(t, map[string]any{"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.X", "typing_indicator": map[string]any{"type": "text"}}, m.received()[0])

	m = newFakeAPI(t, answers(502, "<html>"))
	set = newSet(t, &credentials{conn: connection(m.URL, token)}, whatsapp.Options{})
	o = set.Do(context.Background(), c)
	assert.Equal(t, call.Failed, o.Status, "it may be repeated")
	assert.True(t, o.Retryable)
}
