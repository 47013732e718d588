package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/e2e/cluster"
	"facteur/flow/host"
	"facteur/server"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clusterFlows are the flows of TestCluster.
func clusterFlows() map[string]string {
	flow := func(name, steps string) string { return fmt.Sprintf(head, name) + steps }
	return map[string]string{
		"hello": flow("hello", send),
		"ask": flow("ask", send+`  - {id: reply, wait_for: {event: whatsapp.message, from: "${inputs.phone}", timeout: 10m}}
outputs: {said: "${steps.reply.outputs.text}"}
`),
		"once": flow("once", strings.Replace(send, "message: {", `once: {key: "${inputs.phone}", within: 24h}, message: {`, 1)+`outputs: {repeats: "${steps.send.outputs.?repeats.orValue('')}"}
`),
		"answer": `
flow: answer
inputs: {phone: {type: string}}
triggers:
  - whatsapp_message: {when: event.text == "bonjour", inputs: {phone: "${event.from}"}}
steps:
` + strings.Replace(send, `sender_phone_id: "${inputs.sender}", `, "", 1),
		"every": `
flow: every
triggers:
  - schedule: {cron: "* * * * *"}
steps:
  - set: {n: 1}
`,
	}
}

// Three daemons act as one: a request to any of them holds for all.
func TestCluster(t *testing.T) {
	l := newClient(t, cluster.Start(t, 3, clusterFlows()))
	a, b, c := l.Daemons[0], l.Daemons[1], l.Daemons[2]
	in := func(n int) server.StartRequest { return server.StartRequest{Inputs: inputsOf(n)} }
	begin := func(d *cluster.Daemon, flow string, n int, o server.StartOption) *server.Started {
		t.Helper()
		started, err := d.Client().Start(t.Context(), flow, in(n), o)
		require.NoError(t, err)
		return started
	}
	detail := func(d *cluster.Daemon, run string, wait time.Duration) *server.Detail {
		t.Helper()
		out, err := d.Client().Run(t.Context(), run, wait)
		require.NoError(t, err)
		return out
	}
	lines := func(d *cluster.Daemon, args ...string) string {
		t.Helper()
		stdout, stderr, code := d.Command(args...)
		require.Zero(t, code, "%s", stderr)
		return stdout + stderr
	}

	t.Run("a reply comes to another daemon", func(t *testing.T) {
		run := begin(a, "ask", 1, server.StartOption{}).RunID
		require.Eventually(t, func() bool { return detail(b, run, 0).Status == "waiting" }, time.Minute, 20*time.Millisecond)
		for range 3 { // by turns: each is told of one
			_, err := l.API.Send(simulator.Inbound{From: "+33639980001", To: inputsOf(1)["sender"].(string), Text: "oui"})
			require.NoError(t, err)
		}
		d := detail(c, run, time.Minute)
		require.EqualValues(t, "succeeded", d.Status)
		assert.Equal(t, "oui", d.Outputs["said"])
	})

	t.Run("what one pauses all hold back", func(t *testing.T) {
		lines(a, "pause", "connection", "shop", "--reason", "the wrong template")
		for _, d := range l.Daemons {
			require.Eventually(t, func() bool { return strings.Contains(lines(d, "holds"), "the wrong template") }, 10*time.Second, 50*time.Millisecond)
		}
		before := l.API.Counts().Accepted
		run := begin(b, "hello", 2, server.StartOption{}).RunID
		require.Eventually(t, func() bool { return len(detail(c, run, 0).Held) == 1 }, time.Minute, 20*time.Millisecond)
		assert.Equal(t, before, l.API.Counts().Accepted)
		assert.Contains(t, detail(c, run, 0).Held[0].Reason, "the wrong template")
		lines(c, "resume", "connection", "shop")
		assert.EqualValues(t, "succeeded", detail(a, run, time.Minute).Status)
		for _, d := range l.Daemons {
			require.Eventually(t, func() bool { return !strings.Contains(lines(d, "holds"), "the wrong template") }, 10*time.Second, 50*time.Millisecond)
		}
	})

	t.Run("a key begins one run, whoever is asked", func(t *testing.T) {
		runs := map[string]bool{}
		for _, d := range l.Daemons {
			runs[begin(d, "hello", 3, server.StartOption{Key: "order 3"}).RunID] = true
		}
		assert.Len(t, runs, 1)
		for run := range runs {
			assert.EqualValues(t, "succeeded", detail(c, run, time.Minute).Status)
		}
		_, err := b.Client().Start(t.Context(), "hello", in(4), server.StartOption{Key: "order 3"})
		var problem *server.Problem
		require.ErrorAs(t, err, &problem)
		assert.Equal(t, server.KeyReused, problem.Kind())
	})

	t.Run("once holds across daemons", func(t *testing.T) {
		before := l.API.Counts().Accepted
		said := map[string]bool{}
		for _, d := range l.Daemons {
			s := begin(d, "once", 5, server.StartOption{Wait: time.Minute})
			require.EqualValues(t, "succeeded", s.Status)
			said[fmt.Sprint(s.Outputs["repeats"])] = true
		}
		assert.Equal(t, before+1, l.API.Counts().Accepted)
		assert.Len(t, said, 2, "the message itself, and that it was repeated")
	})

	t.Run("once holds for what was sent after all", func(t *testing.T) {
		phone := inputsOf(6)["phone"].(string)
		require.NoError(t, l.API.AddFault(simulator.Fault{Do: simulator.Drop, Recipient: phone, Times: 1}))
		l.Webhooks.Hold(true)
		lost := begin(a, "once", 6, server.StartOption{Wait: time.Minute})
		require.Equal(t, "outcome_unknown", lost.Error.Code)
		lines(b, "runs", "settle", lost.RunID, "send", "--not-sent")
		lines(c, "runs", "settle", lost.RunID, "send", "--not-sent") // that is no error
		l.Webhooks.Hold(false)
		require.Eventually(t, func() bool { return l.Webhooks.Waiting() == 0 && detail(c, lost.RunID, 0).Steps[0].State != "failed" }, time.Minute, 50*time.Millisecond)
		again := begin(c, "once", 6, server.StartOption{Wait: time.Minute})
		require.EqualValues(t, "succeeded", again.Status)
		assert.NotEmpty(t, again.Outputs["repeats"])
		assert.Len(t, l.API.Accepted(simulator.Filter{Person: phone}), 1)
	})

	t.Run("a message starts one run", func(t *testing.T) {
		_, err := l.API.Send(simulator.Inbound{From: "+33639980006", To: "106540352242922", Text: "bonjour"})
		require.NoError(t, err)
		var runs []server.Run
		require.Eventually(t, func() bool {
			list, err := c.Client().Runs(t.Context(), host.Filter{Flow: "answer"})
			require.NoError(t, err)
			runs = list.Runs
			return len(runs) > 0 && runs[0].Status == "succeeded"
		}, time.Minute, 50*time.Millisecond)
		assert.Len(t, runs, 1)
	})

	t.Run("an API key is good everywhere", func(t *testing.T) {
		for _, d := range l.Daemons {
			keys, err := d.Client().Keys(t.Context())
			require.NoError(t, err)
			assert.Len(t, keys.Keys, 1)
			_, err = (&server.Client{URL: "http://" + d.Listen}).Keys(t.Context())
			assert.Error(t, err, "and there is no way without one")
		}
	})

	t.Run("commands for people", func(t *testing.T) {
		assert.Contains(t, lines(a, "runs", "list", "--recipient", "+33639980002"), "hello")
		assert.Contains(t, lines(b, "health"), "ok    temporal")
		assert.Contains(t, lines(b, "health"), "ok    ledger")
		run := begin(a, "ask", 7, server.StartOption{}).RunID
		lines(c, "runs", "cancel", run)
		assert.EqualValues(t, "cancelled", detail(b, run, time.Minute).Status)
		assert.Contains(t, lines(b, "runs", "show", run), "cancelled")
		_, stderr, code := a.Command("backup", filepath.Join(t.TempDir(), "backup.tar"))
		assert.Equal(t, 3, code)
		assert.Contains(t, stderr, "the Temporal server")
		_, stderr, code = a.Command("serve", "--restored")
		assert.Equal(t, 2, code)
		assert.Contains(t, stderr, "--restored")
		_, stderr, code = a.Command("serve", "--listen", "127.0.0.1:0")
		assert.Equal(t, 3, code)
		assert.Contains(t, stderr, "is already using the data folder")
	})

	t.Run("one that stops leaves nothing in doubt", func(t *testing.T) {
		require.NoError(t, l.API.AddFault(simulator.Fault{Do: simulator.Delay, Delay: simulator.Duration(time.Second)}))
		defer l.API.ClearFaults()
		var all sync.WaitGroup
		all.Go(func() { l.startAll("hello", 400, func(n int) map[string]any { return inputsOf(100 + n) }) })
		accepted := l.API.Counts().Accepted
		for n, d := range []*cluster.Daemon{b, c} {
			require.Eventually(t, func() bool { return l.API.Counts().Accepted >= accepted+60+150*n }, time.Minute, time.Millisecond)
			began := time.Now()
			d.Stop()
			t.Logf("stopped after %v", time.Since(began).Round(time.Millisecond))
			assert.Contains(t, d.Log.String(), "msg=stopped")
			d.Start()
		}
		all.Wait()
		runs := l.waitDetails(time.Minute)
		doubts := 0
		for _, d := range runs {
			assert.EqualValues(t, "succeeded", d.Status)
			for _, one := range d.Calls {
				if one.Outcome != nil && one.Outcome.Status == "unknown" {
					doubts++
					t.Logf("%s: %+v", one.Key, one.Outcome.Error)
					for _, e := range d.Journal {
						t.Logf("%s %s %s", e.At.Format(time.StampMicro), e.Kind, e.Data)
					}
				}
			}
		}
		assert.Zero(t, doubts)
	})

	t.Run("a schedule is met once", func(t *testing.T) {
		list := func() []server.Run {
			list, err := a.Client().Runs(t.Context(), host.Filter{Flow: "every"})
			require.NoError(t, err)
			return list.Runs
		}
		require.Eventually(t, func() bool { return len(list()) > 0 }, 90*time.Second, 100*time.Millisecond)
		minutes := map[string]int{}
		for _, run := range list() {
			minutes[run.StartedAt.Truncate(time.Minute).String()]++
		}
		for minute, runs := range minutes {
			assert.Equal(t, 1, runs, minute)
		}
	})

	t.Run("without its servers a daemon is not ready", func(t *testing.T) {
		ready := func(name string) func() bool {
			return func() bool {
				r, err := a.Client().Ready(context.Background())
				if err != nil {
					return false
				}
				for _, check := range r.Checks {
					if check.Name == name {
						return check.OK
					}
				}
				return false
			}
		}
		run := begin(b, "ask", 8, server.StartOption{}).RunID
		require.Eventually(t, func() bool { return detail(b, run, 0).Status == "waiting" }, time.Minute, 20*time.Millisecond)
		l.Ledger.Cut()
		require.Eventually(t, func() bool { return !ready("ledger")() && ready("temporal")() }, time.Minute, 50*time.Millisecond)
		_, err := l.API.Send(simulator.Inbound{From: "+33639980008", To: inputsOf(8)["sender"].(string), Text: "oui"})
		require.NoError(t, err)
		l.Ledger.Mend()
		require.Eventually(t, ready("ledger"), time.Minute, 50*time.Millisecond)
		assert.EqualValues(t, "succeeded", detail(a, run, time.Minute).Status, "the webhook came again")

		l.Temporal.Cut()
		require.Eventually(t, func() bool { return !ready("temporal")() }, time.Minute, 50*time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err = a.Client().Start(ctx, "hello", in(9), server.StartOption{Key: "order 9"})
		var problem *server.Problem
		require.ErrorAs(t, err, &problem)
		assert.Equal(t, http.StatusServiceUnavailable, problem.Status)
		l.Temporal.Mend()
		require.Eventually(t, ready("temporal"), time.Minute, 50*time.Millisecond)
		begun, ok := l.start("hello", "order 9", inputsOf(9))
		require.True(t, ok)
		assert.EqualValues(t, "succeeded", detail(c, begun, time.Minute).Status)
	})
}

// A daemon that cannot work with the others does not start, and says why.
func TestStartRefused(t *testing.T) {
	c := cluster.Start(t, 1, map[string]string{"hello": fmt.Sprintf(head, "hello") + send})
	other := filepath.Join(t.TempDir(), "other.key")
	v, err := vault.New(vault.Config{Dir: t.TempDir(), KeyFile: other})
	require.NoError(t, err)
	_, err = v.Seal([]byte("what makes the key"), nil)
	require.NoError(t, err)
	for _, one := range []struct {
		name string
		env  []string
		code int
		said []string
	}{
		{"no Temporal server", []string{"FACTEUR_TEMPORAL_ADDRESS=127.0.0.1:1"}, 3, []string{"Temporal at 127.0.0.1:1", "does not answer", "hint: "}},
		{"no namespace", []string{"FACTEUR_TEMPORAL_NAMESPACE=elsewhere"}, 3, []string{"there is no namespace elsewhere", "temporal operator namespace create"}},
		{"TLS where there is none", []string{"FACTEUR_TEMPORAL_TLS_SERVER_NAME=elsewhere"}, 3, []string{"Temporal at", "hint: "}},
		{"no ledger", []string{"FACTEUR_LEDGER_POSTGRES="}, 2, []string{"needs a ledger in PostgreSQL", "FACTEUR_LEDGER_POSTGRES"}},
		{"another password", []string{"PGPASSWORD=wrong"}, 3, []string{"the user or the password was refused", "PGPASSWORD"}},
		{"another key", []string{"FACTEUR_VAULT_KEY_FILE=" + other}, 3, []string{"sealed with another key", "all daemons must have the same key", "other.key"}},
		{"no key", []string{"FACTEUR_VAULT_KEY_FILE=none.key"}, 3, []string{"none.key: the key file is missing", "all daemons must have the same key"}},
		{"an API key that is not there", []string{"FACTEUR_TEMPORAL_API_KEY_FILE=none.key"}, 2, []string{"temporal.api_key_file", "none.key"}},
		{"another engine", []string{"FACTEUR_SERVER_ENGINE=steam"}, 2, []string{"steam"}},
	} {
		t.Run(one.name, func(t *testing.T) {
			env := append(one.env, "FACTEUR_DATA="+t.TempDir())
			_, stderr, code := c.Daemons[0].CommandWith(env, "serve", "--listen", "127.0.0.1:0")
			assert.Equal(t, one.code, code)
			for _, text := range one.said {
				assert.Contains(t, stderr, text)
			}
			assert.NotContains(t, stderr, os.Getenv("PGPASSWORD")+"wrong")
			t.Log(stderr)
		})
	}
}
