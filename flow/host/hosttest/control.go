package hosttest

import (
	"facteur/flow/host"
	"facteur/flow/machine"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var filterUnknown = host.Filter{Unknown: true}

func (s *fixture) list(f host.Filter) []host.Run {
	s.Helper()
	runs, _, err := s.List(s.Context(), f)
	require.NoError(s, err)
	return runs
}

const unknown = `
flow: unknown
steps:
  - {id: before, action: test.send, with: {to: b}}
  - {id: send, action: test.send, with: {to: a, text: lost}, unknown_timeout: 20ms}
  - {id: after, action: test.send, with: {to: c}}
outputs: {id: "${steps.send.outputs.?id.orValue('')}"}
`

var control = []test{
	{"a run that does not exist", func(s *fixture) {
		var missing *host.NotFoundError
		ctx := s.Context()
		_, err := s.Get(ctx, "nobody")
		assert.ErrorAs(s, err, &missing)
		_, err = s.Wait(ctx, "nobody")
		assert.ErrorAs(s, err, &missing)
		assert.ErrorAs(s, s.Cancel(ctx, "nobody", ""), &missing)
		assert.ErrorAs(s, s.Retry(ctx, "nobody", false), &missing)
		assert.ErrorAs(s, s.Settle(ctx, "nobody", "send", host.Settlement{}), &missing)
		assert.ErrorAs(s, s.Release(ctx, "nobody"), &missing)
		assert.ErrorAs(s, s.Resume(ctx, host.Flow, "nobody"), &missing)
	}},
	{"cancel a waiting run", func(s *fixture) {
		run := s.startRun(question, questionInputs("a", ""))
		s.waitStatus(run, host.Waiting)
		require.NoError(s, s.Cancel(s.Context(), run, "changed my mind"))
		s.reopen(true)
		s.waitEnd(run, machine.Cancelled)
		var state *host.StateError
		assert.ErrorAs(s, s.Cancel(s.Context(), run, "again"), &state)
	}},
	{"cancel with a call in flight", func(s *fixture) {
		run := s.startRun(`
flow: f
steps:
  - try:
      - {id: send, action: test.send, with: {to: a, text: gate}}
      - {id: never, action: test.send, with: {to: b}}
    finally:
      - {id: last, action: test.send, with: {to: c}}
`, nil)
		s.waitMessages("a", 1)
		require.NoError(s, s.Cancel(s.Context(), run, "now"))
		s.world.Answer("a")
		r := s.waitEnd(run, machine.Cancelled)
		assert.Empty(s, s.world.Messages("b"))
		assert.Len(s, s.world.Messages("c"), 1)
		assert.Equal(s, machine.Succeeded, r.Steps[1].Status, "what was under way was not cut off")
		assert.Zero(s, s.report(run).Run.Unknown)
	}},
	{"retry a failed run", func(s *fixture) {
		run := s.startRun(`
flow: f
steps:
  - {id: one, action: test.send, with: {to: a}}
  - id: each
    foreach: "${['b', 'c', 'd']}"
    as: to
    concurrency: 3
    steps:
      - {id: send, action: test.send, with: {to: "${to}", text: "${to == 'c' ? 'refuse' : 'hello'}"}}
`, nil)
		s.waitEnd(run, machine.Failed)
		var state *host.StateError
		other := s.startRun(question, questionInputs("z", ""))
		assert.ErrorAs(s, s.Retry(s.Context(), other, false), &state, "it has not ended")
		require.NoError(s, s.Retry(s.Context(), run, false))
		s.waitEnd(run, machine.Failed)
		for _, to := range []string{"a", "b", "d"} {
			assert.Len(s, s.world.Messages(to), 1, "what succeeded is not done again")
		}
		assert.Equal(s, 2, s.step(run, "each[1].send").Attempts, "attempts are counted on")
		s.reopen(true)
		assert.Equal(s, machine.Failed, s.report(run).Run.Status)
		s.assertNoDuplicates()
	}},
	{"retry, and it succeeds", func(s *fixture) {
		run := s.startRun(`
flow: f
steps:
  - {id: one, action: test.send, with: {to: a}}
  - {id: two, action: test.send, with: {to: b, text: busy}}
`, nil)
		s.waitEnd(run, machine.Failed)
		require.NoError(s, s.Retry(s.Context(), run, false))
		s.waitEnd(run, machine.Succeeded)
		assert.Len(s, s.world.Messages("a"), 1)
		assert.Len(s, s.world.Messages("b"), 1)
		var state *host.StateError
		assert.ErrorAs(s, s.Retry(s.Context(), run, true), &state, "it succeeded")
	}},
	{"retry an unknown call", func(s *fixture) {
		run := s.startRun(unknown, nil)
		s.waitEnd(run, machine.Failed)
		var state *host.StateError
		require.ErrorAs(s, s.Retry(s.Context(), run, false), &state)
		assert.Contains(s, state.Hint, "send")
		require.NoError(s, s.Retry(s.Context(), run, true))
		s.waitEnd(run, machine.Failed)
		assert.Len(s, s.world.Messages("a"), 2, "because a person wants it")
		assert.Len(s, s.world.Messages("b"), 1)
	}},
	{"settled: it was sent", func(s *fixture) {
		run := s.startRun(unknown, nil)
		s.waitEnd(run, machine.Failed)
		var missing *host.NotFoundError
		assert.ErrorAs(s, s.Settle(s.Context(), run, "nothing", host.Settlement{Happened: true}), &missing)
		var state *host.StateError
		assert.ErrorAs(s, s.Settle(s.Context(), run, "before", host.Settlement{Happened: true}), &state, "of that step all is known")
		require.NoError(s, s.Settle(s.Context(), run, "send", host.Settlement{Happened: true, ID: "wamid"}))
		s.reopen(true)
		assert.Zero(s, s.report(run).Run.Unknown)
		assert.Empty(s, s.list(filterUnknown))
		assert.Equal(s, "wamid", s.step(run, "send").Outputs["id"])
		assert.ErrorAs(s, s.Settle(s.Context(), run, "send", host.Settlement{}), &state)
		require.NoError(s, s.Retry(s.Context(), run, false), "now it is known what has to be done")
		s.waitEnd(run, machine.Succeeded)
		assert.Len(s, s.world.Messages("a"), 1)
		assert.Len(s, s.world.Messages("c"), 1)
	}},
	{"settled: it was not sent", func(s *fixture) {
		run := s.startRun(unknown, nil)
		s.waitEnd(run, machine.Failed)
		require.NoError(s, s.Settle(s.Context(), run, "send", host.Settlement{}))
		assert.Zero(s, s.report(run).Run.Unknown)
		require.NoError(s, s.Retry(s.Context(), run, false))
		s.waitEnd(run, machine.Failed)
		assert.Len(s, s.world.Messages("a"), 2, "the first of which a person said was none")
	}},
	{"settled: it was not sent, and it was", func(s *fixture) {
		run := s.startRun(unknown, nil)
		s.waitEnd(run, machine.Failed)
		require.NoError(s, s.Settle(s.Context(), run, "send", host.Settlement{}))
		s.receive(s.waitMessages("a", 1)[0].Key, "sent")
		s.world.FailPast(true)
		assert.ErrorContains(s, s.Retry(s.Context(), run, false), "receipts", "who does not know what came does not send")
		s.world.FailPast(false)
		require.NoError(s, s.Retry(s.Context(), run, false))
		s.waitEnd(run, machine.Succeeded)
		assert.Len(s, s.world.Messages("a"), 1, "news of it came after all")
		assert.Len(s, s.world.Messages("c"), 1)
	}},
	{"settled while it waits", func(s *fixture) {
		run := s.startRun(delivered, map[string]any{"text": "lost"})
		s.waitStatus(run, host.Waiting)
		require.NoError(s, s.Settle(s.Context(), run, "send", host.Settlement{Happened: true, ID: "wamid"}))
		assert.Zero(s, s.report(run).Run.Unknown)
		s.receive(s.waitMessages("a", 1)[0].Key, "delivered")
		s.waitEnd(run, machine.Succeeded)
	}},
	{"list", func(s *fixture) {
		var runs []string
		for _, to := range []string{"a", "b", "a", "c", "a"} {
			run := s.startRun(send, map[string]any{"to": to})
			s.waitEnd(run, machine.Succeeded)
			runs = append([]string{run}, runs...)
		}
		waits := s.startRun(question, questionInputs("z", ""))
		s.waitStatus(waits, host.Waiting)
		ids := func(list []host.Run) (out []string) {
			for _, r := range list {
				out = append(out, r.ID)
			}
			return out
		}
		assert.Equal(s, append([]string{waits}, runs...), ids(s.list(host.Filter{})))
		assert.Equal(s, runs, ids(s.list(host.Filter{Flow: "send"})))
		assert.Equal(s, []string{waits}, ids(s.list(host.Filter{Status: host.Waiting})))
		assert.Equal(s, []string{runs[0], runs[2], runs[4]}, ids(s.list(host.Filter{Recipient: "a"})))
		f := host.Filter{Flow: "send", Limit: 2}
		var paged []string
		for {
			list, next, err := s.List(s.Context(), f)
			require.NoError(s, err)
			paged = append(paged, ids(list)...)
			if f.Cursor = next; next == "" {
				break
			}
		}
		assert.Equal(s, runs, paged)
		_, _, err := s.List(s.Context(), host.Filter{Cursor: "nonsense"})
		assert.Error(s, err)
		second := s.report(runs[3]).Run.Started
		assert.Equal(s, runs[:4], ids(s.list(host.Filter{Flow: "send", Since: second})))
		assert.Equal(s, runs[4:], ids(s.list(host.Filter{Flow: "send", Until: second})))
	}},
}
