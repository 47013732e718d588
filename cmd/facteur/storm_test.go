package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/cmd/facteur/daemon"
	"facteur/flow/host"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stormEnv sets how long TestStorm kills daemons, e.g. 5m.
const stormEnv = "FACTEUR_TEST_STORM"

// The flows of the storm. Numbers are an input, so that limits do not slow it down.
const (
	stormHead = `
flow: %s
inputs:
  phone: {type: string}
  sender: {type: string}
  order: {type: string}
`
	stormSend = `{recipient: "%s", sender_phone_id: "${inputs.sender}", message_type: text, message: {body: "n. ${inputs.order} %s"}}`
	stormCall = "action: whatsapp.send_message, connection: shop, timeout: 2s, unknown_timeout: 3s"
)

func stormFlows() map[string]string {
	to := func(phone, text string) string { return "with: " + fmt.Sprintf(stormSend, phone, text) }
	own := to("${inputs.phone}", "v1")
	steps := map[string]string{
		"storm_plain":  `steps: [{id: send, ` + stormCall + `, ` + own + `}]`,
		"storm_loop":   `steps: [{id: each, foreach: "${['1', '2', '3', '4', '5']}", as: n, concurrency: 3, allow_failure: true, steps: [{id: send, ` + stormCall + `, ` + to("${inputs.phone + n}", "${n}") + `}]}]`,
		"storm_await":  `steps: [{id: send, ` + stormCall + `, ` + own + `, await: {state: delivered, timeout: 8s}}]`,
		"storm_reply":  `steps: [{id: send, ` + stormCall + `, ` + own + `}, {id: reply, wait_for: {event: whatsapp.message, from: "${inputs.phone}", timeout: 6s}, on_timeout: continue}, {id: thanks, ` + stormCall + `, ` + to("${inputs.phone}", "merci") + `}]`,
		"storm_retry":  `steps: [{id: send, ` + stormCall + `, ` + own + `, retry: {attempts: 5, delay: 30ms, max_delay: 300ms}}]`,
		"storm_try":    `steps: [{id: all, try: [{id: send, ` + stormCall + `, ` + own + `}], finally: [{id: last, ` + stormCall + `, ` + to("${inputs.phone}", "fin") + `}]}]`,
		"storm_pause":  `steps: [{wait: 1200ms}, {id: send, ` + stormCall + `, ` + own + `}, {wait: 1500ms}, {id: again, ` + stormCall + `, ` + to("${inputs.phone}", "2") + `}]`,
		"storm_resend": `steps: [{id: send, ` + strings.Replace(stormCall, "3s", "300ms", 1) + `, on_unknown: resend, ` + own + `, retry: {attempts: 4, delay: 30ms, max_delay: 300ms}}]`,
		"storm_once":   `steps: [{id: send, ` + stormCall + `, ` + strings.TrimSuffix(own, "}") + `, once: {key: "${inputs.order}", within: 24h}}, retry: {attempts: 3, delay: 100ms}}]`,
		"storm_locked": "concurrency: {key: \"${inputs.sender}\", limit: 1}\n" + `steps: [{id: send, ` + stormCall + `, ` + own + `}]`,
		"storm_branch": `steps: [{id: both, parallel: {a: [{id: send, ` + stormCall + `, ` + own + `}], b: [{wait: 20ms}, {id: two, ` + stormCall + `, ` + to("${inputs.phone + '7'}", "b") + `}]}}]`,
	}
	flows := map[string]string{}
	for name, text := range steps {
		flows[name] = fmt.Sprintf(stormHead, name) + text + "\n"
	}
	return flows
}

// A stormTest is a daemon that is killed repeatedly, its simulator, and the requests that
// customers and operators made.
type stormTest struct {
	t        *testing.T
	dir      string
	api      *simulator.Simulator
	url      string
	client   *server.Client
	webhooks *webhookProxy
	done     chan struct{}

	pauseMu sync.Mutex
	pauses  []pauseWindow

	mu         sync.Mutex
	started    map[string]string // run ids by key
	resent     map[string]bool   // runs that somebody asked to resend
	operations []operation
	runs       []string
	counts     map[string]int
	daemon     *process
}

func (s *stormTest) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what]++
}

// webhookProxy forwards webhooks from the simulator to the daemon. It duplicates, withholds and
// reorders them, and retries until each is answered with 200, as Meta does.
type webhookProxy struct {
	target    string
	withheld  atomic.Bool
	waiting   atomic.Int64
	delivered atomic.Int64
	done      chan struct{}
}

func (p *webhookProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		resp, err := http.Get(p.target + r.URL.RequestURI())
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
		return
	}
	body, _ := io.ReadAll(r.Body)
	copies := 1
	if rand.IntN(10) == 0 {
		copies = 2
	}
	for range copies {
		pause := time.Duration(0)
		if rand.IntN(4) == 0 {
			pause = time.Duration(rand.IntN(400)) * time.Millisecond
		}
		p.waiting.Add(1)
		go p.deliver(r.URL.RequestURI(), r.Header.Clone(), body, pause)
	}
}

func (p *webhookProxy) deliver(path string, header http.Header, body []byte, pause time.Duration) {
	defer p.waiting.Add(-1)
	for {
		select {
		case <-p.done:
			return
		case <-time.After(pause):
		}
		pause = time.Duration(20+rand.IntN(60)) * time.Millisecond
		if p.withheld.Load() {
			continue
		}
		req, _ := http.NewRequest(http.MethodPost, p.target+path, bytes.NewReader(body))
		req.Header = header
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			p.delivered.Add(1)
			return
		}
	}
}

// launch starts a daemon at the address that the clients use.
func (s *stormTest) launch(args ...string) *process {
	s.t.Helper()
	return launch(s.t, s.dir, append([]string{"--listen", strings.TrimPrefix(s.url, "http://"), "--show-phone-numbers"}, args...)...)
}

// startDaemon starts the daemon and waits until it is ready.
func (s *stormTest) startDaemon(args ...string) {
	s.t.Helper()
	s.daemon = s.launch(args...)
	s.daemon.log.Wait(s.t, `msg=ready`)
}

func (s *stormTest) kill(sig os.Signal) {
	_ = s.daemon.Process.Signal(sig)
	_ = s.daemon.Wait()
}

// retry repeats a request until the daemon answers it.
func (s *stormTest) retry(do func(ctx context.Context) error) error {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		err := do(ctx)
		cancel()
		var problem *server.Problem
		if err == nil || errors.As(err, &problem) && problem.Status < 500 && problem.Status != http.StatusTooManyRequests {
			return err
		}
		time.Sleep(time.Duration(5+rand.IntN(20)) * time.Millisecond)
	}
}

// customer starts random runs until the storm is over.
func (s *stormTest) customer(n int, flows []string) {
	random := rand.New(rand.NewPCG(uint64(n), 7))
	for i := 0; ; i++ {
		select {
		case <-s.done:
			return
		default:
		}
		flow := flows[random.IntN(len(flows))]
		order := fmt.Sprintf("%d", n*100000+i)
		phone := fmt.Sprintf("+336%02d%06d", n+10, i)
		if flow == "storm_loop" {
			phone = phone[:len(phone)-1]
		}
		if flow == "storm_branch" {
			phone = phone[:len(phone)-1]
		}
		if flow == "storm_once" {
			order, phone = fmt.Sprintf("once%d", i/3), fmt.Sprintf("+33699%06d", i/3) // shared by all customers
		}
		key := fmt.Sprintf("%s %d %d", flow, n, i)
		in := map[string]any{"phone": phone, "sender": fmt.Sprintf("1065403522429%02d", random.IntN(40)+10), "order": order}
		o := server.StartOption{Key: key}
		if random.IntN(3) == 0 {
			o.Wait = 100 * time.Millisecond
		}
		for range 1 + random.IntN(8)/7 { // some requests are repeated
			var began *server.Started
			err := s.retry(func(ctx context.Context) (err error) {
				began, err = s.client.Start(ctx, flow, server.StartRequest{Inputs: in}, o)
				return err
			})
			if !assert.NoError(s.t, err) {
				return
			}
			s.mu.Lock()
			if before, ok := s.started[key]; ok && before != began.RunID {
				s.t.Errorf("the key %s began %s and %s", key, before, began.RunID)
			} else if !ok {
				s.runs = append(s.runs, began.RunID)
			}
			s.started[key] = began.RunID
			s.mu.Unlock()
		}
		if flow == "storm_reply" && random.IntN(2) == 0 {
			time.AfterFunc(time.Duration(random.IntN(1500))*time.Millisecond, func() {
				_, _ = s.api.Send(simulator.Inbound{From: phone, To: in["sender"].(string), Text: "oui"})
			})
		}
		time.Sleep(time.Duration(random.IntN(10)) * time.Millisecond)
	}
}

// operator cancels, retries, settles and pauses random runs until the storm is over.
func (s *stormTest) operator() {
	for {
		select {
		case <-s.done:
			return
		case <-time.After(time.Duration(rand.IntN(40)) * time.Millisecond):
		}
		s.mu.Lock()
		run := ""
		if n := len(s.runs); n > 0 {
			run = s.runs[n-1-rand.IntN(min(n, 300))]
		}
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		var err error
		what := ""
		switch rand.IntN(14) {
		case 0, 1:
			what, err = "cancel", s.operate("cancel", run, func() error { return s.client.Cancel(ctx, run, server.CancelRequest{Reason: "storm"}) })
		case 2, 3, 4:
			what, err = "retry", s.operate("retry", run, func() error { return s.client.Retry(ctx, run, server.RetryRequest{}) })
		case 5:
			if rand.IntN(6) == 0 {
				s.mu.Lock()
				s.resent[run] = true
				s.mu.Unlock()
				what, err = "resend", s.operate("retry", run, func() error { return s.client.Retry(ctx, run, server.RetryRequest{Resend: true}) })
			}
		case 6, 7:
			what, err = s.settle(ctx)
		case 8:
			if what, err = "pause", s.client.Pause(ctx, server.PauseRequest{Scope: "connection", Name: "shop", Reason: "storm"}); err == nil {
				time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
			}
			_ = s.retry(func(ctx context.Context) error {
				return s.client.Resume(ctx, server.ResumeRequest{Scope: "connection", Name: "shop"})
			})
		case 9:
			text := strings.Replace(stormFlows()["storm_plain"], "v1", fmt.Sprintf("v%d", rand.IntN(1000)), 1)
			changed := filepath.Join(s.dir, fmt.Sprintf("%d.new", rand.Int())) // two operators may do this, and a daemon may start meanwhile
			_ = os.WriteFile(changed, []byte(text), 0o600)
			_ = os.Rename(changed, filepath.Join(s.dir, "storm_plain.flow.yaml"))
			_, err = s.client.Reload(ctx)
			what = "reload"
		case 10:
			s.webhooks.withheld.Store(true)
			time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
			s.webhooks.withheld.Store(false)
			what = "withheld"
		case 12:
			what = "token refused"
			_ = s.api.PutToken(simulator.Token{Value: simulatedToken, State: "uninstalled"})
			time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
			_ = s.api.PutToken(simulator.Token{Value: simulatedToken})
			time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
			_ = s.retry(func(ctx context.Context) error {
				return s.client.Resume(ctx, server.ResumeRequest{Scope: "connection", Name: "shop"})
			})
		case 11:
			_, err = s.client.Run(ctx, run, 0)
			what = "show"
		case 13:
			what, err = "pause a flow", s.pause(ctx)
		}
		cancel()
		if what != "" && err == nil {
			s.count(what)
		}
	}
}

// settle settles a run that ended with unknown outcomes by what the API accepted.
func (s *stormTest) settle(ctx context.Context) (string, error) {
	list, err := s.client.Runs(ctx, host.Filter{Unknown: true, Limit: 50})
	if err != nil || len(list.Runs) == 0 {
		return "", err
	}
	one := list.Runs[rand.IntN(len(list.Runs))]
	if one.EndedAt.IsZero() {
		return "", nil
	}
	d, err := s.client.Run(ctx, one.RunID, 0)
	if err != nil {
		return "", err
	}
	accepted := s.api.Keys("f1." + one.RunID + ".")
	for _, step := range d.Steps {
		if !step.Unknown {
			continue
		}
		happened := false
		for _, key := range step.Keys {
			happened = happened || accepted[key] > 0
		}
		in := server.SettleRequest{Step: step.Path, Happened: happened}
		if happened {
			in.MessageID = "wamid.settled"
		}
		return "settled", s.client.Settle(ctx, one.RunID, in)
	}
	return "", nil
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// A daemon that is killed at random loses no run that it acknowledged and sends nothing twice;
// outcomes that it cannot know are listed as unknown.
func TestStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes its time")
	}
	length := 8 * time.Second
	if text := os.Getenv(stormEnv); text != "" {
		var err error
		length, err = time.ParseDuration(text)
		require.NoError(t, err)
	}
	s := newStormTest(t)
	flows := stormFlows()
	names := make([]string, 0, len(flows))
	for name, text := range flows {
		names = append(names, name)
		write(t, filepath.Join(s.dir, name+".flow.yaml"), text)
	}
	slices.Sort(names)
	s.startDaemon()
	require.NoError(t, s.api.Subscribe(t.Context(), simulator.Webhook{URL: s.webhooksURL() + daemon.WebhookPath("shop"), VerifyToken: simulatedVerify}))
	for _, f := range []simulator.Fault{
		{Do: simulator.Drop, Odds: 0.05}, {Do: simulator.Status, Odds: 0.02}, {Do: simulator.Status, Odds: 0.02, Accepted: true},
		{Do: simulator.Reset, Odds: 0.02}, {Do: simulator.Reset, Odds: 0.02, Accepted: true}, {Do: simulator.Truncate, Odds: 0.02},
		{Do: simulator.Hang, Odds: 0.01}, {Do: simulator.Delay, Odds: 0.1, Delay: simulator.Duration(100 * time.Millisecond)},
		{Do: simulator.Error, Odds: 0.03, Code: 131000}, {Do: simulator.Error, Odds: 0.02, Code: 130429}, {Do: simulator.Error, Odds: 0.02, Code: 131026},
		{Do: simulator.Fail, Odds: 0.03, Code: 131026}, {Do: simulator.Silent, Odds: 0.03}, {Do: simulator.Reorder, Odds: 0.05},
		{Do: simulator.Duplicate, Odds: 0.05}, {Do: simulator.Late, Odds: 0.05, Delay: simulator.Duration(2 * time.Second)},
	} {
		require.NoError(t, s.api.AddFault(f))
	}
	var all sync.WaitGroup
	for n := range 6 {
		all.Go(func() { s.customer(n, names) })
	}
	all.Go(s.operator)
	all.Go(s.operator)
	kills := 0
	for end := time.Now().Add(length); time.Now().Before(end); {
		time.Sleep(time.Duration(20+rand.IntN(600)) * time.Millisecond)
		switch rand.IntN(12) {
		case 0:
			go func(p *os.Process) {
				time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
				_ = p.Signal(syscall.SIGTERM)
			}(s.daemon.Process)
			s.kill(syscall.SIGTERM)
			s.count("stopped")
		case 1:
			_ = s.daemon.Process.Signal(syscall.SIGHUP)
			continue
		default:
			s.kill(os.Kill)
			kills++
		}
		s.startDaemon()
	}
	close(s.done)
	all.Wait()
	s.counts["killed"] = kills
	s.check()
}

func newStormTest(t *testing.T) *stormTest {
	dir, api := simulated(t, "")
	s := &stormTest{t: t, dir: dir, api: api, url: "http://" + freePort(t), done: make(chan struct{}), started: map[string]string{}, resent: map[string]bool{}, counts: map[string]int{}}
	s.client = &server.Client{URL: s.url, HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	s.webhooks = &webhookProxy{target: s.url, done: make(chan struct{})}
	t.Cleanup(func() {
		close(s.webhooks.done)
		if s.daemon != nil {
			s.kill(os.Kill)
		}
	})
	return s
}

func (s *stormTest) webhooksURL() string {
	post := httptest.NewServer(s.webhooks)
	s.t.Cleanup(post.Close)
	return post.URL
}
