package storm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"facteur/server"
)

// Customers start runs of a flow on a daemon, each with an idempotency key, and repeat requests
// that fail until they are answered.
type Customers struct {
	over chan struct{}
	all  sync.WaitGroup

	mu           sync.Mutex
	acknowledged map[string]string // runs, by key
}

// NewCustomers starts so many customers. inputs returns those of the i-th run of customer n.
func NewCustomers(t testing.TB, daemon *server.Client, flow string, count int, inputs func(n, i int) map[string]any) *Customers {
	c := &Customers{over: make(chan struct{}), acknowledged: map[string]string{}}
	for n := range count {
		c.all.Go(func() {
			for i := 0; c.start(t, daemon, flow, fmt.Sprintf("%d/%d", n, i), inputs(n, i)); i++ {
			}
		})
	}
	return c
}

// start starts a run, and reports whether the customer goes on.
func (c *Customers) start(t testing.TB, daemon *server.Client, flow, key string, inputs map[string]any) bool {
	for {
		select {
		case <-c.over:
			return false
		case <-time.After(time.Duration(rand.IntN(20)) * time.Millisecond):
		}
		began, err := daemon.Start(context.Background(), flow, server.StartRequest{Inputs: inputs}, server.StartOption{Key: key})
		if err == nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.acknowledged[key] = began.RunID
			return true
		}
		if problem, ok := errors.AsType[*server.Problem](err); ok && problem.Status < 500 {
			t.Error(err)
			return false
		}
	}
}

// Stop stops the customers, and returns the runs of the starts that were acknowledged, by
// idempotency key.
func (c *Customers) Stop() map[string]string {
	close(c.over)
	c.all.Wait()
	return c.acknowledged
}
