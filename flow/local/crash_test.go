package local_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// childFile and childServer are set for a process that TestSenderProcess runs in: it
	// keeps its journal in that file and sends to that server.
	childFile   = "FACTEUR_TEST_JOURNAL"
	childServer = "FACTEUR_TEST_SERVER"
	// crashesWanted sets how many processes TestCrashes kills.
	crashesWanted = "FACTEUR_TEST_CRASHES"
)

const bulk = `
flow: f
inputs: {run: {type: string}}
steps:
  - id: each
    foreach: "${['a', 'b', 'c', 'd']}"
    as: to
    concurrency: 2
    allow_failure: true
    steps:
      - {id: send, action: test.send, with: {to: "${inputs.run + to}"}, retry: {attempts: 5, delay: 1ms, max_delay: 2ms}}
`

// TestSenderProcess is not a test but the process that TestCrashes starts, and kills: it
// finishes the runs that it finds, then starts new ones until its input is closed.
func TestSenderProcess(t *testing.T) {
	file := os.Getenv(childFile)
	if file == "" {
		t.Skip("this is the process that another test starts")
	}
	j, err := journal.OpenSQLite(file)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	h := local.New(local.Options{Journal: j, Do: func(ctx context.Context, c call.Call) call.Outcome {
		return post(ctx, client, os.Getenv(childServer), c)
	}})
	var out sync.Mutex
	say := func(what, id string) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(what, id)
	}
	p := kit{}.compile(t, bulk)
	unfinished, err := j.List(t.Context(), journal.Filter{Status: string(machine.Running), Limit: -1})
	require.NoError(t, err)
	say("open", "")
	var runs sync.WaitGroup
	for _, r := range unfinished {
		runs.Go(func() {
			if _, err := h.Resume(t.Context(), p, r.ID); assert.NoError(t, err) {
				say("told", r.ID)
			}
		})
	}
	runs.Wait()
	say("resumed", "")
	closed := make(chan bool)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(closed)
	}()
	for range 8 {
		runs.Go(func() {
			for {
				select {
				case <-closed:
					return
				default:
				}
				id := strings.ToLower(rand.Text())
				if _, err := h.Run(t.Context(), p, local.Start{ID: id, Inputs: map[string]any{"run": id}}); assert.NoError(t, err) {
					say("told", id)
				}
			}
		})
	}
	runs.Wait()
	require.NoError(t, j.Close())
	say("closed", "")
}

// post sends as an action does: what has no answer may have happened.
func post(ctx context.Context, client *http.Client, url string, c call.Call) call.Outcome {
	body, _ := json.Marshal(map[string]any{"key": c.Key, "to": c.Input["to"]})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(string(body)))
	if err != nil {
		return refused(false)
	}
	resp, err := client.Do(req)
	if err != nil {
		return lost()
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	switch resp.StatusCode {
	case http.StatusOK:
		return accepted(c)
	case http.StatusTooManyRequests:
		return refused(true)
	case http.StatusBadRequest:
		return refused(false)
	}
	return lost()
}

// A post office accepts messages and counts them.
type postOffice struct {
	*httptest.Server
	mu       sync.Mutex
	requests map[string]int  // by call key
	accepted map[string]bool // by call key
	got      map[string]int  // messages, by recipient
}

func newPostOffice(t *testing.T) *postOffice {
	o := &postOffice{requests: map[string]int{}, accepted: map[string]bool{}, got: map[string]int{}}
	o.Server = httptest.NewServer(http.HandlerFunc(o.serve))
	t.Cleanup(o.Close)
	return o
}

func (o *postOffice) serve(w http.ResponseWriter, r *http.Request) {
	var message struct{ Key, To string }
	if json.NewDecoder(r.Body).Decode(&message) != nil {
		return // its sender was killed
	}
	chance := mathrand.IntN(100)
	o.mu.Lock()
	o.requests[message.Key]++
	if chance >= 20 {
		o.accepted[message.Key] = true
		o.got[message.To]++
	}
	o.mu.Unlock()
	time.Sleep(time.Duration(mathrand.IntN(4)) * time.Millisecond) // a server takes its time
	switch {
	case chance < 15:
		w.WriteHeader(http.StatusTooManyRequests)
	case chance < 20:
		w.WriteHeader(http.StatusBadRequest)
	case chance < 25: // accepted, and nobody hears of it
		w.WriteHeader(http.StatusBadGateway)
	}
}

// A sender that is killed again and again, at any moment, sends nothing twice and loses
// nothing: what it cannot know is listed as unknown.
func TestCrashes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	crashes := 50
	if n, err := strconv.Atoi(os.Getenv(crashesWanted)); err == nil {
		crashes = n
	}
	office := newPostOffice(t)
	file := filepath.Join(t.TempDir(), "journal.db")
	told := map[string]bool{}
	for range crashes {
		sender(t, file, office.URL, told, true)
	}
	sender(t, file, office.URL, told, false)
	office.Close() // what is on its way arrives

	j, err := journal.OpenReadOnly(file)
	require.NoError(t, err)
	defer j.Close()
	runs, err := j.List(t.Context(), journal.Filter{Limit: -1})
	require.NoError(t, err)
	known := map[string]bool{}
	var succeeded, refusals, unknown, vanished, duplicated int
	for _, run := range runs {
		known[run.ID] = true
		assert.NotEqual(t, string(machine.Running), run.Status, "every run ends")
		_, records, err := j.Load(t.Context(), run.ID)
		require.NoError(t, err)
		taken, answered := calls(t, records)
		for k := range taken {
			assert.LessOrEqual(t, office.requests[k], 1, "%s was made more than once", k)
			switch answered[k] {
			case call.Succeeded:
				succeeded++
				if !office.accepted[k] {
					vanished++
				}
			case call.Failed:
				refusals++
				if office.accepted[k] {
					vanished++
				}
			case call.Unknown:
				unknown++
			default:
				assert.Fail(t, "nothing became of a call", k)
			}
			delete(office.accepted, k)
		}
	}
	vanished += len(office.accepted) // no journal knows of them
	messages := 0
	for _, n := range office.got {
		messages += n
		duplicated += n - 1
	}
	for run := range told {
		assert.True(t, known[run], "the run %s was told to have ended, and is gone", run)
	}
	for key := range office.requests {
		assert.True(t, known[strings.Split(key, ".")[1]], "%s was sent by a run that nobody knows", key)
	}
	t.Logf("%d crashes, %d runs, %d of them told: %d messages accepted by the server; %d calls succeeded, %d refused, %d unknown; %d lost, %d duplicated",
		crashes, len(runs), len(told), messages, succeeded, refusals, unknown, vanished, duplicated)
	assert.NotEmpty(t, told)
	assert.Positive(t, unknown, "some were cut off")
	assert.Zero(t, vanished)
	assert.Zero(t, duplicated)
}

// sender runs a process that sends. It is killed at some moment, or asked to end.
func sender(t *testing.T, file, url string, told map[string]bool, kill bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSenderProcess$")
	cmd.Env = append(os.Environ(), childFile+"="+file, childServer+"="+url)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	var words []string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		word, run, _ := strings.Cut(lines.Text(), " ")
		words = append(words, word)
		switch {
		case word == "told":
			told[run] = true
		case word == "open" && kill:
			after := time.Duration(mathrand.IntN(60_000)) * time.Microsecond
			defer time.AfterFunc(after, func() { _ = cmd.Process.Kill() }).Stop()
		case word == "resumed" && !kill:
			require.NoError(t, stdin.Close())
		}
	}
	err = cmd.Wait()
	assert.Contains(t, words, "open")
	if !kill {
		require.NoError(t, err)
		assert.Contains(t, words, "closed")
	}
}
