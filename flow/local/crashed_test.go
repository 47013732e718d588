package local_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/plan"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Environment of the process that runs TestCrashedProcess: its journal, the server and the action
// that it sends with, and the point and the number of the call at which it kills itself.
const (
	childFile   = "FACTEUR_TEST_JOURNAL"
	childServer = "FACTEUR_TEST_SERVER"
	childAction = "FACTEUR_TEST_ACTION"
	childPoint  = "FACTEUR_TEST_POINT"
)

// The points at which a process is killed.
const (
	preparing = "preparing" // it has prepared itself, and is not recorded
	scheduled = "scheduled" // recorded as taken up, not made
	written   = "written"   // the request is written
	received  = "accepted"  // the server has accepted it, and not answered
	answered  = "answered"  // the outcome is there, not recorded
	recorded  = "recorded"  // it is recorded
)

const sendFlow = `
flow: letter
inputs: {to: {type: string}}
steps:
  - {id: send, action: test.send, with: {to: "${inputs.to}"}, unknown_timeout: 24h}
`

// TestCrashedProcess is not a test but the daemon that TestCrash starts and kills. It reads
// commands from stdin, and reports on stdout what it has done.
func TestCrashedProcess(t *testing.T) {
	file := os.Getenv(childFile)
	if file == "" {
		t.Skip("this is the process that another test starts")
	}
	var point string
	var count int
	fmt.Sscan(os.Getenv(childPoint), &point, &count)
	var left atomic.Int64
	left.Store(int64(count))
	kill := func() {
		me, _ := os.FindProcess(os.Getpid())
		_ = me.Kill()
		select {}
	}
	at := func(now string) {
		if now == point && left.Add(-1) == 0 {
			kill()
		}
	}
	j, err := journal.OpenSQLite(file)
	require.NoError(t, err)
	server := os.Getenv(childServer)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	p := testCatalog{}.compile(t, strings.Replace(sendFlow, "test.send", os.Getenv(childAction), 1))
	h, err := local.Open(t.Context(), local.Options{
		Journal: j, Receipts: true,
		Do: func(ctx context.Context, c call.Call) call.Outcome {
			if c.Begin != nil {
				at(preparing)
				if c.Begin(ctx) != nil {
					return refused(true)
				}
			}
			ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { at(written) }})
			return post(ctx, client, server+"/send", c)
		},
		Past: hosttest.PastByKey(func(key string) ([]call.Receipt, error) {
			return past(client, server, key)
		}),
		Restore: func(name string, sources map[string]string) (*plan.Plan, error) {
			return p, nil
		},
		Crash: func(now local.Point, _ string, _ int) bool {
			at(map[local.Point]string{local.Scheduled: scheduled, local.Sent: answered, local.Recorded: recorded}[now])
			return false
		},
	})
	require.NoError(t, err)
	var out sync.Mutex
	say := func(words ...any) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(words...)
	}
	say("open")
	var beside sync.WaitGroup
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "start":
			beside.Go(func() {
				run, _, err := h.Start(t.Context(), p, host.Start{Inputs: map[string]any{"to": rest}, Key: rest})
				if assert.NoError(t, err) {
					say("has", rest, run.ID)
				}
			})
		case "news":
			beside.Go(func() {
				if assert.NoError(t, h.Receive(t.Context(), call.Receipt{Key: rest, ID: "1", State: "delivered"})) {
					say("heard", rest)
				}
			})
		case "pause":
			us, _ := strconv.Atoi(rest)
			time.Sleep(time.Duration(us) * time.Microsecond)
		case "idle":
			beside.Wait()
			time.Sleep(time.Millisecond) // news of what was sent last come later
			say("idle")
		case "kill":
			kill()
		case "stop":
			beside.Wait()
			assert.NoError(t, h.Stop(t.Context()))
			assert.NoError(t, j.Close())
			say("stopped")
			return
		}
	}
}

// post sends a request as an action does: without an answer the outcome is unknown.
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
	if resp.StatusCode != http.StatusOK {
		return lost()
	}
	return accepted(c)
}

func past(client *http.Client, server, key string) ([]call.Receipt, error) {
	resp, err := client.Get(server + "/past?key=" + key)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || string(text) != "true" {
		return nil, err
	}
	return []call.Receipt{{Key: key, ID: "1", State: "delivered"}}, nil
}
