package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"facteur/e2e"
	"facteur/e2e/postgres"
	"facteur/e2e/storm"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { e2e.Main(m) }

// A daemon is one of several that share nothing but a ledger.
type daemon struct {
	*server.Client
	data    string
	process *e2e.Process
}

// Daemons with data folders of their own and one ledger start the same `once` sends while they
// are killed at random: no message is sent twice.
func TestDaemons(t *testing.T) {
	length := e2e.StormDuration(t, 10*time.Second)
	s := postgres.Start(t)
	at, err := url.Parse(s.Database(t))
	require.NoError(t, err)
	password, _ := at.User.Password()
	at.User = url.User(at.User.Username())
	dir := t.TempDir()
	all, clients := make([]*daemon, 3), make([]*server.Client, 3)
	for i := range all {
		clients[i] = &server.Client{URL: "http://" + e2e.FreeAddress(t), HTTP: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
		all[i] = &daemon{Client: clients[i], data: filepath.Join(dir, fmt.Sprint("data", i))}
	}
	graph := storm.NewGraph(t, "EAAG0", func() string { return all[rand.IntN(len(all))].URL + "/webhooks/whatsapp/shop" })
	graph.LossRate = 0.1
	e2e.WriteFile(t, dir, "facteur.yaml", fmt.Sprintf("ledger: {postgres: %q}\nvault: {key_file: vault.key}\nconnections: {shop: {app: WHATSAPP, sender_phone_id: \"106540352242922\", base_url: %q}}\n", at, graph.URL))
	e2e.WriteFile(t, dir, "offer.flow.yaml", `
flow: offer
inputs: {phone: {type: string}, order: {type: string}, sender: {type: string}}
steps:
  - id: send
    action: whatsapp.send_message
    connection: shop
    timeout: 2s
    unknown_timeout: 8s
    retry: {attempts: 5, delay: 100ms, max_delay: 2s}
    with: {recipient: "${inputs.phone}", sender_phone_id: "${inputs.sender}", message_type: text, message: {body: "${inputs.order}"}, once: {key: "${inputs.order}", within: 24h}}
`)
	open := func(n *daemon) {
		env := []string{"PGPASSWORD=" + password, "FACTEUR_DATA=" + n.data,
			"FACTEUR_CONNECTION_SHOP_TOKEN=EAAG0", "FACTEUR_CONNECTION_SHOP_APP_SECRET=" + storm.AppSecret, "FACTEUR_CONNECTION_SHOP_VERIFY_TOKEN=v"}
		n.process = e2e.Start(t, e2e.Command(t, dir, env, "serve", dir, "--listen", strings.TrimPrefix(n.URL, "http://")))
		n.process.Ready(t)
	}
	var customers []*storm.Customers
	for _, n := range all {
		open(n)
		customers = append(customers, storm.NewCustomers(t, n.Client, "offer", 3, func(_, order int) map[string]any {
			return map[string]any{"phone": fmt.Sprintf("+336%08d", order), "order": fmt.Sprint("order ", order), "sender": fmt.Sprintf("1065403522429%02d", order%90+10)}
		}))
	}
	kills := 0
	for until := time.Now().Add(length); time.Now().Before(until); kills++ {
		time.Sleep(time.Duration(rand.IntN(600)) * time.Millisecond)
		n := all[rand.IntN(len(all))]
		n.process.SignalAndWait(syscall.SIGKILL)
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
		open(n)
	}
	acknowledged := make([]map[string]string, len(all))
	for i, c := range customers {
		acknowledged[i] = c.Stop()
	}

	counts := map[string]int{"killed": kills}
	ended := graph.AwaitRuns(t, clients...)
	byRun, byRecipient := graph.Accepted()
	for i, runs := range ended {
		known := map[string]bool{}
		for _, r := range runs {
			known[r.RunID] = true
			status, sent := string(r.Status), byRun[r.RunID] > 0
			switch {
			case r.Unknown > 0 && sent:
				status = "unknown and sent"
			case r.Unknown > 0:
				status = "unknown"
			case status == "failed":
				d, err := clients[i].Run(t.Context(), r.RunID, 0)
				require.NoError(t, err)
				status += " " + d.Error.Code
				assert.False(t, sent, "%s is said to have failed, and was sent", r.RunID)
			}
			counts[status]++
		}
		for _, run := range acknowledged[i] {
			counts["acknowledged"]++
			assert.True(t, known[run], "%s was acknowledged, and is lost", run)
		}
	}
	for to, times := range byRecipient {
		assert.Equal(t, 1, times, "the order of %s was sent more than once", to)
	}
	t.Logf("orders: %d, %v, %v", len(byRecipient), graph, counts)
}
