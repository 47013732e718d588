package powerloss_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/e2e"
	"facteur/e2e/powerloss"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A recorder is a simulator and the clients of a daemon. It records when the simulator accepted
// each message and when the daemon acknowledged each run and receipt.
type recorder struct {
	api *simulator.Simulator
	url string // of the simulator

	mu        sync.Mutex
	accepted  map[string][]time.Time // by text
	delivered map[string]time.Time   // by text: the daemon acknowledged the receipt
	acked     map[string]ack         // by number
	texts     map[string]string      // by message id
}

type ack struct {
	run string
	at  time.Time
}

func newRecorder(t *testing.T) *recorder {
	w := &recorder{accepted: map[string][]time.Time{}, delivered: map[string]time.Time{}, acked: map[string]ack{}, texts: map[string]string{}}
	var err error
	w.api, err = simulator.New(simulator.Options{Client: &http.Client{Transport: w}, Scene: simulator.Scene{Statuses: simulator.Statuses{
		Sent: simulator.Duration(20 * time.Millisecond), Delivered: simulator.Duration(100 * time.Millisecond),
	}}})
	require.NoError(t, err)
	t.Cleanup(func() { w.api.Close() })
	graph := httptest.NewServer(w)
	t.Cleanup(graph.Close)
	w.url = graph.URL
	return w
}

// ServeHTTP is the simulator's. Accepted messages are recorded before the answer is written.
func (w *recorder) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	w.api.ServeHTTP(answer, r)
	var message struct{ Text struct{ Body string } }
	var reply struct{ Messages []struct{ ID string } }
	if json.Unmarshal(body, &message) == nil && json.Unmarshal(answer.Body.Bytes(), &reply) == nil && len(reply.Messages) == 1 {
		w.mu.Lock()
		w.accepted[message.Text.Body] = append(w.accepted[message.Text.Body], time.Now())
		w.texts[reply.Messages[0].ID] = message.Text.Body
		w.mu.Unlock()
	}
	for name, values := range answer.Header() {
		rw.Header()[name] = values
	}
	rw.WriteHeader(answer.Code)
	_, _ = rw.Write(answer.Body.Bytes())
}

// RoundTrip sends webhooks, and records acknowledged delivered statuses.
func (w *recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		return answer, err
	}
	var hook struct {
		Entry []struct {
			Changes []struct {
				Value struct {
					Statuses []struct{ ID, Status string }
				}
			}
		}
	}
	_ = json.Unmarshal(body, &hook) // the verification request has no body
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range hook.Entry {
		for _, c := range e.Changes {
			for _, s := range c.Value.Statuses {
				if s.Status == "delivered" {
					w.delivered[w.texts[s.ID]] = time.Now()
				}
			}
		}
	}
	return answer, nil
}

func (w *recorder) subscribe(t *testing.T, d *daemon) {
	require.NoError(t, w.api.Subscribe(t.Context(), simulator.Webhook{URL: d.client.URL + "/webhooks/whatsapp/shop", VerifyToken: "to-be-verified", Batch: 20}))
}

// startRuns starts so many runs, from so many concurrent clients.
func (w *recorder) startRuns(t *testing.T, d *daemon, clients, runs int) {
	numbers := make(chan string)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for n := range numbers {
				began, err := d.startRun(n)
				if !assert.NoError(t, err) {
					continue
				}
				w.mu.Lock()
				w.acked[n] = ack{began.RunID, time.Now()}
				w.mu.Unlock()
			}
		})
	}
	for n := range runs {
		numbers <- fmt.Sprint(n)
	}
	close(numbers)
	all.Wait()
}

// acknowledgements returns the times at which a daemon acknowledged something, sorted.
func (w *recorder) acknowledgements() (out []time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.acked {
		out = append(out, a.at)
	}
	out = slices.AppendSeq(out, maps.Values(w.delivered))
	slices.SortFunc(out, time.Time.Compare)
	return out
}

// snapshotAt returns what was known before then.
func (w *recorder) snapshotAt(then time.Time) *snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &snapshot{runs: map[string]string{}, accepted: map[string]bool{}, delivered: map[string]bool{}}
	for n, a := range w.acked {
		if a.at.Before(then) {
			s.runs[n] = a.run
		}
	}
	for text, at := range w.accepted {
		if at[0].Before(then) {
			s.accepted[text] = true
		}
	}
	for text, at := range w.delivered {
		if at.Before(then) {
			s.delivered[text] = true
		}
	}
	return s
}

func (w *recorder) isAccepted(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.accepted[text]) > 0
}

// acceptedCounts returns how often each text was accepted.
func (w *recorder) acceptedCounts() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]int{}
	for text, at := range w.accepted {
		out[text] = len(at)
	}
	return out
}

// A daemon is one process of facteur serve.
type daemon struct {
	*e2e.Process
	client *server.Client
}

// start starts a daemon against a recorder's simulator, and waits until it is ready. If traced
// is not "", it is the prefix of the files in which strace records the daemon's writes.
func start(t *testing.T, dir string, w *recorder, traced string) *daemon {
	t.Helper()
	cmd := e2e.Command(t, dir, []string{
		"FACTEUR_CONNECTION_SHOP_BASE_URL=" + w.url, "FACTEUR_CONNECTION_SHOP_TOKEN=token-of-the-test",
		"FACTEUR_CONNECTION_SHOP_APP_SECRET=" + simulator.DefaultAppSecret, "FACTEUR_CONNECTION_SHOP_VERIFY_TOKEN=to-be-verified",
	}, "serve", "--listen", "127.0.0.1:0")
	if traced != "" {
		cmd = powerloss.WithStrace(t, cmd, traced)
	}
	p := e2e.Start(t, cmd)
	t.Cleanup(func() { p.SignalAndWait(syscall.SIGKILL) })
	d := &daemon{p, &server.Client{URL: p.Ready(t)}}
	if traced != "" {
		p.PID = powerloss.TracedPID(t, p.PID)
	}
	return d
}

// startRun starts the run of a number, or finds the one started before.
func (d *daemon) startRun(n string) (*server.Started, error) {
	sender := fmt.Sprintf("10654035224229%02s", n[max(0, len(n)-2):])
	return d.client.Start(context.Background(), "two", server.StartRequest{Inputs: map[string]any{"n": json.Number(n), "sender": strings.ReplaceAll(sender, " ", "0")}},
		server.StartOption{Key: "order " + n})
}

// waitFor polls a run until a condition holds.
func (d *daemon) waitFor(t *testing.T, run string, is func(*server.Detail) bool) *server.Detail {
	t.Helper()
	for late := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		r, err := d.client.Run(t.Context(), run, 0)
		require.NoError(t, err)
		if is(r) {
			return r
		}
		require.True(t, time.Now().Before(late), "the run %s hangs: %+v", run, r)
	}
}
