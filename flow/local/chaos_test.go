package local_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	"facteur/flow/journal"
	"facteur/flow/machine"
	"facteur/flow/plan"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const talk = `
flow: talk
inputs: {to: {type: string}}
steps:
  - {id: ask, action: test.send, with: {to: "${inputs.to}"}, await: {state: delivered, timeout: 24h}, unknown_timeout: 24h, retry: {attempts: 3, delay: 1ms}}
  - id: reply
    wait_for: {event: test.reply, from: "${inputs.to}", when: 'event.text == "yes"', timeout: 24h}
  - parallel:
      a: [{wait: 2ms}, {id: one, action: test.send, connection: shop, with: {to: "${inputs.to}", text: "busy:"}, retry: {attempts: 3, delay: 1ms}, unknown_timeout: 24h}]
      b: [{id: two, action: test.send, with: {to: "slow ${inputs.to}"}, unknown_timeout: 24h}]
  - {id: get, action: test.get, with: {to: "${inputs.to}"}}
`

// Everything at once: replies and receipts in any order and repeated, holds that come and go,
// cancelled runs, and a host that crashes again and again. In the end every run has ended, and
// nothing was sent twice.
func TestChaos(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	files := map[string]func() (journal.Journal, error){
		"SQLite": func() (journal.Journal, error) { return journal.OpenSQLite(path) },
	}
	memory := &journal.Memory{}
	files["memory"] = func() (journal.Journal, error) { return memory, nil }
	for name, file := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &chaos{T: t, world: hosttest.NewWorld(), backend: &localBackend{minParkTime: time.Nanosecond, file: file}, runs: map[string]string{}}
			c.plan = c.world.Compile(t, talk)
			c.run()
		})
	}
}

type chaos struct {
	*testing.T
	world   *hosttest.World
	backend *localBackend
	plan    *plan.Plan

	mu    sync.Mutex
	host  host.Host
	runs  map[string]string // recipient by id
	order []string
	names int
}

func (c *chaos) run() {
	const lives = 12
	for life := range lives {
		h, err := c.backend.Open(context.Background(), c.world)
		require.NoError(c, err)
		c.mu.Lock()
		c.host = h
		c.mu.Unlock()
		var all sync.WaitGroup
		stop := make(chan bool)
		for _, f := range []func(int){c.startRun, c.reply, c.receipt, c.receipt, c.hold, c.inspect} {
			all.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
						f(n)
					}
				}
			})
		}
		time.Sleep(time.Duration(20+rand.IntN(60)) * time.Millisecond)
		if life%3 == 2 {
			close(stop)
			all.Wait()
			assert.NoError(c, c.backend.Stop(context.Background()))
			continue
		}
		c.backend.Crash()
		close(stop)
		all.Wait()
	}
	h, err := c.backend.Open(context.Background(), c.world)
	require.NoError(c, err)
	c.host = h
	c.world.VaultDown(false)
	for _, scope := range []host.Scope{host.All, host.Connection, host.Flow} {
		_ = h.Resume(context.Background(), scope, map[host.Scope]string{host.Connection: "shop", host.Flow: "talk"}[scope])
	}
	deadline := time.Now().Add(time.Minute)
	settled := 0
	for id := range c.runs {
		for n := 0; ; n++ {
			r, err := h.Get(context.Background(), id)
			require.NoError(c, err)
			if !r.Run.Ended.IsZero() {
				break
			}
			require.True(c, time.Now().Before(deadline), "%+v waits for %q, held by %v", r.Run, r.Waits, r.Holds)
			c.replyTo(c.runs[id])
			for _, one := range r.Calls {
				if one.Action == "test.send" && one.Outcome != nil && one.Outcome.Status != call.Failed {
					to, _ := one.Input["to"].(string)
					sent := false
					for _, m := range c.world.Messages(to) {
						sent = sent || m.Key == one.Key
					}
					if sent {
						require.NoError(c, h.Receive(context.Background(), c.world.Receipt(one.Key, "delivered")))
					} else if h.Settle(context.Background(), id, one.Step, host.Settlement{}) == nil {
						settled++
					}
				}
			}
			time.Sleep(time.Millisecond)
		}
	}
	ended := map[machine.Status]int{}
	for id := range c.runs {
		r, err := h.Wait(context.Background(), id)
		require.NoError(c, err)
		ended[r.Status]++
	}
	seen := map[string]bool{}
	messages := 0
	for _, to := range c.runs {
		for _, m := range append(c.world.Messages(to), c.world.Messages("slow "+to)...) {
			assert.False(c, m.Action == "test.send" && seen[m.Key], "%s was sent twice", m.Key)
			seen[m.Key] = true
			messages++
		}
	}
	c.Logf("%d lives, %d runs: %v; %d messages, none twice; %d settled by hand", lives, len(c.runs), ended, messages, settled)
	require.NoError(c, c.backend.Stop(context.Background()))
	unfinished, err := c.backend.file()
	require.NoError(c, err)
	require.NoError(c, unfinished.Unfinished(context.Background(), func(r journal.Run, _ journal.Waits) error {
		return fmt.Errorf("the run %s is %s", r.ID, r.Status)
	}))
	require.NoError(c, unfinished.Close())
}

func (c *chaos) startRun(int) {
	c.mu.Lock()
	c.names++
	to := fmt.Sprint("contact", c.names)
	c.mu.Unlock()
	run, _, err := c.host.Start(context.Background(), c.plan, host.Start{Inputs: map[string]any{"to": to}})
	if err == nil {
		c.mu.Lock()
		c.runs[run.ID] = to
		c.order = append(c.order, run.ID)
		c.mu.Unlock()
	}
	time.Sleep(time.Millisecond)
}

// anyRun returns one of the runs that were started.
func (c *chaos) anyRun() (id, to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.order) == 0 {
		return "nobody", "nobody"
	}
	id = c.order[rand.IntN(len(c.order))]
	return id, c.runs[id]
}

func (c *chaos) reply(int) {
	_, to := c.anyRun()
	c.replyTo(to)
	time.Sleep(100 * time.Microsecond)
}

func (c *chaos) replyTo(to string) {
	id, text := rand.Uint32(), "yes"
	if id%2 == 0 {
		text = "no"
	}
	_ = c.host.Deliver(context.Background(), host.Event{ID: fmt.Sprint(id), Name: "test.reply", Subjects: []string{"alias", to}, Data: map[string]any{"text": text}})
}

func (c *chaos) receipt(int) {
	_, to := c.anyRun()
	for _, m := range append(c.world.Messages(to), c.world.Messages("slow "+to)...) {
		if m.Action == "test.send" {
			_ = c.host.Receive(context.Background(), c.world.Receipt(m.Key, []string{"sent", "delivered"}[rand.IntN(2)]))
		}
	}
	time.Sleep(100 * time.Microsecond)
}

func (c *chaos) hold(n int) {
	ctx := context.Background()
	switch n % 6 {
	case 0:
		_ = c.host.Pause(ctx, host.Connection, "shop", "for a moment")
	case 1:
		_ = c.host.Pause(ctx, host.Flow, "talk", "for a moment")
	case 2:
		_ = c.host.Resume(ctx, host.Flow, "talk")
	case 3:
		_ = c.host.Resume(ctx, host.Connection, "shop")
	case 4:
		c.world.VaultDown(true)
	case 5:
		c.world.VaultDown(false)
	}
	time.Sleep(3 * time.Millisecond)
}

func (c *chaos) inspect(n int) {
	id, _ := c.anyRun()
	switch {
	case n%10 == 9:
		_ = c.host.Cancel(context.Background(), id, "no reason")
	case n%10 == 8:
		_ = c.host.Retry(context.Background(), id, false)
	case n%10 == 7:
		_, _ = c.host.Holds(context.Background())
	default:
		_, _ = c.host.Get(context.Background(), id)
	}
	time.Sleep(time.Millisecond)
}
