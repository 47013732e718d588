package temporal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/host/hosttest"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"
	"facteur/flow/plan"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
)

const everything = `flow: everything
steps:
  - foreach: "${['a', 'b', 'c']}"
    as: to
    concurrency: 2
    allow_failure: true
    steps: [{id: send, action: test.send, connection: shop, timeout: 20s, retry: {attempts: 3}, with: {to: '${to}'}}]
  - {id: get, action: test.get, allow_failure: true, retry: {attempts: 2}, with: {to: x}}
  - {id: prepared, action: test.prepared, allow_failure: true, retry: {attempts: 2}, with: {to: p}}
  - {wait_for: {event: test.reply, from: a, timeout: 1m}, on_timeout: continue}
  - try: [{id: awaits, action: test.send, await: {state: delivered, timeout: 1m}, with: {to: d}}]
    finally: [{id: last, action: test.send, with: {to: l}}]
`

// Whatever the results of calls, and whichever signals come, late, twice or in vain: a run ends,
// and a call that may have happened is not made again.
func TestChaos(t *testing.T) {
	w := hosttest.NewWorld()
	p := w.Compile(t, everything)
	o := Options{Catalog: w, Do: w.Do, Restore: func(string, map[string]string) (*plan.Plan, error) { return p, nil }}
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			var mu sync.Mutex
			r := rand.New(rand.NewPCG(seed, 0))
			n := func(n int) int { mu.Lock(); defer mu.Unlock(); return r.IntN(n) }
			s := NewTestEnv(o, "run")
			receipt := func() stored.Receipt {
				return stored.OfReceipt(call.Receipt{Key: fmt.Sprint("f1.run.", 1+n(9)), ID: fmt.Sprint(n(20)), State: []string{"sent", "delivered"}[n(2)], Data: map[string]any{"message_id": "wamid"}})
			}
			doubtful := map[string]string{} // steps that may have happened, and by which call
			keys := map[string]bool{}
			calls := func(_ context.Context, one callInput) (callResult, error) {
				c, what := one.Call.Call(), n(12)
				mu.Lock()
				if c.Action != "test.get" {
					require.False(t, keys[c.Key], "%s is made twice", c.Key)
					require.Empty(t, doubtful[c.Step], "%s is made again, by %s", c.Step, c.Key)
				}
				keys[c.Key] = true
				if what < 6 {
					doubtful[c.Step] = c.Key
				}
				mu.Unlock()
				reply := func(o call.Outcome, hold string) (callResult, error) {
					return callResult{Outcome: stored.OfOutcome(o), Hold: hold}, nil
				}
				sent, failed := map[string]any{"id": "wamid", "delivery": "accepted"}, &call.Error{Code: "1", Message: "no"}
				switch what {
				case 0, 1:
					return reply(call.Outcome{Status: call.Succeeded, Output: sent}, "")
				case 2:
					return reply(call.Outcome{Status: call.Pending, Output: sent}, "")
				case 3:
					return reply(call.Outcome{Status: call.Unknown, Error: failed}, "")
				case 4:
					return callResult{}, temporal.NewHeartbeatTimeoutError(true)
				case 5:
					return callResult{}, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_START_TO_CLOSE, nil, true)
				case 6, 7:
					return reply(call.Outcome{Status: call.Failed, Retryable: true, Error: failed}, "")
				case 8:
					return reply(call.Outcome{Status: call.Failed, Held: true, Retryable: true, Error: failed}, "connection/shop")
				case 9:
					return callResult{}, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
				case 10:
					return reply(call.Outcome{Status: call.Cancelled}, "")
				}
				return reply(call.Outcome{Status: call.Failed, Error: failed}, "")
			}
			for _, name := range []string{callActivity, beginActivity} {
				s.OnActivity(name, mock.Anything, mock.Anything).AfterFn(func() time.Duration { return time.Duration(n(10)) * time.Second }).Return(calls)
			}
			s.OnActivity(pastActivity, mock.Anything, mock.Anything, mock.Anything).Return(func(_ context.Context, key string, _ time.Time) ([]stored.Receipt, error) {
				one := receipt()
				if one.Key = key; n(3) == 0 {
					return nil, errors.New("the ledger does not answer")
				}
				return []stored.Receipt{one}[:n(2)], nil
			})
			s.OnActivity(subscribeActivity, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil)
			s.OnSignalExternalWorkflow(mock.Anything, mock.Anything, "", mock.Anything, mock.Anything).Return(nil)
			for range n(12) {
				after := time.Duration(n(120)) * time.Second
				for range 1 + n(2) {
					switch n(6) {
					case 0, 1:
						s.Signal(after, receiptsSignal, []stored.Receipt{receipt(), receipt()})
					case 2:
						s.Signal(after, liftedSignal, "connection/shop")
					case 3:
						s.Signal(after, admittedSignal, []string{"", "run", "run/000000001"}[n(3)])
					case 4:
						s.Signal(after, arrivedSignal, arrivedEvents{Await: n(3), Deliveries: []delivery{{Workflow: "event", Event: eventForm{ID: fmt.Sprint(n(3)), Data: []byte(`{"text": "yes"}`)}}}})
					default:
						if n(4) == 0 {
							s.Signal(after, cancelSignal, "enough")
						}
						one, err := stored.Encode(nil, machine.Settled{Key: fmt.Sprint("f1.run.", 1+n(9)), Happened: true})
						require.NoError(t, err)
						s.Signal(after, settledSignal, one)
					}
				}
			}
			m := s.Run(p, machine.Version, nil)
			require.True(t, s.IsWorkflowCompleted())
			require.NotNil(t, m)
			require.NotNil(t, m.Result(), "%v", s.GetWorkflowError())
		})
	}
}
