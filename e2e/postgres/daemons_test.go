package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"facteur/e2e"
	"facteur/e2e/postgres"
	"facteur/flow/host"
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
	all := make([]*daemon, 3)
	for i := range all {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		all[i] = &daemon{data: filepath.Join(dir, fmt.Sprint("data", i)), Client: &server.Client{URL: "http://" + l.Addr().String(), HTTP: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}}
		require.NoError(t, l.Close())
	}
	graph := e2e.NewGraph(t, "EAAG0", func() string { return all[rand.IntN(len(all))].URL + "/webhooks/whatsapp/shop" })
	graph.LossRate = 0.1
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("facteur.yaml", fmt.Sprintf("ledger: {postgres: %q}\nvault: {key_file: vault.key}\nconnections: {shop: {app: WHATSAPP, sender_phone_id: \"106540352242922\", base_url: %q}}\n", at, graph.URL))
	write("offer.flow.yaml", `
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
			"FACTEUR_CONNECTION_SHOP_TOKEN=EAAG0", "FACTEUR_CONNECTION_SHOP_APP_SECRET=" + e2e.AppSecret, "FACTEUR_CONNECTION_SHOP_VERIFY_TOKEN=v"}
		n.process = e2e.Start(t, e2e.Command(t, dir, env, "serve", dir, "--listen", strings.TrimPrefix(n.URL, "http://")))
		n.process.Ready(t)
	}
	for _, n := range all {
		open(n)
	}
	over := make(chan struct{})
	var mu sync.Mutex
	acked := make([]map[string]string, len(all)) // runs by idempotency key
	var customers sync.WaitGroup
	for i, n := range all {
		acked[i] = map[string]string{}
		for c := range 3 {
			customers.Go(func() {
				for order := 0; ; order++ {
					in := map[string]any{"phone": fmt.Sprintf("+336%08d", order), "order": fmt.Sprint("order ", order), "sender": fmt.Sprintf("1065403522429%02d", order%90+10)}
					key := fmt.Sprintf("%d/%d", c, order)
					for {
						select {
						case <-over:
							return
						case <-time.After(time.Duration(rand.IntN(15)) * time.Millisecond):
						}
						began, err := n.Start(context.Background(), "offer", server.StartRequest{Inputs: in}, server.StartOption{Key: key})
						var problem *server.Problem
						if err == nil {
							mu.Lock()
							acked[i][key] = began.RunID
							mu.Unlock()
							break
						}
						if errors.As(err, &problem) && problem.Status < 500 {
							assert.NoError(t, err)
							return
						}
					}
				}
			})
		}
	}
	kills := 0
	for until := time.Now().Add(length); time.Now().Before(until); kills++ {
		time.Sleep(time.Duration(rand.IntN(600)) * time.Millisecond)
		n := all[rand.IntN(len(all))]
		n.process.SignalAndWait(syscall.SIGKILL)
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
		open(n)
	}
	close(over)
	customers.Wait()

	counts := map[string]int{"killed": kills}
	runs := make([][]server.Run, len(all))
	require.Eventually(t, func() bool {
		for i, n := range all {
			var err error
			if runs[i], err = n.list(); err != nil {
				return false
			}
			for _, r := range runs[i] {
				if r.EndedAt.IsZero() {
					return false
				}
			}
		}
		return graph.AllDelivered()
	}, 2*time.Minute, 200*time.Millisecond, "every run ends")
	byKey, byRecipient := graph.Accepted()
	byRun := map[string]int{}
	for key, times := range byKey {
		byRun[strings.Split(key, ".")[1]] += times
	}
	for i, n := range all {
		known := map[string]bool{}
		for _, r := range runs[i] {
			known[r.RunID] = true
			status := string(r.Status)
			if r.Unknown > 0 {
				status = "unknown"
				if byRun[r.RunID] > 0 {
					counts["unknown and sent"]++
				}
			}
			if status == "failed" {
				d, err := n.Run(t.Context(), r.RunID, 0)
				require.NoError(t, err)
				status += " " + d.Error.Code
				if byRun[r.RunID] > 0 {
					counts["said failed and sent"]++
				}
			}
			counts[status]++
		}
		for _, run := range acked[i] {
			counts["acknowledged"]++
			if !known[run] {
				counts["lost"]++
			}
		}
	}
	for _, times := range byRecipient {
		if times > 1 {
			counts["duplicated"]++
		}
	}
	t.Logf("orders: %d, %v, %v", len(byRecipient), graph, counts)
	assert.Zero(t, counts["duplicated"])
	assert.Zero(t, counts["lost"])
	assert.Zero(t, counts["said failed and sent"])
}

func (n *daemon) list() (runs []server.Run, err error) {
	for q := (host.Filter{Limit: 1000}); ; {
		page, err := n.Runs(context.Background(), q)
		if err != nil {
			return nil, err
		}
		runs = append(runs, page.Runs...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return runs, nil
		}
	}
}
