package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestControl drives a conversation over HTTP alone.
func TestControl(t *testing.T) {
	hook := newReceiver(t)
	s := newStage(t, simulator.Options{Clock: simulator.Frozen(start), Templates: approved(t)})
	control := func(method, path, body string) map[string]any {
		status, answer := s.do(method, simulator.ControlPath+path, "application/json", body)
		require.Equal(t, 200, status, "%s: %s", path, answer)
		var v any
		require.NoError(t, json.Unmarshal([]byte(answer), &v))
		object, _ := v.(map[string]any)
		if object == nil {
			object = map[string]any{"list": v}
		}
		return object
	}
	control("POST", "webhook", `{"url":"`+hook.URL+`","verify_token":"verify-1"}`)
	control("POST", "people", `{"phone":"+33612345678","name":"Ada","reads":true}`)
	control("POST", "faults", `[{"do":"drop","nth":1},{"do":"error","code":130429,"nth":2}]`)
	control("POST", "faults", `{"do":"silent","nth":99}`)
	assert.Len(t, control("GET", "faults", "")["list"], 3)
	assert.Equal(t, "broken", s.try("+33612345678", "f1.a.1", ""))
	assert.Equal(t, "130429", s.try("+33612345678", "f1.a.2", ""))
	assert.Equal(t, "ok", s.try("+33612345678", "f1.a.2|tracking", ""))
	control("DELETE", "faults", "")
	assert.Equal(t, map[string]any{"f1.a.1": 1.0, "f1.a.2": 1.0}, control("GET", "keys?prefix=f1.", "")["keys"])
	control("POST", "clock", `{"advance":"1m"}`)
	control("POST", "idle", ``)
	assert.Len(t, statuses(hook.told(t)), 6)
	state := control("GET", "state", "")
	assert.Equal(t, "2026-03-01T12:01:00Z", state["now"])
	assert.Equal(t, 2.0, state["accepted"])
	assert.Equal(t, 1.0, state["refused"])
	assert.Equal(t, 1.0, state["lost"])
	assert.Equal(t, 6.0, state["webhooks_delivered"])

	list := control("GET", "messages?person=%2B33612345678&inbound=false&limit=1", "")["list"].([]any)
	require.Len(t, list, 1)
	id := list[0].(map[string]any)["id"].(string)
	assert.NotEmpty(t, control("POST", "messages", `{"from":"+33612345678","type":"image","text":"voilà"}`)["message_id"])
	assert.NotEmpty(t, control("POST", "react", `{"message_id":"`+id+`","emoji":"👍"}`)["message_id"])
	control("POST", "read", `{"phone_number_id":"`+phoneID+`","person":"33612345678"}`)
	control("POST", "numbers", `{"id":"`+phoneID+`","quality":"yellow"}`)
	control("POST", "templates", `{"name":"order_shipped","status":"PAUSED"}`)
	control("POST", "tokens", `{"token":"only-this"}`)
	_, answer := s.post(messages, texts("+33612345678"))
	assert.EqualValues(t, 190, apiError(t, answer).Code)
	assert.NotEmpty(t, control("GET", "magic", "")["list"])
	control("POST", "reset", "")
	assert.Equal(t, 0.0, control("GET", "state", "")["accepted"])
	assert.Zero(t, s.code(texts("+33612345678")), "the token is forgotten, too")

	for _, tt := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "clock", `{"advance":"-1"}`, 422, "only move forward"},
		{"POST", "clock", `{"advance":"soon"}`, 400, "soon"},
		{"POST", "messages", `{"from":"+33612345678","txt":"a"}`, 400, "unknown field"},
		{"POST", "messages", ``, 400, "a JSON value is required"},
		{"POST", "messages", `{"from":""}`, 422, "not a phone number"},
		{"POST", "faults", ` `, 400, "a JSON value is required"},
		{"POST", "faults", `{"do":"x"}`, 422, "do:"},
		{"POST", "tap", `{"message_id":"x"}`, 422, "no message"},
		{"POST", "people", `{}`, 422, "is required"},
		{"POST", "webhook", `{"url":"x"}`, 422, "not a webhook URL"},
		{"GET", "messages?limit=x", ``, 400, "limit"},
		{"GET", "nothing", ``, 404, "nothing at this path"},
		{"POST", "messages", strings.Repeat(" ", 2<<20), 413, ""},
	} {
		status, answer := s.do(tt.method, simulator.ControlPath+tt.path, "application/json", tt.body)
		assert.Equal(t, tt.status, status, tt.path)
		assert.Contains(t, answer, tt.want)
	}
}

// TestControlText: what the control API says of itself is so: each operation is there, and takes
// the body of its example.
func TestControlText(t *testing.T) {
	s := newStage(t, simulator.Options{})
	status, text := s.do("GET", simulator.ControlPath, "", "")
	require.Equal(t, 200, status)
	lines := strings.Split(text, "\n")
	seen := 0
	for i, line := range lines {
		method, rest, _ := strings.Cut(line, " ")
		if method != "GET" && method != "POST" && method != "DELETE" {
			continue
		}
		path, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		body := ""
		if example := strings.TrimSpace(lines[i+1]); strings.HasPrefix(example, "{") {
			body = example
		}
		status, answer := s.do(method, simulator.ControlPath+path, "application/json", body)
		assert.Contains(t, []int{200, 422}, status, "%s: %s", line, answer) // 422: there is no such message
		seen++
	}
	assert.Equal(t, 19, seen)
	for _, shape := range []any{simulator.Fault{}, simulator.Scene{}, simulator.Person{}, simulator.Token{}, simulator.TemplateChange{}, simulator.NumberChange{}, simulator.Inbound{}, simulator.Tap{}} {
		for field := range reflect.TypeOf(shape).Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name != "" {
				assert.Contains(t, text, name)
			}
		}
	}
}

// TestKnownNumbers: people can write first to a number that is known.
func TestKnownNumbers(t *testing.T) {
	s := newStage(t, simulator.Options{})
	write := `{"from": "+33612345678", "text": "bonjour"}`
	status, answer := s.do("POST", simulator.ControlPath+"messages", "application/json", write)
	assert.Equal(t, 422, status)
	assert.Contains(t, answer, "no number is known yet")

	s = newStage(t, simulator.Options{Numbers: []string{"106540352242922", "106540352242922"}})
	status, page := s.do("GET", "/", "", "")
	assert.Equal(t, 200, status)
	assert.Contains(t, page, `value="106540352242922"`)
	for range 2 {
		status, answer = s.do("POST", simulator.ControlPath+"messages", "application/json", write)
		assert.Equal(t, 200, status, answer)
		require.NoError(t, s.Reset())
	}
}

// TestOtherSitesControlNothing: a page that the author visits may not drive the simulator.
func TestOtherSitesControlNothing(t *testing.T) {
	s := newStage(t, simulator.Options{})
	for header, value := range map[string]string{"Origin": "https://elsewhere.test", "Sec-Fetch-Site": "cross-site"} {
		req, _ := http.NewRequest("POST", s.url+simulator.ControlPath+"reset", nil)
		req.Header.Set(header, value)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, 403, resp.StatusCode, header)
	}
}

// TestManyAtOnce is for the race detector, and for the counts.
func TestManyAtOnce(t *testing.T) {
	hook := newReceiver(t)
	s := newStage(t, simulator.Options{Templates: approved(t), Keep: 100, Scene: simulator.Scene{Webhook: simulator.Webhook{URL: hook.URL},
		Statuses: simulator.Statuses{Sent: simulator.Duration(time.Millisecond), Delivered: simulator.Duration(2 * time.Millisecond)}}})
	const each, by = 50, 8
	var wg sync.WaitGroup
	for n := range by {
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprintf("f1.%d.%d", n, i)
				assert.Equal(t, "ok", s.try(person(n*each+i), key, ""))
				switch i % 5 {
				case 0:
					_, _ = s.Send(simulator.Inbound{From: person(n*each + i), Text: "oui"})
				case 1:
					s.Advance(time.Millisecond)
				case 2:
					s.Messages(simulator.Filter{Key: "f1."})
				case 3:
					s.Counts()
				}
			}
		})
	}
	wg.Wait()
	s.Advance(time.Second)
	s.idle()
	keys := s.Keys("f1.")
	assert.Len(t, keys, each*by)
	c := s.Counts()
	assert.Equal(t, each*by, c.Accepted)
	assert.Zero(t, c.Repeated)
	assert.Len(t, s.Messages(simulator.Filter{}), 100)
	assert.Equal(t, 2*each*by+each*by/5, len(hook.told(t)))
	require.NoError(t, s.Reset())
}

// TestMemoryStaysFlat sends more than is kept, to ever other people with ever other keys.
func TestMemoryStaysFlat(t *testing.T) {
	total, mark := 1_000_000, 250_000
	if testing.Short() || race {
		total, mark = 60_000, 30_000
	}
	o := oneAccount(func(scene *simulator.Scene) { // all that is counted by person is counted
		scene.Limits = simulator.Limits{Throughput: -1, People: -1, Window: simulator.WindowOpen}
		scene.Statuses = simulator.Statuses{Sent: simulator.Duration(time.Millisecond), Delivered: simulator.Duration(time.Millisecond)}
	})
	o.Keep, o.Keys = 1000, 1000
	s, err := simulator.New(o)
	require.NoError(t, err)
	defer s.Close()
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var before uint64
	for i := range total {
		r, _ := http.NewRequest(http.MethodPost, "http://graph"+messages, strings.NewReader(fmt.Sprintf(bodies[0].text, i)))
		r.Header.Set("Authorization", "Bearer t")
		w := &discard{header: http.Header{}}
		s.ServeHTTP(w, r)
		require.Zero(t, w.status)
		if i%100 == 0 { // people are counted for a while
			s.Advance(10 * time.Second)
		}
		if i == mark {
			before = used()
		}
	}
	after := used()
	t.Logf("%d kB after %d messages, %d kB after %d", before/1024, mark, after/1024, total)
	assert.Less(t, after, before+before/4+1<<20)
	assert.Equal(t, total, s.Counts().Accepted)
}
