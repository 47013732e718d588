package simulator_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sorted(list []string) []string { slices.Sort(list); return list }

func rawTemplates(texts ...string) (out []json.RawMessage) {
	for _, text := range texts {
		out = append(out, json.RawMessage(text))
	}
	return out
}

// try posts a message and says in a word what came of it. It waits long where silence is
// not wanted.
func (s *stage) try(to, key, want string) string {
	patience := time.Minute
	if want == "silence" {
		patience = 100 * time.Millisecond
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	body := strings.Replace(texts(to), `"type"`, `"biz_opaque_callback_data":"`+key+`","type"`, 1)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+messages, strings.NewReader(body))
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer token-1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return "silence"
		}
		return "broken"
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return "cut"
	case strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html"):
		return "html " + resp.Status[:3]
	case resp.StatusCode == http.StatusOK:
		return "ok"
	}
	var v struct {
		Error struct{ Code, Error_subcode int64 }
	}
	require.NoError(s.t, json.Unmarshal(text, &v))
	b, _ := json.Marshal(v.Error.Code)
	return string(b)
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name, faults string
		want         []string // of messages to 1, 2, 1
		accepted     int
	}{
		{"none", `[]`, []string{"ok", "ok", "ok"}, 3},
		{"drop", `[{"do":"drop"}]`, []string{"broken", "broken", "broken"}, 3},
		{"drop to one", `[{"do":"drop","recipient":"+33 6 00 00 00 01"}]`, []string{"broken", "ok", "broken"}, 3},
		{"the second", `[{"do":"drop","nth":2}]`, []string{"ok", "broken", "ok"}, 3},
		{"the second to one", `[{"do":"drop","nth":2,"recipient":"33600000001"}]`, []string{"ok", "ok", "broken"}, 3},
		{"twice", `[{"do":"error","code":130429,"times":2}]`, []string{"130429", "130429", "ok"}, 1},
		{"by key", `[{"do":"error","code":131056,"key":"b"}]`, []string{"ok", "131056", "ok"}, 2},
		{"of another number", `[{"do":"drop","number":"7"}]`, []string{"ok", "ok", "ok"}, 3},
		{"of another endpoint", `[{"do":"drop","endpoint":"media"}]`, []string{"ok", "ok", "ok"}, 3},
		{"reset", `[{"do":"reset"}]`, []string{"broken", "broken", "broken"}, 0},
		{"reset after", `[{"do":"reset","accepted":true}]`, []string{"broken", "broken", "broken"}, 3},
		{"status", `[{"do":"status","status":503}]`, []string{"html 503", "html 503", "html 503"}, 0},
		{"status after", `[{"do":"status","accepted":true}]`, []string{"html 502", "html 502", "html 502"}, 3},
		{"cut", `[{"do":"truncate"}]`, []string{"cut", "cut", "cut"}, 3},
		{"silence", `[{"do":"hang","nth":1}]`, []string{"silence", "ok", "ok"}, 3},
		{"odds of nothing", `[{"do":"drop","odds":0.000001}]`, []string{"ok", "ok", "ok"}, 3},
		{"the first counts", `[{"do":"error","code":4,"nth":1},{"do":"error","code":2}]`, []string{"4", "2", "2"}, 0},
		{"delay", `[{"do":"delay","delay":"20ms"}]`, []string{"ok", "ok", "ok"}, 3},
		{"a long delay", `[{"do":"delay","delay":"1h","nth":1}]`, []string{"silence", "ok", "ok"}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			scene, err := simulator.ReadScene([]byte(tt.faults))
			require.NoError(t, err)
			s := newStage(t, simulator.Options{Scene: scene, Seed: 1})
			got := []string{s.try(person(1), "a", tt.want[0]), s.try(person(2), "b", tt.want[1]), s.try(person(1), "c", tt.want[2])}
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.accepted, s.Counts().Accepted)
			assert.Len(t, s.Keys(""), tt.accepted)
		})
	}
}

func TestOddsAreThoseOfTheSeed(t *testing.T) {
	run := func(seed uint64) (out []string) {
		s := newStage(t, simulator.Options{Seed: seed, Clock: simulator.Frozen(start)})
		require.NoError(t, s.AddFault(simulator.Fault{Do: simulator.Error, Code: 130429, Odds: 0.5}))
		for i := range 40 {
			out = append(out, s.try(person(i), "k", ""))
		}
		return out
	}
	first := run(7)
	assert.Equal(t, first, run(7))
	assert.NotEqual(t, first, run(8))
	assert.Contains(t, first, "ok")
	assert.Contains(t, first, "130429")
}

func TestFaultsThatMakeNoSense(t *testing.T) {
	for text, want := range map[string]string{
		`[{"do":"explode"}]`:                `faults[0]: do: there is no fault "explode"`,
		`[{"do":"error"}]`:                  "code: error needs an error code",
		`[{"do":"delay"}]`:                  "delay: delay needs a delay",
		`[{"do":"drop","odds":2}]`:          "odds: 2 is not between 0 and 1",
		`[{"do":"drop","endpoint":"mail"}]`: `endpoint: there is no endpoint "mail"`,
		`[{"do":"status","status":99}]`:     "status: 99 is not between",
		`[{"do":"drop","recipent":"1"}]`:    `unknown field "recipent"`,
		`[{"do":"delay","delay":"soon"}]`:   "soon",
		`{"accounts":[{"id":"x"}]}`:         `accounts[0]: id: "x" is not an ID`,
		`{"tokens":[{"token":""}]}`:         "tokens[0]: token: it must not be empty",
		`{"people":[{}]}`:                   "people[0]: phone or user_id is required",
		`{"limits":{"window":"shut"}}`:      `limits.window: it cannot be "shut"`,
		`{} {}`:                             "more text after",
		`{"accounts":[{"id":"1","numbers":[{"id":"2","allowed":["1","2","3","4","5","6"]}]}]}`: "at most 5",
	} {
		_, err := simulator.ReadScene([]byte(text))
		assert.ErrorContains(t, err, want, text)
	}
	_, err := simulator.New(simulator.Options{Scene: simulator.Scene{Accounts: []simulator.Account{{ID: "1", Numbers: []simulator.Number{{ID: "2"}, {ID: "2"}}}}}})
	assert.ErrorContains(t, err, "declared twice")
}

// TestAHangEndsWithTheSimulator: nobody waits for what is closed.
func TestAHangEndsWithTheSimulator(t *testing.T) {
	s := newStage(t, simulator.Options{Clock: simulator.Frozen(start)})
	events, stop := s.Watch()
	defer stop()
	ended := make(chan error)
	go func() {
		resp, err := http.DefaultClient.Post(s.url+messages+"?access_token=t", "application/json", strings.NewReader(texts("+33536490021")))
		if err == nil {
			resp.Body.Close()
		}
		ended <- err
	}()
	e := <-events
	assert.Equal(t, "accepted", e.Kind)
	assert.Equal(t, "hang", e.Message.Answer)
	require.NoError(t, s.Close())
	assert.Error(t, <-ended)
}

// TestScenesThatCannotBeRead: who wrote the file is told where, and in no word of Go.
func TestScenesThatCannotBeRead(t *testing.T) {
	for text, want := range map[string]string{
		"[\n  {\"do\": drop}]": "line 2, column 10: invalid character 'd' looking for beginning of value",
		`{"é": 1}`:             `unknown field "é"`,
		"[{\"do\": \"drop\", \"nth\": \"first\"}]": "line 1, column 30: nth: a string is not allowed here",
		`5`:               "line 1, column 1: a number is not allowed here",
		"[{\"nth\": {}}]": "line 1, column 10: nth: an object is not allowed here",
		`[] x`:            "there is more text after the JSON value",
	} {
		_, err := simulator.ReadScene([]byte(text))
		assert.EqualError(t, err, want, text)
	}
}
