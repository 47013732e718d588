package vault_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"facteur/e2e"
	server "facteur/e2e/vault"
	"facteur/flow/host"
	daemon "facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A stormTest repeatedly kills a daemon, seals, restarts, cuts off and slows down its vault, and
// rotates tokens, while customers start runs.
type stormTest struct {
	t     *testing.T
	dir   string
	vault *server.Server
	proxy *e2e.Proxy // before the vault
	graph *e2e.Graph
	*daemon.Client

	over    chan struct{}
	secrets []string // secret IDs of the role, the last is good

	mu     sync.Mutex
	acked  map[string]string // runs by idempotency key
	counts map[string]int
}

// A daemon that is killed repeatedly, with an unreliable vault and rotating tokens, loses no run
// and sends nothing twice. Once the vault works again, all runs end without intervention.
func TestStorm(t *testing.T) {
	length := e2e.StormDuration(t, 8*time.Second)
	s := newStormTest(t)
	kill := s.startDaemon()
	var customers, others sync.WaitGroup
	for n := range 4 {
		customers.Go(func() { s.customer(n) })
	}
	others.Go(s.disruptVault)
	for end := time.Now().Add(length); time.Now().Before(end); {
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
		kill()
		s.counts["killed"]++
		kill = s.startDaemon()
	}
	close(s.over)
	others.Wait()
	customers.Wait()
	s.check()
	kill()
}

func newStormTest(t *testing.T) *stormTest {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	s := &stormTest{t: t, dir: t.TempDir(), vault: server.Start(t), over: make(chan struct{}), acked: map[string]string{}, counts: map[string]int{},
		Client: &daemon.Client{URL: "http://" + address, HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}}
	s.proxy = e2e.NewProxy(t, strings.TrimPrefix(s.vault.Address, "http://"))
	s.graph = e2e.NewGraph(t, "EAAG0", func() string { return s.URL + "/webhooks/whatsapp/shop" })
	s.graph.LossRate = 0.05
	s.rotateToken("EAAG0")
	s.write("role", s.vault.Role(t, "facteur", map[string]any{"token_policies": policy(t, s.vault, "facteur"), "token_ttl": "2s", "token_max_ttl": "6s"}))
	s.newSecret()
	s.write("facteur.yaml", fmt.Sprintf(`
vault:
  hashicorp:
    address: "http://%s"
    timeout: 1s
    auth: {approle: {role_id_file: role, secret_id_file: secret}}
connections:
  shop:
    app: WHATSAPP
    vault: {mount: kv, path: messaging/shop}
    sender_phone_id: "106540352242922"
    base_url: %q
`, s.proxy.Address, s.graph.URL))
	s.write("hello.flow.yaml", `
flow: hello
inputs: {phone: {type: string}, sender: {type: string}}
steps:
  - id: notify
    action: whatsapp.send_message
    connection: shop
    timeout: 3s
    unknown_timeout: 10s
    with: {recipient: "${inputs.phone}", sender_phone_id: "${inputs.sender}", message_type: text, message: {body: Bonjour}}
`)
	return s
}

func (s *stormTest) write(name, text string) {
	path := filepath.Join(s.dir, name)
	require.NoError(s.t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(s.t, os.Rename(path+".new", path))
}

func (s *stormTest) rotateToken(token string) {
	s.vault.Put(s.t, server.KV2, "messaging/shop", map[string]any{"token": token, "app_secret": e2e.AppSecret, "verify_token": "to-be-verified"})
}

func (s *stormTest) newSecret() {
	s.secrets = append(s.secrets, s.vault.SecretID(s.t, "facteur", nil))
	s.write("secret", s.secrets[len(s.secrets)-1])
}

func (s *stormTest) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what]++
}

// startDaemon starts the daemon, and returns a function that kills it.
func (s *stormTest) startDaemon() (kill func()) {
	p := e2e.Start(s.t, e2e.Command(s.t, s.dir, nil, "serve", s.dir, "--listen", strings.TrimPrefix(s.URL, "http://")))
	p.Ready(s.t)
	return func() { p.SignalAndWait(syscall.SIGKILL) }
}

func (s *stormTest) customer(n int) {
	for i := 0; ; i++ {
		key := fmt.Sprintf("%d/%d", n, i)
		in := map[string]any{"phone": fmt.Sprintf("+336%02d%06d", 10+n, i), "sender": fmt.Sprintf("1065403522429%02d", rand.IntN(90)+10)}
		for {
			select {
			case <-s.over:
				return
			case <-time.After(time.Duration(rand.IntN(20)) * time.Millisecond):
			}
			began, err := s.Start(context.Background(), "hello", daemon.StartRequest{Inputs: in}, daemon.StartOption{Key: key})
			if err == nil {
				s.mu.Lock()
				s.acked[key] = began.RunID
				s.mu.Unlock()
				break
			}
			var problem *daemon.Problem
			if errors.As(err, &problem) && problem.Status < 500 {
				assert.NoError(s.t, err)
				return
			}
		}
	}
}

// disruptVault seals, restarts, cuts off and slows down the vault.
func (s *stormTest) disruptVault() {
	t, v := s.t, s.vault
	pause := func(most int) { time.Sleep(time.Duration(rand.IntN(most)) * time.Millisecond) }
	for n := 1; ; n++ {
		select {
		case <-s.over:
			return
		default:
		}
		token := fmt.Sprintf("EAAG%d", n)
		what := rand.IntN(9)
		switch what {
		case 0:
			v.Seal(t)
			pause(4000)
			v.Unseal(t)
		case 1:
			v.Stop(t)
			pause(2000)
			v.Restart(t)
			pause(2000)
			v.Unseal(t)
		case 2:
			s.proxy.Stall()
			pause(4000)
			s.proxy.Mend()
		case 3:
			s.proxy.Cut()
			pause(2000)
			s.proxy.Mend()
		case 4:
			s.rotateToken(token)
			s.graph.Token.Store(token)
		case 5: // the old one ends before there is another
			s.graph.Token.Store(token)
			pause(500)
			s.rotateToken(token)
		case 6: // and nobody can ask for the new one
			s.rotateToken(token)
			v.Seal(t)
			s.graph.Token.Store(token)
			pause(3000)
			v.Unseal(t)
		case 7:
			s.newSecret()
			v.DestroySecretID(t, "facteur", s.secrets[len(s.secrets)-2])
			v.Revoke(t)
		case 8:
			v.Revoke(t)
		}
		s.count([]string{"sealed", "restarted", "stalled", "cut", "rotated", "revoked first", "rotated and sealed", "secret id", "tokens revoked"}[what])
		if holds, err := s.Holds(context.Background()); err == nil && len(holds.Holds) > 0 {
			s.count("hold: " + holds.Holds[0].Reason[:min(60, len(holds.Holds[0].Reason))])
		}
		pause(600)
	}
}

// check waits until all runs have ended, and compares them with what was accepted.
func (s *stormTest) check() {
	t := s.t
	var runs []daemon.Run
	require.Eventually(t, func() bool {
		runs = runs[:0]
		q := host.Filter{Limit: 1000}
		for {
			page, err := s.Runs(context.Background(), q)
			if err != nil {
				return false
			}
			runs = append(runs, page.Runs...)
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
		for _, r := range runs {
			if r.EndedAt.IsZero() {
				return false
			}
		}
		return s.graph.AllDelivered()
	}, 3*time.Minute, 200*time.Millisecond, "every run ends")
	accepted, _ := s.graph.Accepted()
	c, byRun, known := s.counts, map[string]int{}, map[string]bool{}
	for key, n := range accepted {
		byRun[strings.Split(key, ".")[1]] += n
	}
	for _, r := range runs {
		known[r.RunID] = true
		c["runs "+string(r.Status)]++
		n := byRun[r.RunID]
		if n > 1 {
			c["duplicated"]++
		}
		if r.Unknown > 0 {
			c["unknown"]++
		}
		if (n == 1) != (r.Status == "succeeded") {
			c["wrong"]++
		}
		if r.Status != "succeeded" {
			d, err := s.Run(t.Context(), r.RunID, 0)
			require.NoError(t, err)
			c["failed as "+d.Error.Code+" "+d.Error.Class]++
		}
	}
	for _, run := range s.acked {
		if !known[run] {
			c["lost"]++
		}
	}
	t.Logf("acknowledged: %d, runs: %d, %v, %v", len(s.acked), len(runs), s.graph, c)
	assert.Zero(t, c["lost"], "lost")
	assert.Zero(t, c["duplicated"], "duplicated")
	assert.Zero(t, c["wrong"], "said to be sent and was not, or the reverse")
}
