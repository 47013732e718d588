package hosttest

import (
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const delivered = `
flow: delivered
inputs: {text: {type: string, default: hello}}
steps:
  - {id: send, action: test.send, with: {to: a, text: "${inputs.text}"}, await: {state: delivered, timeout: 24h}, unknown_timeout: 24h}
outputs: {delivery: "${steps.send.outputs.delivery}"}
`

var receipts = []test{
	{"delivered", func(s *stage) {
		run := s.begin(delivered, nil)
		s.reaches(run, host.Waiting)
		key := s.step(run, "send").Keys[0]
		s.tells("f1.nobody.1", "delivered")
		s.tells("nonsense", "delivered")
		s.tells(key, "sent")
		s.tells(key, "delivered")
		assert.Equal(s, "delivered", s.ends(run, machine.Succeeded).Outputs["delivery"])
	}},
	{"told twice", func(s *stage) {
		run := s.begin(delivered, nil)
		key := s.wrote("a", 1)[0].Key
		r := s.world.Receipt(key, "sent")
		require.NoError(s, s.Receive(s.Context(), r, r))
		require.NoError(s, s.Receive(s.Context(), r, s.world.Receipt(key, "delivered")))
		s.ends(run, machine.Succeeded)
	}},
	{"faster than the answer", func(s *stage) {
		run := s.begin(delivered, map[string]any{"text": "gate"})
		s.tells(s.wrote("a", 1)[0].Key, "delivered")
		s.world.Open("a")
		s.ends(run, machine.Succeeded)
	}},
	{"it came back", func(s *stage) {
		run := s.begin(delivered, nil)
		s.tells(s.wrote("a", 1)[0].Key, "failed")
		assert.Equal(s, "undeliverable", s.ends(run, machine.Failed).Error.Code)
	}},
	{"while the host is away", func(s *stage) {
		run := s.begin(delivered, nil)
		s.reaches(run, host.Waiting)
		s.reopen(true)
		s.tells(s.wrote("a", 1)[0].Key, "delivered")
		s.ends(run, machine.Succeeded)
	}},
	{"a lost answer", func(s *stage) {
		run := s.begin(delivered, map[string]any{"text": "lost"})
		s.reaches(run, host.Waiting)
		assert.Equal(s, 1, s.report(run).Run.Unknown)
		s.tells(s.wrote("a", 1)[0].Key, "delivered")
		s.ends(run, machine.Succeeded)
		assert.Zero(s, s.report(run).Run.Unknown)
		assert.Len(s, s.world.Messages("a"), 1)
	}},
	{"a lost answer, of which nobody hears in time", func(s *stage) {
		run := s.begin(`
flow: f
steps:
  - {id: send, action: test.send, with: {to: a, text: lost}, unknown_timeout: 20ms, allow_failure: true}
  - {id: pause, wait: 24h}
`, nil)
		s.reaches(run, host.Waiting)
		s.eventually("the time is over", func() bool { return s.step(run, "send").Status == machine.Failed })
		assert.Equal(s, 1, s.report(run).Run.Unknown)
		s.tells(s.wrote("a", 1)[0].Key, "sent")
		s.eventually("it is settled", func() bool { return s.report(run).Run.Unknown == 0 })
		assert.False(s, s.step(run, "send").Unknown)
	}},
	{"late news settles what is unknown of a run that has ended", func(s *stage) {
		run := s.begin(`
flow: f
steps:
  - {id: send, action: test.send, with: {to: a, text: lost}, unknown_timeout: 20ms}
`, nil)
		s.ends(run, machine.Failed)
		s.reopen(true)
		require.Len(s, s.list(filterUnknown), 1)
		s.tells(s.wrote("a", 1)[0].Key, "delivered")
		assert.Empty(s, s.list(filterUnknown))
		assert.Zero(s, s.report(run).Run.Unknown)
		assert.Equal(s, machine.Failed, s.report(run).Run.Status, "it stays as it ended")
		step := s.step(run, "send")
		assert.False(s, step.Unknown)
		assert.Equal(s, "delivered", step.Outputs["delivery"])
	}},
	{"news of a run that has ended is shown", func(s *stage) {
		run := s.begin(send, map[string]any{"to": "a"})
		s.ends(run, machine.Succeeded)
		s.tells(s.wrote("a", 1)[0].Key, "delivered")
		report := s.report(run)
		require.Len(s, report.Calls, 1)
		require.Len(s, report.Calls[0].Receipts, 1)
		assert.Equal(s, "delivered", report.Calls[0].Receipts[0].State)
		assert.Equal(s, "delivered", report.Result.Steps[0].State)
	}},
	{"news of a step that has ended is shown while its run goes on", func(s *stage) {
		run := s.begin("flow: f\nsteps:\n  - {id: send, action: test.send, with: {to: a}}\n  - {id: pause, wait: 24h}\n", nil)
		s.reaches(run, host.Waiting)
		s.tells(s.wrote("a", 1)[0].Key, "delivered")
		assert.Equal(s, "delivered", s.step(run, "send").State)
		assert.Equal(s, host.Waiting, s.report(run).Run.Status)
	}},
	{"a refusal that was none", func(s *stage) {
		run := s.begin(`
flow: f
steps:
  - {id: send, action: test.send, with: {to: a, text: busy}, retry: {attempts: 3, delay: 24h, factor: 1}, unknown_timeout: 24h}
outputs: {delivery: "${steps.send.outputs.delivery}"}
`, nil)
		s.reaches(run, host.Waiting)
		s.tells(s.step(run, "send").Keys[0], "sent")
		assert.Equal(s, "sent", s.ends(run, machine.Succeeded).Outputs["delivery"])
		assert.Empty(s, s.world.Messages("a"), "there is no second attempt")
	}},
	{"news of a retry that waits for its turn", func(s *stage) {
		run := s.begin(again("queue"), map[string]any{"text": "lost"})
		s.ends(run, machine.Failed)
		holder := s.begin(again("queue"), map[string]any{"text": "hello"})
		s.reaches(holder, host.Waiting)
		require.NoError(s, s.Retry(s.Context(), run, true))
		s.reaches(run, host.Queued)
		s.tells(s.step(run, "send").Keys[0], "sent")
		s.says("1", "go on", "hello")
		s.ends(holder, machine.Succeeded)
		s.reaches(run, host.Waiting)
		assert.Len(s, s.world.Messages("a"), 2, "it is known that it was sent")
		s.says("2", "go on", "lost")
		s.ends(run, machine.Succeeded)
	}},
	{"unknown, of many", func(s *stage) {
		var runs []string
		for range 20 {
			runs = append(runs, s.begin(delivered, map[string]any{"text": "lost"}))
		}
		var all []call.Receipt
		for _, m := range s.wrote("a", 20) {
			all = append(all, s.world.Receipt(m.Key, "delivered"))
		}
		require.NoError(s, s.Receive(s.Context(), all...))
		for _, run := range runs {
			s.ends(run, machine.Succeeded)
		}
		assert.Empty(s, s.list(filterUnknown))
		assert.Len(s, s.world.Messages("a"), 20)
	}},
}
