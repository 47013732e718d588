package temporal

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// A run gets only the receipts that it needs: each signal costs the server as much as a call.
// A search attribute names the calls whose receipts the run awaits, and Receive looks there
// first. A receipt that came before the attribute was written is not lost: the run fetches
// past receipts by an activity, which starts only after the attribute was written.

const (
	// allCalls stands for more calls than the attribute may name.
	allCalls = "*"
	// maxCallsBytes bounds the attribute, in bytes.
	maxCallsBytes = 200
	// receiptsRetry is the delay before receipts that could not be fetched, or mailboxes that
	// could not be reached, are tried again.
	receiptsRetry = 10 * time.Second
)

// awaitedCalls returns the keys of calls whose receipts matter to the run. Those of calls in
// flight do not, until they have an outcome.
func (r *runner) awaitedCalls() []string {
	return slices.DeleteFunc(host.OpenCalls(r.m), func(key string) bool { return r.inFlight[key] != nil })
}

// encodeCalls returns the attribute's value for some keys: the numbers of the calls.
func encodeCalls(keys []string) string {
	var b strings.Builder
	for _, key := range keys {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(call.NumberOf(key)))
		if b.Len() > maxCallsBytes {
			return allCalls
		}
	}
	return b.String()
}

// hasCall reports whether the attribute's value names a call.
func hasCall(calls, key string) bool {
	n := call.NumberOf(key)
	return n > 0 && (calls == allCalls || slices.Contains(strings.Split(calls, ","), strconv.Itoa(n)))
}

// loadReceipts applies the receipts of a call that came so far, unless it did so before.
func (r *runner) loadReceipts(key string) {
	if !r.in.Past || r.receiptsAsked[key] {
		return
	}
	r.receiptsAsked[key] = true
	r.fetchReceipts(key, func(ok bool) {
		if !ok {
			r.selector.AddFuture(workflow.NewTimer(r.ctx, receiptsRetry), func(workflow.Future) {
				delete(r.receiptsAsked, key) // they are fetched again if they still matter
			})
		}
	})
}

// fetchReceipts applies the receipts of a call that came so far, and then calls then; ok says
// whether they could be fetched.
func (r *runner) fetchReceipts(key string, then func(ok bool)) {
	r.pendingOps++
	once := workflow.WithActivityOptions(r.ctx, workflow.ActivityOptions{StartToCloseTimeout: 15 * time.Second, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 3}})
	r.selector.AddFuture(workflow.ExecuteActivity(once, pastActivity, key, r.started), func(f workflow.Future) {
		r.pendingOps--
		var list []stored.Receipt
		err := f.Get(r.ctx, &list)
		r.applyReceipts(list)
		then(err == nil)
	})
}

func (r *runner) applyReceipts(list []stored.Receipt) {
	for _, receipt := range list {
		r.apply(machine.Received{At: r.now(), Receipt: receipt.Receipt()})
	}
}

// loadReceiptsFirst applies the receipts of a step's earlier calls that may have happened, as
// the run may not have got them, and then queues the next call, if it is still wanted.
func (r *runner) loadReceiptsFirst(c *machine.Call) {
	switch {
	case !r.m.Wants(c):
	case len(c.Doubtful) == 0:
		r.queue = append(r.queue, c)
	default:
		r.fetchReceipts(c.Doubtful[0], func(ok bool) {
			if ok {
				c.Doubtful = c.Doubtful[1:]
				r.loadReceiptsFirst(c)
				return
			}
			r.selector.AddFuture(workflow.NewTimer(r.ctx, receiptsRetry), func(workflow.Future) { r.loadReceiptsFirst(c) })
		})
	}
}

// loadAwaitedReceipts loads the receipts of all awaited calls.
func (r *runner) loadAwaitedReceipts() {
	for _, key := range r.awaitedCalls() {
		r.loadReceipts(key)
	}
}

// loadReceipts is the activity that returns the receipts of a call that came so far. Runs of
// earlier versions do not say when they started.
func (h *Host) loadReceipts(ctx context.Context, key string, started time.Time) ([]stored.Receipt, error) {
	came, err := h.opts.Past.Read(ctx, started, key)
	if err != nil {
		return nil, err
	}
	out := make([]stored.Receipt, len(came))
	for i, receipt := range came {
		out[i] = stored.OfReceipt(receipt)
	}
	return out, nil
}
