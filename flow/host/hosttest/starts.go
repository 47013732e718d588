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

func start(inputs map[string]any, key string) host.Start {
	return host.Start{Inputs: inputs, Key: key, By: "test"}
}

// one lets one run at a time wait for each contact.
const one = `
flow: one
inputs: {to: {type: string}, n: {type: string, default: ""}}
concurrency: {key: "${inputs.to}", limit: 1, on_conflict: queue}
steps:
  - {id: send, action: test.send, with: {to: "${inputs.to}", text: "gate: ${inputs.n}"}}
  - {id: reply, wait_for: {event: test.reply, from: "${inputs.to}", timeout: 24h}}
`

// again has one run at a time send, which its text may make fail, and wait for who has
// that name.
func again(conflict string) string {
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
	{"a key that was used", func(s *stage) {
		p := s.world.Compile(s, send)
		first, fresh, err := s.Start(s.Context(), p, start(map[string]any{"to": "a", "text": "x"}, "k"))
		require.NoError(s, err)
		assert.True(s, fresh)
		for range 2 {
			again, fresh, err := s.Start(s.Context(), p, start(map[string]any{"to": "a", "text": "x"}, "k"))
			require.NoError(s, err)
			assert.False(s, fresh)
			assert.Equal(s, first.ID, again.ID)
			s.ends(first.ID, machine.Succeeded)
			s.reopen(true)
		}
		_, _, err = s.Start(s.Context(), p, start(map[string]any{"to": "b", "text": "x"}, "k"))
		var reused *host.ReusedError
		require.ErrorAs(s, err, &reused)
		assert.Equal(s, first.ID, reused.Run)
		other, fresh, err := s.Start(s.Context(), s.world.Compile(s, question), start(asks("a", ""), "k"))
		require.NoError(s, err)
		assert.True(s, fresh, "keys are of one flow")
		assert.NotEqual(s, first.ID, other.ID)
		s.wrote("a", 2)
	}},
	{"a key that was used, of a flow that has other defaults since", func(s *stage) {
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
		s.ends(first.ID, machine.Succeeded)
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
	{"a key that was used, whatever has become of the flow since", func(s *stage) {
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
		s.ends(run.ID, machine.Succeeded)
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
	{"a key that many use at the same time", func(s *stage) {
		p := s.world.Compile(s, send)
		var all sync.WaitGroup
		var mu sync.Mutex
		ids, began := map[string]bool{}, 0
		for range 20 {
			all.Go(func() {
				run, fresh, err := s.Start(s.Context(), p, start(map[string]any{"to": "a", "text": "x"}, "k"))
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
			s.ends(id, machine.Succeeded)
		}
		assert.Len(s, s.world.Messages("a"), 1)
	}},
	{"queued", func(s *stage) {
		var runs []string
		for n := range 3 {
			runs = append(runs, s.begin(one, map[string]any{"to": "a", "n": fmt.Sprint(n)}))
		}
		other := s.begin(one, map[string]any{"to": "b"})
		s.wrote("b", 1)
		s.world.Open("a")
		s.world.Open("b")
		for n, run := range runs {
			s.wrote("a", n+1)
			s.reaches(run, host.Waiting)
			if n < 2 {
				assert.Equal(s, host.Queued, s.report(runs[n+1]).Run.Status)
			}
			if n == 0 {
				s.reopen(true)
			}
			s.says(fmt.Sprint(n), "go on", "a")
			s.ends(run, machine.Succeeded)
		}
		for n, m := range s.world.Messages("a") {
			assert.Equal(s, fmt.Sprintf("gate: %d", n), m.Text, "in the order of their start")
		}
		require.NoError(s, s.Cancel(s.Context(), other, ""))
		s.ends(other, machine.Cancelled)
	}},
	{"queued, and cancelled there", func(s *stage) {
		s.world.Open("a")
		first, second, third := s.begin(one, map[string]any{"to": "a"}), s.begin(one, map[string]any{"to": "a"}), s.begin(one, map[string]any{"to": "a"})
		s.reaches(first, host.Waiting)
		require.NoError(s, s.Cancel(s.Context(), second, "not needed"))
		s.ends(second, machine.Cancelled)
		require.NoError(s, s.Cancel(s.Context(), first, ""))
		s.ends(first, machine.Cancelled)
		s.reaches(third, host.Waiting)
		assert.Len(s, s.world.Messages("a"), 2)
	}},
	{"rejected", func(s *stage) {
		const flow = `
flow: f
concurrency: {limit: 2, on_conflict: reject}
steps:
  - {id: reply, wait_for: {event: test.reply, from: a, timeout: 24h}}
`
		first, _ := s.begin(flow, nil), s.begin(flow, nil)
		third, fresh, err := s.Start(s.Context(), s.world.Compile(s, flow), start(map[string]any{}, ""))
		require.NoError(s, err)
		assert.True(s, fresh)
		assert.Equal(s, host.Rejected, third.Status)
		r := s.ends(third.ID, host.Rejected)
		assert.NotNil(s, r.Error)
		assert.Len(s, s.list(host.Filter{Status: host.Rejected}), 1)
		require.NoError(s, s.Cancel(s.Context(), first, ""))
		s.ends(first, machine.Cancelled)
		s.reaches(s.begin(flow, nil), host.Waiting)
	}},
	{"queued, to be done again", func(s *stage) {
		busy, lost := s.begin(again("queue"), map[string]any{"text": "busy"}), s.begin(again("queue"), map[string]any{"text": "lost"})
		s.ends(busy, machine.Failed)
		s.ends(lost, machine.Failed)
		s.reopen(true)
		require.NoError(s, s.Retry(s.Context(), busy, false))
		s.reaches(busy, host.Waiting)
		require.NoError(s, s.Retry(s.Context(), lost, true))
		s.reaches(lost, host.Queued)
		var state *host.StateError
		assert.ErrorAs(s, s.Retry(s.Context(), lost, true), &state, "it has not ended")
		first := s.begin(again("queue"), map[string]any{"text": "hello"})
		assert.Equal(s, host.Queued, s.report(first).Run.Status)
		assert.Len(s, s.list(host.Filter{Status: host.Queued}), 2)
		s.reopen(true)

		require.NoError(s, s.Cancel(s.Context(), lost, "not now"))
		s.ends(lost, machine.Cancelled)
		assert.Len(s, s.world.Messages("a"), 2, "that of the retry is not among them")
		assert.Len(s, s.world.Messages("b"), 2, "and what came last has come")
		assert.Equal(s, 1, s.report(lost).Run.Unknown)
		assert.Len(s, s.list(filterUnknown), 1)
		assert.ErrorAs(s, s.Retry(s.Context(), lost, false), &state, "its call may have happened")
		s.tells("f1."+lost+".1", "sent")
		assert.Zero(s, s.report(lost).Run.Unknown)
		require.NoError(s, s.Retry(s.Context(), lost, false))
		s.reaches(lost, host.Queued)

		for n, run := range []string{busy, first, lost} {
			s.reaches(run, host.Waiting)
			s.says(fmt.Sprint(n), "go on", []string{"busy", "hello", "lost"}[n])
			s.ends(run, machine.Succeeded)
		}
		assert.Len(s, s.world.Messages("a"), 3)
		s.once()
	}},
	{"cancelled, and done again at once", func(s *stage) {
		first, second := s.begin(again("queue"), map[string]any{"text": "1"}), s.begin(again("queue"), map[string]any{"text": "2"})
		s.reaches(first, host.Waiting)
		turns := []string{first, second}
		for range 4 {
			require.NoError(s, s.Cancel(s.Context(), turns[0], ""))
			s.ends(turns[0], machine.Cancelled)
			require.NoError(s, s.Retry(s.Context(), turns[0], false))
			turns[0], turns[1] = turns[1], turns[0]
			s.reaches(turns[0], host.Waiting)
			s.reaches(turns[1], host.Queued)
		}
		for n, run := range turns {
			s.reaches(run, host.Waiting)
			s.says(fmt.Sprint(n), "go on", fmt.Sprint(n+1))
			s.ends(run, machine.Succeeded)
		}
		assert.Len(s, s.world.Messages("a"), 2)
		s.once()
	}},
	{"rejected, to be done again", func(s *stage) {
		failed := s.begin(again("reject"), map[string]any{"text": "busy"})
		s.ends(failed, machine.Failed)
		holder := s.begin(again("reject"), map[string]any{"text": "hello"})
		s.reaches(holder, host.Waiting)
		var state *host.StateError
		require.ErrorAs(s, s.Retry(s.Context(), failed, false), &state)
		assert.Contains(s, state.Reason, "concurrency")
		assert.Equal(s, machine.Failed, s.report(failed).Run.Status)
		s.says("1", "go on", "hello")
		s.ends(holder, machine.Succeeded)
		require.NoError(s, s.Retry(s.Context(), failed, false))
		s.reaches(failed, host.Waiting)
		assert.Equal(s, host.Rejected, s.report(s.begin(again("reject"), map[string]any{"text": "hello"})).Run.Status)
		s.says("2", "go on", "busy")
		s.ends(failed, machine.Succeeded)
	}},
	{"what is sensitive of a run that never begins", func(s *stage) {
		for _, conflict := range []string{"queue", "reject"} {
			flow := `
flow: ` + conflict + `
inputs: {pin: {type: string, sensitive: true}}
concurrency: {limit: 1, on_conflict: ` + conflict + `}
steps:
  - {id: reply, wait_for: {event: test.reply, from: a, timeout: 24h}}
`
			first, second := s.begin(flow, map[string]any{"pin": "1234"}), s.begin(flow, map[string]any{"pin": "1234"})
			for _, run := range []string{first, second} {
				assert.Equal(s, []any{"1234"}, s.report(run).Result.Sensitive)
			}
			s.reopen(true)
			if conflict == "queue" {
				require.NoError(s, s.Cancel(s.Context(), second, ""))
				s.ends(second, machine.Cancelled)
			}
			assert.Equal(s, []any{"1234"}, s.report(second).Result.Sensitive)
		}
		run := s.begin(send, map[string]any{"to": "a"})
		assert.NotNil(s, s.report(run).Result.Sensitive, "it is known that there is nothing")
	}},
	{"settings that change", func(s *stage) {
		const flow = `
flow: f
steps:
  - {id: reply, wait_for: {event: test.reply, from: a, timeout: 24h}}
  - {id: send, action: test.send, with: {to: "${settings.to}", text: "${string(settings.n / settings.of[0])}"}}
`
		s.world.Configure(map[string]any{"to": "old", "n": 3.0, "of": []any{2.0}, "unused": "x"})
		first, second := s.begin(flow, nil), s.begin(flow, nil)
		s.reaches(first, host.Waiting)
		s.reaches(second, host.Waiting)
		s.world.Configure(map[string]any{"to": "new", "n": int64(7), "of": []any{int64(2), int64(4)}, "more": true})
		third := s.begin(flow, nil)
		s.reaches(third, host.Waiting)
		assert.NotEqual(s, s.report(first).Run.Digest, s.report(third).Run.Digest)
		s.reopen(true)
		s.says("1", "go on", "a")
		for _, run := range []string{first, second, third} {
			s.ends(run, machine.Succeeded)
		}
		for to, text := range map[string]string{"old": "1.5", "new": "3"} {
			for _, m := range s.world.Messages(to) {
				assert.Equal(s, text, m.Text, to)
			}
		}
		assert.Len(s, s.world.Messages("old"), 2)
		assert.Len(s, s.world.Messages("new"), 1)
	}},
	{"not when it stops", func(s *stage) {
		s.stop()
		_, _, err := s.Start(s.Context(), s.world.Compile(s, send), start(map[string]any{"to": "a"}, ""))
		var stopping *host.StoppingError
		assert.ErrorAs(s, err, &stopping)
	}},
}
