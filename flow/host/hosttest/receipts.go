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
	{"delivered", func(s *fixture) {
		run := s.startRun(delivered, nil)
		s.waitStatus(run, host.Waiting)
		key := s.step(run, "send").Keys[0]
		s.receive("f1.nobody.1", "delivered")
		s.receive("nonsense", "delivered")
		s.receive(key, "sent")
		s.receive(key, "delivered")
		assert.Equal(s, "delivered", s.waitEnd(run, machine.Succeeded).Outputs["delivery"])
	}},
	{"repeated", func(s *fixture) {
		run := s.startRun(delivered, nil)
		key := s.waitMessages("a", 1)[0].Key
		r := s.world.Receipt(key, "sent")
		require.NoError(s, s.Receive(s.Context(), r, r))
		require.NoError(s, s.Receive(s.Context(), r, s.world.Receipt(key, "delivered")))
		s.waitEnd(run, machine.Succeeded)
	}},
	{"faster than the answer", func(s *fixture) {
		run := s.startRun(delivered, map[string]any{"text": "gate"})
		s.receive(s.waitMessages("a", 1)[0].Key, "delivered")
		s.world.Answer("a")
		s.waitEnd(run, machine.Succeeded)
	}},
	{"failed delivery", func(s *fixture) {
		run := s.startRun(delivered, nil)
		s.receive(s.waitMessages("a", 1)[0].Key, "failed")
		assert.Equal(s, "undeliverable", s.waitEnd(run, machine.Failed).Error.Code)
	}},
	{"while the host is down", func(s *fixture) {
		run := s.startRun(delivered, nil)
		s.waitStatus(run, host.Waiting)
		s.reopen(true)
		s.receive(s.waitMessages("a", 1)[0].Key, "delivered")
		s.waitEnd(run, machine.Succeeded)
	}},
	{"a lost answer", func(s *fixture) {
		run := s.startRun(delivered, map[string]any{"text": "lost"})
		s.waitStatus(run, host.Waiting)
		assert.Equal(s, 1, s.report(run).Run.Unknown)
		s.receive(s.waitMessages("a", 1)[0].Key, "delivered")
		s.waitEnd(run, machine.Succeeded)
		assert.Zero(s, s.report(run).Run.Unknown)
		assert.Len(s, s.world.Messages("a"), 1)
	}},
	{"a lost answer, and no receipt in time", func(s *fixture) {
		run := s.startRun(`
flow: f
steps:
  - {id: send, action: test.send, with: {to: a, text: lost}, unknown_timeout: 20ms, allow_failure: true}
  - {id: pause, wait: 24h}
`, nil)
		s.waitStatus(run, host.Waiting)
		s.eventually("the time is over", func() bool { return s.step(run, "send").Status == machine.Failed })
		assert.Equal(s, 1, s.report(run).Run.Unknown)
		s.receive(s.waitMessages("a", 1)[0].Key, "sent")
		s.eventually("it is settled", func() bool { return s.report(run).Run.Unknown == 0 })
		assert.False(s, s.step(run, "send").Unknown)
	}},
	{"a late receipt settles an unknown call of an ended run", func(s *fixture) {
		run := s.startRun(`
flow: f
steps:
  - {id: send, action: test.send, with: {to: a, text: lost}, unknown_timeout: 20ms}
`, nil)
		s.waitEnd(run, machine.Failed)
		s.reopen(true)
		require.Len(s, s.list(filterUnknown), 1)
		s.receive(s.waitMessages("a", 1)[0].Key, "delivered")
		assert.Empty(s, s.list(filterUnknown))
		assert.Zero(s, s.report(run).Run.Unknown)
		assert.Equal(s, machine.Failed, s.report(run).Run.Status, "it stays as it ended")
		step := s.step(run, "send")
		assert.False(s, step.Unknown)
		assert.Equal(s, "delivered", step.Outputs["delivery"])
	}},
	{"a receipt of an ended run is shown", func(s *fixture) {
		run := s.startRun(send, map[string]any{"to": "a"})
		s.waitEnd(run, machine.Succeeded)
		s.receive(s.waitMessages("a", 1)[0].Key, "delivered")
		report := s.report(run)
		require.Len(s, report.Calls, 1)
		require.Len(s, report.Calls[0].Receipts, 1)
		assert.Equal(s, "delivered", report.Calls[0].Receipts[0].State)
		assert.Equal(s, "delivered", report.Result.Steps[0].State)
	}},
	{"a receipt of an ended step is shown while its run goes on", func(s *fixture) {
		run := s.startRun("flow: f\nsteps:\n  - {id: send, action: test.send, with: {to: a}}\n  - {id: pause, wait: 24h}\n", nil)
		s.waitStatus(run, host.Waiting)
		s.receive(s.waitMessages("a", 1)[0].Key, "delivered")
		assert.Equal(s, "delivered", s.step(run, "send").State)
		assert.Equal(s, host.Waiting, s.report(run).Run.Status)
	}},
	{"a refused call that was accepted", func(s *fixture) {
		run := s.startRun(`
flow: f
steps:
  - {id: send, action: test.send, with: {to: a, text: busy}, retry: {attempts: 3, delay: 24h, factor: 1}, unknown_timeout: 24h}
outputs: {delivery: "${steps.send.outputs.delivery}"}
`, nil)
		s.waitStatus(run, host.Waiting)
		s.receive(s.step(run, "send").Keys[0], "sent")
		assert.Equal(s, "sent", s.waitEnd(run, machine.Succeeded).Outputs["delivery"])
		assert.Empty(s, s.world.Messages("a"), "there is no second attempt")
	}},
	{"a receipt for a queued retry", func(s *fixture) {
		run := s.startRun(retryFlow("queue"), map[string]any{"text": "lost"})
		s.waitEnd(run, machine.Failed)
		holder := s.startRun(retryFlow("queue"), map[string]any{"text": "hello"})
		s.waitStatus(holder, host.Waiting)
		require.NoError(s, s.Retry(s.Context(), run, true))
		s.waitStatus(run, host.Queued)
		s.receive(s.step(run, "send").Keys[0], "sent")
		s.deliverReply("1", "go on", "hello")
		s.waitEnd(holder, machine.Succeeded)
		s.waitStatus(run, host.Waiting)
		assert.Len(s, s.world.Messages("a"), 2, "it is known that it was sent")
		s.deliverReply("2", "go on", "lost")
		s.waitEnd(run, machine.Succeeded)
	}},
	{"many unknown calls", func(s *fixture) {
		var runs []string
		for range 20 {
			runs = append(runs, s.startRun(delivered, map[string]any{"text": "lost"}))
		}
		var all []call.Receipt
		for _, m := range s.waitMessages("a", 20) {
			all = append(all, s.world.Receipt(m.Key, "delivered"))
		}
		require.NoError(s, s.Receive(s.Context(), all...))
		for _, run := range runs {
			s.waitEnd(run, machine.Succeeded)
		}
		assert.Empty(s, s.list(filterUnknown))
		assert.Len(s, s.world.Messages("a"), 20)
	}},
}
