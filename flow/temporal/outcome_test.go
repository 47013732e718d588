package temporal_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	"facteur/flow/machine"
	"facteur/flow/temporal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	sdk "go.temporal.io/sdk/temporal"
)

var (
	accepted = call.Outcome{Status: call.Succeeded, Output: map[string]any{"id": "wamid", "delivery": "accepted"}}
	held     = call.Outcome{Status: call.Failed, Held: true, Retryable: true, Error: &call.Error{Code: "held", Message: "the vault is sealed"}}
	lost     = call.Outcome{Status: call.Unknown, Output: map[string]any{"delivery": "unknown"}, Error: &call.Error{Code: "outcome_unknown", Message: "the answer was lost"}}

	notStarted = sdk.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
	tooLong    = sdk.NewTimeoutError(enumspb.TIMEOUT_TYPE_START_TO_CLOSE, nil)
	workerLost = sdk.NewHeartbeatTimeoutError()
	lostLater  = sdk.NewHeartbeatTimeoutError(true)
)

// The outcome of a run of one call, by the result of its activity.
func TestFates(t *testing.T) {
	const prepared = "steps:\n  - {id: send, action: test.prepared, with: {to: a}}\n"
	const send, get = "steps:\n  - {id: send, action: test.send, connection: shop, timeout: 30s, with: {to: a}}\n", "steps:\n  - {id: send, action: test.get, with: {to: a}}\n"
	const resends = "steps:\n  - {id: send, action: test.send, with: {to: a}, on_unknown: resend, unknown_timeout: 10m}\n"
	receipt := call.Receipt{Key: "f1.run.1", ID: "r", State: "delivered", Data: map[string]any{"message_id": "wamid"}}
	tell := func(after time.Duration, signal string, arg any) func(*temporal.TestEnv) {
		return func(s *temporal.TestEnv) { s.Signal(after, signal, arg) }
	}
	for _, tt := range []struct {
		name, flow string
		fates      []temporal.CallResult
		tell       func(s *temporal.TestEnv)
		past       []call.Receipt
		deaf       bool // receipts are not there at first, and then cannot be had

		made     string // the keys of calls that were made, and their attempts
		run      machine.Status
		code     string        // of the step's error
		unknown  bool          // whether the step's outcome is unknown in the end
		attempts int           // that the step counts
		lasts    time.Duration // at least
	}{
		{name: "accepted", flow: send, fates: []temporal.CallResult{{Outcome: accepted}}, made: "f1.run.1 1", run: machine.Succeeded, attempts: 1},
		{
			name: "held: it is tried again, and that is no attempt", flow: send, fates: []temporal.CallResult{{Outcome: held}, {Outcome: held}, {Outcome: accepted}},
			made: "f1.run.1 1, f1.run.2 1, f1.run.3 1", run: machine.Succeeded, attempts: 1, lasts: 3 * time.Second,
		},
		{
			name: "cancelled while it is held: it is not made", flow: send, fates: []temporal.CallResult{{Outcome: held}}, tell: tell(500*time.Millisecond, temporal.Cancel, "enough"),
			made: "f1.run.1 1", run: machine.Cancelled, attempts: 0,
		},
		{
			name: "no worker took it up: surely not sent", flow: send, fates: []temporal.CallResult{{Error: notStarted}, {Outcome: accepted}},
			made: "f1.run.1 1, f1.run.2 1", run: machine.Succeeded, attempts: 1,
		},
		{
			name: "the worker was lost, no news", flow: send, fates: []temporal.CallResult{{Error: workerLost}},
			made: "f1.run.1 1", run: machine.Failed, code: "outcome_unknown", unknown: true, attempts: 1, lasts: 10 * time.Minute,
		},
		{
			name: "the worker was lost, and news came", flow: send, fates: []temporal.CallResult{{Error: workerLost}}, tell: tell(time.Minute, temporal.Receipts, receipt),
			made: "f1.run.1 1", run: machine.Succeeded, attempts: 1, lasts: time.Minute,
		},
		{
			name: "the worker was lost after news had come", flow: send, fates: []temporal.CallResult{{Error: workerLost}}, past: []call.Receipt{receipt},
			made: "f1.run.1 1", run: machine.Succeeded, attempts: 1,
		},
		{
			name: "the worker was lost that asked for something", flow: get, fates: []temporal.CallResult{{Error: workerLost}, {Outcome: accepted}},
			made: "f1.run.1 1, f1.run.1 1", run: machine.Succeeded, attempts: 1,
		},
		{
			name: "the worker was lost before the call began: surely not sent", flow: prepared, fates: []temporal.CallResult{{Error: workerLost}, {Error: tooLong}, {Outcome: accepted}},
			made: "f1.run.1 1, f1.run.2 1, f1.run.3 1", run: machine.Succeeded, attempts: 1,
		},
		{
			name: "the worker was lost after the call began", flow: prepared, fates: []temporal.CallResult{{Error: lostLater}},
			made: "f1.run.1 1", run: machine.Failed, code: "outcome_unknown", unknown: true, attempts: 1, lasts: 10 * time.Minute,
		},
		{
			name: "the worker hangs", flow: send, fates: []temporal.CallResult{{Error: tooLong}},
			made: "f1.run.1 1", run: machine.Failed, code: "outcome_unknown", unknown: true, attempts: 1,
		},
		{
			name: "it may have happened, and is made again", flow: resends, fates: []temporal.CallResult{{Outcome: lost}, {Outcome: accepted}},
			made: "f1.run.1 1, f1.run.2 2", run: machine.Succeeded, unknown: true, attempts: 2, lasts: 10 * time.Minute,
		},
		{
			name: "it may have happened, and the run was not told that it did", flow: resends, fates: []temporal.CallResult{{Outcome: lost}}, past: []call.Receipt{receipt}, deaf: true,
			made: "f1.run.1 1", run: machine.Succeeded, attempts: 1, lasts: 10 * time.Minute,
		},
		{
			name: "news overtake the answer", flow: send, fates: []temporal.CallResult{{After: 5 * time.Second, Outcome: lost}}, tell: tell(time.Second, temporal.Receipts, receipt),
			made: "f1.run.1 1", run: machine.Succeeded, attempts: 1, lasts: 5 * time.Second,
		},
		{
			name: "cancelled under way: its outcome counts", flow: send, fates: []temporal.CallResult{{After: 5 * time.Second, Outcome: accepted}}, tell: tell(time.Second, temporal.Cancel, "enough"),
			made: "f1.run.1 1", run: machine.Cancelled, attempts: 1, lasts: 5 * time.Second,
		},
		{
			name: "cancelled under way, and then the worker was lost", flow: send, fates: []temporal.CallResult{{After: 5 * time.Second, Error: workerLost}}, tell: tell(time.Second, temporal.Cancel, "enough"),
			made: "f1.run.1 1", run: machine.Cancelled, code: "outcome_unknown", unknown: true, attempts: 1, lasts: 5 * time.Second,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := hosttest.NewWorld()
			s := temporal.NewTestEnv(options(w), "run")
			made := s.Calls(tt.fates...)
			if tt.deaf {
				s.PastFails()
			}
			s.Past(tt.past...)
			if tt.tell != nil {
				tt.tell(s)
			}
			began := s.Now()
			m := s.Run(w.Compile(t, "flow: one\n"+tt.flow), machine.Version, nil)
			require.True(t, s.IsWorkflowCompleted())
			require.NotNil(t, m)
			var keys []string
			for _, c := range *made {
				keys = append(keys, fmt.Sprintf("%s %d", c.Key, c.Attempt))
			}
			assert.Equal(t, tt.made, strings.Join(keys, ", "))
			require.NotNil(t, m.Result())
			assert.Equal(t, tt.run, m.Result().Status)
			require.Len(t, m.Steps(), 1)
			step, code := m.Steps()[0], ""
			if step.Error != nil {
				code = step.Error.Code
			}
			if tt.run != machine.Cancelled || tt.code != "" {
				assert.Equal(t, tt.code, code)
			}
			assert.Equal(t, tt.unknown, step.Unknown)
			assert.Equal(t, tt.attempts, step.Attempts)
			assert.GreaterOrEqual(t, s.Now().Sub(began), tt.lasts)
		})
	}
}

// A call whose input is larger than the server takes is not made.
func TestTooMuch(t *testing.T) {
	w := hosttest.NewWorld()
	s := temporal.NewTestEnv(options(w), "run")
	made := s.Calls()
	p := w.Compile(t, "flow: one\ninputs: {text: {type: string}}\nsteps:\n  - {id: send, action: test.send, with: {to: '${inputs.text}', text: '${inputs.text}'}}\n")
	m := s.Run(p, machine.Version, map[string]any{"text": strings.Repeat("x", 1_000_000)})
	require.NotNil(t, m)
	assert.Empty(t, *made)
	require.NotNil(t, m.Steps()[0].Error)
	assert.Equal(t, "too_large", m.Steps()[0].Error.Code)
	assert.Contains(t, m.Steps()[0].Error.Message, "was not called")
}

// A worker of another version of the machine does not touch the run, which waits for one of the
// right version.
func TestOtherVersion(t *testing.T) {
	w := hosttest.NewWorld()
	s := temporal.NewTestEnv(options(w), "run")
	made := s.Calls()
	s.Run(w.Compile(t, "flow: one\nsteps:\n  - {id: send, action: test.send, with: {to: a}}\n"), machine.Version+1, nil)
	assert.ErrorContains(t, s.GetWorkflowError(), "a daemon of that version has to go on with it")
	assert.Empty(t, *made)
}

// A mailbox retains a bounded number, and size, of events for runs that wait later.
func TestMailbox(t *testing.T) {
	letters := func(n, size int) (out []host.Event) {
		for i := range n {
			out = append(out, host.Event{ID: fmt.Sprint(i), Name: "test.reply", Subjects: []string{"a"}, At: time.Now().Add(24 * time.Hour), Data: map[string]any{"text": strings.Repeat("x", size)}})
		}
		return out
	}
	for _, tt := range []struct {
		name        string
		n, size     int
		first, last string
		count       int
	}{
		{"few", 3, 10, "0", "2", 3},
		{"many", 130, 10, "30", "129", 100},
		{"long ones", 30, 100_000, "20", "29", 10},
		{"one that is longer than all may be", 2, 1_500_000, "1", "1", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := temporal.NewTestEnv(options(hosttest.NewWorld()), "box")
			s.SetStartTime(time.Now())
			brought := s.Mailbox(letters(tt.n, tt.size))
			require.Len(t, brought, tt.count)
			assert.Equal(t, tt.first, brought[0])
			assert.Equal(t, tt.last, brought[len(brought)-1])
		})
	}
}

// An event gets to the runs that wait for it before it is fired, however long their mailbox could
// not be reached.
func TestEventThatComesLate(t *testing.T) {
	for _, deaf := range []time.Duration{0, 20 * time.Second, 5 * time.Minute} {
		s := temporal.NewTestEnv(options(hosttest.NewWorld()), "event")
		assert.Equal(t, []bool{true}, s.Event(deaf), deaf)
		require.NoError(t, s.GetWorkflowError())
	}
}

// A mailbox ends when the runs that wait have ended, though they do not unsubscribe.
func TestMailboxOfNobody(t *testing.T) {
	s := temporal.NewTestEnv(options(hosttest.NewWorld()), "box")
	s.RunsEnded(2)
	began := s.Now()
	s.WaitAtMailbox("one", "other")
	require.True(t, s.IsWorkflowCompleted())
	require.NoError(t, s.GetWorkflowError())
	assert.InDelta(t, 21*24, s.Now().Sub(began).Hours(), 1, "it looks once a week, and twice in vain")
}

// A lock finds out that runs were terminated on the server, however long its queue is.
func TestLockOfNobody(t *testing.T) {
	s := temporal.NewTestEnv(options(hosttest.NewWorld()), "lock")
	most := s.RunsEnded(1)
	var runs []string
	for i := range 2500 {
		runs = append(runs, fmt.Sprint("run ", i))
	}
	s.QueueAtLock(2, runs...)
	require.True(t, s.IsWorkflowCompleted())
	require.NoError(t, s.GetWorkflowError())
	assert.LessOrEqual(t, *most, 1000, "the server takes its time")
}

// A call that a daemon certainly did not make before a hard stop is made by another one.
func TestHardStop(t *testing.T) {
	o := options(hosttest.NewWorld())
	var cut context.CancelFunc
	o.Hard, cut = context.WithCancel(t.Context())
	o.Do = func(context.Context, call.Call) call.Outcome {
		cut()
		return call.Outcome{Status: call.Cancelled}
	}
	outcome, err := temporal.MakeCall(o, call.Call{Key: "f1.run.1", Run: "run", Action: "test.send", Attempt: 1, Input: map[string]any{"to": "a"}}, false)
	require.NoError(t, err)
	assert.True(t, outcome.Held)
}

// The result of a call's activity, and whether it makes the call.
func TestCalls(t *testing.T) {
	noise := make([]byte, 2_000_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	text := hex.EncodeToString(noise)
	for _, tt := range []struct {
		name, action string
		reset        bool
		does         call.Outcome
		made         bool
		status       call.Status
		code         string
		output       map[string]any
	}{
		{"as it is", "test.send", false, accepted, true, call.Succeeded, "", accepted.Output},
		{"an answer that compresses well", "test.get", false, call.Outcome{Status: call.Succeeded, Output: map[string]any{"id": strings.Repeat("x", 3_000_000)}}, true, call.Succeeded, "", map[string]any{"id": strings.Repeat("x", 3_000_000)}},
		{"an answer that is too long", "test.get", false, call.Outcome{Status: call.Succeeded, Output: map[string]any{"id": text, "delivery": "accepted"}}, true, call.Failed, "too_large", map[string]any{"delivery": "accepted"}},
		{"an error that is too long", "test.get", false, call.Outcome{Status: call.Failed, Retryable: true, Error: &call.Error{Code: "131000", Message: text}}, true, call.Failed, "131000", nil},
		{"after a reset", "test.send", true, accepted, false, call.Unknown, "outcome_unknown", nil},
		{"after a reset, and it is harmless", "test.get", true, accepted, true, call.Succeeded, "", accepted.Output},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := hosttest.NewWorld()
			o, made := options(w), false
			o.Do = func(context.Context, call.Call) call.Outcome { made = true; return tt.does }
			outcome, err := temporal.MakeCall(o, call.Call{Key: "f1.run.1", Run: "run", Action: tt.action, Attempt: 1, Input: map[string]any{"to": "a"}}, tt.reset)
			require.NoError(t, err)
			assert.Equal(t, tt.made, made)
			assert.Equal(t, tt.status, outcome.Status)
			if tt.code != "" {
				assert.Equal(t, tt.code, outcome.Error.Code)
			}
			assert.Equal(t, len(tt.output), len(outcome.Output))
			for name := range tt.output {
				assert.True(t, tt.output[name] == outcome.Output[name], name)
			}
		})
	}
}

// A run whose history is about to be too large starts nothing new.
func TestFull(t *testing.T) {
	w := hosttest.NewWorld()
	s := temporal.NewTestEnv(options(w), "run")
	made := s.Calls()
	s.SetCurrentHistorySize(41 << 20)
	m := s.Run(w.Compile(t, "flow: one\nsteps:\n  - {id: send, action: test.send, with: {to: a}}\n"), machine.Version, nil)
	require.NotNil(t, m)
	assert.Equal(t, machine.Cancelled, m.Result().Status)
	assert.Empty(t, *made)
}
