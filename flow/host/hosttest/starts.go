package hosttest

import (
	"fmt"
	"strings"
	"sync"

	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/plan"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func startInput(inputs map[string]any, key string) host.Start {
	return host.Start{Inputs: inputs, Key: key, By: "test"}
}

// oneAtATime has one active run per contact.
const oneAtATime = `
flow: one
inputs: {to: {type: string}, n: {type: string, default: ""}}
concurrency: {key: "${inputs.to}", limit: 1, on_conflict: queue}
steps:
  - {id: send, action: test.send, with: {to: "${inputs.to}", text: "gate: ${inputs.n}"}}
  - {id: reply, wait_for: {event: test.reply, from: "${inputs.to}", timeout: 24h}}
`

// retryFlow has one active run. The text makes its send fail or not, and is the name of the contact
// that it waits for then.
func retryFlow(conflict string) string {
	return `
flow: again
inputs: {text: {type: string}}
concurrency: {limit: 1, on_conflict: ` + conflict + `}
steps:
  - try:
      - {id: send, action: test.send, with: {to: a, text: "${inputs.text}"}, unknown_timeout: 1ms}
      - {id: reply, wait_for: {event: test.reply, from: "${inputs.text}", timeout: 24h}}
    finally:
      - {id: last, action: test.send, with: {to: b}}
`
}

var starts = []test{
	{"a repeated key", func(s *fixture) {
		p := s.world.Compile(s, send)
		first, fresh, err := s.Start(s.Context(), p, startInput(map[string]any{"to": "a", "text": "x"}, "k"))
		require.NoError(s, err)
		assert.True(s, fresh)
		for range 2 {
			again, fresh, err := s.Start(s.Context(), p, startInput(map[string]any{"to": "a", "text": "x"}, "k"))
			require.NoError(s, err)
			assert.False(s, fresh)
			assert.Equal(s, first.ID, again.ID)
			s.waitEnd(first.ID, machine.Succeeded)
			s.reopen(true)
		}
		_, _, err = s.Start(s.Context(), p, startInput(map[string]any{"to": "b", "text": "x"}, "k"))
		var reused *host.ReusedError
		require.ErrorAs(s, err, &reused)
		assert.Equal(s, first.ID, reused.Run)
		other, fresh, err := s.Start(s.Context(), s.world.Compile(s, question), startInput(questionInputs("a", ""), "k"))
		require.NoError(s, err)
		assert.True(s, fresh, "keys are of one flow")
		assert.NotEqual(s, first.ID, other.ID)
		s.waitMessages("a", 2)
	}},
	{"a repeated key, after the defaults changed", func(s *fixture) {
		flow := func(text string) *plan.Plan {
			return s.world.Compile(s, strings.Replace(send, "default: hello", "default: "+text, 1))
		}
		given := func(p *plan.Plan, in map[string]any) host.Start {
			coerced, found := p.Inputs.Coerce(in)
			require.NoError(s, found.Err())
			return host.Start{Inputs: coerced.(map[string]any), Given: in, Key: "k"}
		}
		before, after := flow("hello"), flow("bye")
		first, _, err := s.Start(s.Context(), before, given(before, map[string]any{"to": "a"}))
		require.NoError(s, err)
		s.waitEnd(first.ID, machine.Succeeded)
		s.reopen(true)
		for _, in := range []map[string]any{{"to": "a"}, {"to": "a", "text": "hello"}} {
			again, fresh, err := s.Start(s.Context(), after, given(after, in))
			require.NoError(s, err)
			assert.False(s, fresh)
			assert.Equal(s, first.ID, again.ID)
		}
		_, _, err = s.Start(s.Context(), after, given(after, map[string]any{"to": "b"}))
		var reused *host.ReusedError
		require.ErrorAs(s, err, &reused)
		assert.Len(s, s.world.Messages("a"), 1)
	}},
	{"the first run of a key", func(s *fixture) {
		p := s.world.Compile(s, send)
		given := map[string]any{"to": "a"}
		coerced, found := p.Inputs.Coerce(given)
		require.NoError(s, found.Err())
		inputs := coerced.(map[string]any)
		var missing *host.NotFoundError
		_, err := s.First(s.Context(), p.Name, "k", given)
		require.ErrorAs(s, err, &missing)
		run, _, err := s.Start(s.Context(), p, host.Start{Inputs: inputs, Given: given, Key: "k"})
		require.NoError(s, err)
		s.waitEnd(run.ID, machine.Succeeded)
		s.reopen(true)
		for _, in := range []map[string]any{given, inputs} {
			first, err := s.First(s.Context(), p.Name, "k", in)
			require.NoError(s, err)
			assert.Equal(s, run.ID, first.ID)
			assert.Equal(s, machine.Succeeded, first.Status)
		}
		var reused *host.ReusedError
		for _, in := range []map[string]any{{"to": "b"}, {}, nil} {
			_, err = s.First(s.Context(), p.Name, "k", in)
			require.ErrorAs(s, err, &reused)
			assert.Equal(s, run.ID, reused.Run)
		}
		_, err = s.First(s.Context(), p.Name, "another", given)
		assert.ErrorAs(s, err, &missing)
		_, err = s.First(s.Context(), "another", "k", given)
		assert.ErrorAs(s, err, &missing, "keys are of one flow")
	}},
	{"concurrent starts with one key", func(s *fixture) {
		p := s.world.Compile(s, send)
		var all sync.WaitGroup
		var mu sync.Mutex
		ids, began := map[string]bool{}, 0
		for range 20 {
			all.Go(func() {
				run, fresh, err := s.Start(s.Context(), p, startInput(map[string]any{"to": "a", "text": "x"}, "k"))
				assert.NoError(s, err)
				mu.Lock()
				defer mu.Unlock()
				if ids[run.ID] = true; fresh {
					began++
				}
			})
		}
		all.Wait()
		assert.Len(s, ids, 1)
		assert.Equal(s, 1, began)
		for id := range ids {
			s.waitEnd(id, machine.Succeeded)
		}
		assert.Len(s, s.world.Messages("a"), 1)
	}},
	{"queued", func(s *fixture) {
		var runs []string
		for n := range 3 {
			runs = append(runs, s.startRun(oneAtATime, map[string]any{"to": "a", "n": fmt.Sprint(n)}))
		}
		other := s.startRun(oneAtATime, map[string]any{"to": "b"})
		s.waitMessages("b", 1)
		s.world.Answer("a")
		s.world.Answer("b")
		for n, run := range runs {
			s.waitMessages("a", n+1)
			s.waitStatus(run, host.Waiting)
			if n < 2 {
				assert.Equal(s, host.Queued, s.report(runs[n+1]).Run.Status)
			}
			if n == 0 {
				s.reopen(true)
			}
			s.deliverReply(fmt.Sprint(n), "go on", "a")
			s.waitEnd(run, machine.Succeeded)
		}
		for n, m := range s.world.Messages("a") {
			assert.Equal(s, fmt.Sprintf("gate: %d", n), m.Text, "in the order of their start")
		}
		require.NoError(s, s.Cancel(s.Context(), other, ""))
		s.waitEnd(other, machine.Cancelled)
	}},
	{"cancelled while queued", func(s *fixture) {
		s.world.Answer("a")
		first, second, third := s.startRun(oneAtATime, map[string]any{"to": "a"}), s.startRun(oneAtATime, map[string]any{"to": "a"}), s.startRun(oneAtATime, map[string]any{"to": "a"})
		s.waitStatus(first, host.Waiting)
		require.NoError(s, s.Cancel(s.Context(), second, "not needed"))
		s.waitEnd(second, machine.Cancelled)
		require.NoError(s, s.Cancel(s.Context(), first, ""))
		s.waitEnd(first, machine.Cancelled)
		s.waitStatus(third, host.Waiting)
		assert.Len(s, s.world.Messages("a"), 2)
	}},
	{"rejected", func(s *fixture) {
		const flow = `
flow: f
concurrency: {limit: 2, on_conflict: reject}
steps:
  - {id: reply, wait_for: {event: test.reply, from: a, timeout: 24h}}
`
		first, _ := s.startRun(flow, nil), s.startRun(flow, nil)
		third, fresh, err := s.Start(s.Context(), s.world.Compile(s, flow), startInput(map[string]any{}, ""))
		require.NoError(s, err)
		assert.True(s, fresh)
		assert.Equal(s, host.Rejected, third.Status)
		r := s.waitEnd(third.ID, host.Rejected)
		assert.NotNil(s, r.Error)
		assert.Len(s, s.list(host.Filter{Status: host.Rejected}), 1)
		require.NoError(s, s.Cancel(s.Context(), first, ""))
		s.waitEnd(first, machine.Cancelled)
		s.waitStatus(s.startRun(flow, nil), host.Waiting)
	}},
	{"a retry that is queued", func(s *fixture) {
		busy, lost := s.startRun(retryFlow("queue"), map[string]any{"text": "busy"}), s.startRun(retryFlow("queue"), map[string]any{"text": "lost"})
		s.waitEnd(busy, machine.Failed)
		s.waitEnd(lost, machine.Failed)
		s.reopen(true)
		require.NoError(s, s.Retry(s.Context(), busy, false))
		s.waitStatus(busy, host.Waiting)
		require.NoError(s, s.Retry(s.Context(), lost, true))
		s.waitStatus(lost, host.Queued)
		var state *host.StateError
		assert.ErrorAs(s, s.Retry(s.Context(), lost, true), &state, "it has not ended")
		first := s.startRun(retryFlow("queue"), map[string]any{"text": "hello"})
		assert.Equal(s, host.Queued, s.report(first).Run.Status)
		assert.Len(s, s.list(host.Filter{Status: host.Queued}), 2)
		s.reopen(true)

		require.NoError(s, s.Cancel(s.Context(), lost, "not now"))
		s.waitEnd(lost, machine.Cancelled)
		assert.Len(s, s.world.Messages("a"), 2, "that of the retry is not among them")
		assert.Len(s, s.world.Messages("b"), 2, "and what came last has come")
		assert.Equal(s, 1, s.report(lost).Run.Unknown)
		assert.Len(s, s.list(filterUnknown), 1)
		assert.ErrorAs(s, s.Retry(s.Context(), lost, false), &state, "its call may have happened")
		s.receive("f1."+lost+".1", "sent")
		assert.Zero(s, s.report(lost).Run.Unknown)
		require.NoError(s, s.Retry(s.Context(), lost, false))
		s.waitStatus(lost, host.Queued)

		for n, run := range []string{busy, first, lost} {
			s.waitStatus(run, host.Waiting)
			s.deliverReply(fmt.Sprint(n), "go on", []string{"busy", "hello", "lost"}[n])
			s.waitEnd(run, machine.Succeeded)
		}
		assert.Len(s, s.world.Messages("a"), 3)
		s.assertNoDuplicates()
	}},
	{"cancelled and retried at once", func(s *fixture) {
		first, second := s.startRun(retryFlow("queue"), map[string]any{"text": "1"}), s.startRun(retryFlow("queue"), map[string]any{"text": "2"})
		s.waitStatus(first, host.Waiting)
		turns := []string{first, second}
		for range 4 {
			require.NoError(s, s.Cancel(s.Context(), turns[0], ""))
			s.waitEnd(turns[0], machine.Cancelled)
			require.NoError(s, s.Retry(s.Context(), turns[0], false))
			turns[0], turns[1] = turns[1], turns[0]
			s.waitStatus(turns[0], host.Waiting)
			s.waitStatus(turns[1], host.Queued)
		}
		for n, run := range turns {
			s.waitStatus(run, host.Waiting)
			s.deliverReply(fmt.Sprint(n), "go on", fmt.Sprint(n+1))
			s.waitEnd(run, machine.Succeeded)
		}
		assert.Len(s, s.world.Messages("a"), 2)
		s.assertNoDuplicates()
	}},
	{"a retry that is rejected", func(s *fixture) {
		failed := s.startRun(retryFlow("reject"), map[string]any{"text": "busy"})
		s.waitEnd(failed, machine.Failed)
		holder := s.startRun(retryFlow("reject"), map[string]any{"text": "hello"})
		s.waitStatus(holder, host.Waiting)
		var state *host.StateError
		require.ErrorAs(s, s.Retry(s.Context(), failed, false), &state)
		assert.Contains(s, state.Reason, "concurrency")
		assert.Equal(s, machine.Failed, s.report(failed).Run.Status)
		s.deliverReply("1", "go on", "hello")
		s.waitEnd(holder, machine.Succeeded)
		require.NoError(s, s.Retry(s.Context(), failed, false))
		s.waitStatus(failed, host.Waiting)
		assert.Equal(s, host.Rejected, s.report(s.startRun(retryFlow("reject"), map[string]any{"text": "hello"})).Run.Status)
		s.deliverReply("2", "go on", "busy")
		s.waitEnd(failed, machine.Succeeded)
	}},
	{"sensitive inputs of a run that never begins", func(s *fixture) {
		for _, conflict := range []string{"queue", "reject"} {
			flow := `
flow: ` + conflict + `
inputs: {pin: {type: string, sensitive: true}}
concurrency: {limit: 1, on_conflict: ` + conflict + `}
steps:
  - {id: reply, wait_for: {event: test.reply, from: a, timeout: 24h}}
`
			first, second := s.startRun(flow, map[string]any{"pin": "1234"}), s.startRun(flow, map[string]any{"pin": "1234"})
			for _, run := range []string{first, second} {
				assert.Equal(s, []any{"1234"}, s.report(run).Result.Sensitive)
			}
			s.reopen(true)
			if conflict == "queue" {
				require.NoError(s, s.Cancel(s.Context(), second, ""))
				s.waitEnd(second, machine.Cancelled)
			}
			assert.Equal(s, []any{"1234"}, s.report(second).Result.Sensitive)
		}
		run := s.startRun(send, map[string]any{"to": "a"})
		assert.NotNil(s, s.report(run).Result.Sensitive, "it is known that there is nothing")
	}},
	{"settings that change", func(s *fixture) {
		const flow = `
flow: f
steps:
  - {id: reply, wait_for: {event: test.reply, from: a, timeout: 24h}}
  - {id: send, action: test.send, with: {to: "${settings.to}", text: "${string(settings.n / settings.of[0])}"}}
`
		s.world.Configure(map[string]any{"to": "old", "n": 3.0, "of": []any{2.0}, "unused": "x"})
		first, second := s.startRun(flow, nil), s.startRun(flow, nil)
		s.waitStatus(first, host.Waiting)
		s.waitStatus(second, host.Waiting)
		s.world.Configure(map[string]any{"to": "new", "n": int64(7), "of": []any{int64(2), int64(4)}, "more": true})
		third := s.startRun(flow, nil)
		s.waitStatus(third, host.Waiting)
		assert.NotEqual(s, s.report(first).Run.Digest, s.report(third).Run.Digest)
		s.reopen(true)
		s.deliverReply("1", "go on", "a")
		for _, run := range []string{first, second, third} {
			s.waitEnd(run, machine.Succeeded)
		}
		for to, text := range map[string]string{"old": "1.5", "new": "3"} {
			for _, m := range s.world.Messages(to) {
				assert.Equal(s, text, m.Text, to)
			}
		}
		assert.Len(s, s.world.Messages("old"), 2)
		assert.Len(s, s.world.Messages("new"), 1)
	}},
	{"no start while stopping", func(s *fixture) {
		s.stop()
		_, _, err := s.Start(s.Context(), s.world.Compile(s, send), startInput(map[string]any{"to": "a"}, ""))
		var stopping *host.StoppingError
		assert.ErrorAs(s, err, &stopping)
	}},
}
