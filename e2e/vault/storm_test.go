package vault_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"facteur/e2e"
	"facteur/e2e/storm"
	server "facteur/e2e/vault"
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
	graph *storm.Graph
	*daemon.Client

	over    chan struct{}
	secrets []string // secret IDs of the role, the last is good

	mu     sync.Mutex
	counts map[string]int
}

// A daemon that is killed repeatedly, with an unreliable vault and rotating tokens, loses no run
// and sends nothing twice. Once the vault works again, all runs end without intervention.
func TestStorm(t *testing.T) {
	length := e2e.StormDuration(t, 8*time.Second)
	s := newStormTest(t)
	kill := s.startDaemon()
	customers := storm.NewCustomers(t, s.Client, "hello", 4, func(n, i int) map[string]any {
		return map[string]any{"phone": fmt.Sprintf("+336%02d%06d", 10+n, i), "sender": fmt.Sprintf("1065403522429%02d", rand.IntN(90)+10)}
	})
	var others sync.WaitGroup
	others.Go(s.disruptVault)
	for end := time.Now().Add(length); time.Now().Before(end); {
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
		kill()
		s.count("killed")
		kill = s.startDaemon()
	}
	close(s.over)
	others.Wait()
	s.check(customers.Stop())
	kill()
}

func newStormTest(t *testing.T) *stormTest {
	s := &stormTest{t: t, dir: t.TempDir(), vault: server.Start(t), over: make(chan struct{}), counts: map[string]int{},
		Client: &daemon.Client{URL: "http://" + e2e.FreeAddress(t), HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}}
	s.proxy = e2e.NewProxy(t, strings.TrimPrefix(s.vault.Address, "http://"))
	s.graph = storm.NewGraph(t, "EAAG0", func() string { return s.URL + "/webhooks/whatsapp/shop" })
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

func (s *stormTest) write(name, text string) { e2e.WriteFile(s.t, s.dir, name, text) }

func (s *stormTest) rotateToken(token string) {
	s.vault.Put(s.t, server.KV2, "messaging/shop", map[string]any{"token": token, "app_secret": storm.AppSecret, "verify_token": "to-be-verified"})
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

// check waits until all runs have ended, and compares them with what was accepted, and with those
// that were acknowledged.
func (s *stormTest) check(acknowledged map[string]string) {
	t, c := s.t, s.counts
	runs := s.graph.AwaitRuns(t, s.Client)[0]
	accepted, _ := s.graph.Accepted()
	known := map[string]bool{}
	for _, r := range runs {
		known[r.RunID] = true
		c["runs "+string(r.Status)]++
		if accepted[r.RunID] > 1 {
			c["duplicated"]++
		}
		if r.Unknown > 0 {
			c["unknown"]++
		}
		if (accepted[r.RunID] == 1) != (r.Status == "succeeded") {
			c["wrong"]++
		}
		if r.Status != "succeeded" {
			d, err := s.Run(t.Context(), r.RunID, 0)
			require.NoError(t, err)
			c["failed as "+d.Error.Code+" "+d.Error.Class]++
		}
	}
	for _, run := range acknowledged {
		if !known[run] {
			c["lost"]++
		}
	}
	t.Logf("acknowledged: %d, runs: %d, %v, %v", len(acknowledged), len(runs), s.graph, c)
	assert.Zero(t, c["lost"], "lost")
	assert.Zero(t, c["duplicated"], "duplicated")
	assert.Zero(t, c["wrong"], "said to be sent and was not, or the reverse")
}
