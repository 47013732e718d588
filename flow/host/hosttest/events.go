package hosttest

import (
	"facteur/flow/host"
	"facteur/flow/machine"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const question = `
flow: question
inputs: {to: {type: string}, only: {type: string, default: ""}}
steps:
  - {id: ask, action: test.send, with: {to: "${inputs.to}"}}
  - id: reply
    wait_for: {event: test.reply, from: "${inputs.to}", when: 'inputs.only == "" || event.text == inputs.only', timeout: 24h}
  - {id: thanks, action: test.send, with: {to: "${inputs.to}", text: "got: ${steps.reply.outputs.text}"}}
outputs: {text: "${steps.reply.outputs.text}"}
`

const twoQuestions = `
flow: f
steps:
  - {id: one, wait_for: {event: test.reply, from: a, timeout: 24h}}
  - {id: two, wait_for: {event: test.reply, from: a, timeout: 24h}}
outputs: {one: "${steps.one.outputs.text}", two: "${steps.two.outputs.text}"}
`

func questionInputs(to, only string) map[string]any { return map[string]any{"to": to, "only": only} }

var events = []test{
	{"a reply", func(s *fixture) {
		run := s.startRun(question, questionInputs("a", ""))
		s.waitStatus(run, host.Waiting)
		s.deliverReply("1", "hello", "b")
		s.deliverReply("2", "hello", "a")
		r := s.waitEnd(run, machine.Succeeded)
		assert.Equal(s, "hello", r.Outputs["text"])
		s.eventually("all were told", func() bool { n, claimed := s.world.Fired("2"); return n >= 1 && claimed })
		s.eventually("all were told", func() bool { n, claimed := s.world.Fired("1"); return n >= 1 && !claimed })
	}},
	{"a reply by another name", func(s *fixture) {
		run := s.startRun(question, questionInputs("a", ""))
		s.waitStatus(run, host.Waiting)
		s.deliverReply("1", "hello", "alias", "a", "other")
		s.waitEnd(run, machine.Succeeded)
	}},
	{"a reply that is faster than the answer", func(s *fixture) {
		run := s.startRun(`
flow: f
steps:
  - {id: ask, action: test.send, with: {to: a, text: gate}}
  - id: reply
    wait_for: {event: test.reply, from: a, timeout: 24h}
outputs: {text: "${steps.reply.outputs.text}"}
`, nil)
		s.waitMessages("a", 1)
		s.deliverReply("1", "fast", "a")
		s.deliverReply("2", "slow", "a")
		s.world.Answer("a")
		assert.Equal(s, "fast", s.waitEnd(run, machine.Succeeded).Outputs["text"])
	}},
	{"a reply before it was asked for", func(s *fixture) {
		s.deliverReply("1", "too early", "a")
		run := s.startRun(question, questionInputs("a", ""))
		s.waitStatus(run, host.Waiting)
		s.deliverReply("2", "now", "a")
		assert.Equal(s, "now", s.waitEnd(run, machine.Succeeded).Outputs["text"])
	}},
	{"a reply of no interest", func(s *fixture) {
		run := s.startRun(question, questionInputs("a", "yes"))
		s.waitStatus(run, host.Waiting)
		s.deliverReply("1", "no", "a")
		s.eventually("it is told", func() bool { n, claimed := s.world.Fired("1"); return n >= 1 && !claimed })
		s.deliverReply("2", "yes", "a")
		s.waitEnd(run, machine.Succeeded)
	}},
	{"a repeated reply", func(s *fixture) {
		run := s.startRun(twoQuestions, nil)
		s.waitStatus(run, host.Waiting)
		s.deliverReply("1", "first", "a")
		s.deliverReply("1", "first", "a")
		s.deliverReply("2", "second", "a")
		r := s.waitEnd(run, machine.Succeeded)
		assert.Equal(s, map[string]any{"one": "first", "two": "second"}, r.Outputs)
		n, _ := s.world.Fired("1")
		assert.LessOrEqual(s, n, 1)
	}},
	{"several replies at once", func(s *fixture) {
		both := s.startRun(twoQuestions, nil)
		other := s.startRun(question, questionInputs("b", ""))
		s.waitStatus(both, host.Waiting)
		s.waitStatus(other, host.Waiting)
		first := replyEvent("1", "first", "a")
		require.NoError(s, s.Deliver(s.Context(), first, replyEvent("2", "hello", "b"), first, replyEvent("3", "second", "alias", "a")))
		assert.Equal(s, map[string]any{"one": "first", "two": "second"}, s.waitEnd(both, machine.Succeeded).Outputs)
		s.waitEnd(other, machine.Succeeded)
		require.NoError(s, s.Deliver(s.Context()), "none is none")
	}},
	{"two runs that wait for the same", func(s *fixture) {
		one, two := s.startRun(question, questionInputs("a", "")), s.startRun(question, questionInputs("a", ""))
		s.waitStatus(one, host.Waiting)
		s.waitStatus(two, host.Waiting)
		s.deliverReply("1", "to both", "a")
		s.waitEnd(one, machine.Succeeded)
		s.waitEnd(two, machine.Succeeded)
		assert.Len(s, s.world.Messages("a"), 4)
	}},
	{"a reply that never comes", func(s *fixture) {
		r := s.waitEnd(s.startRun("flow: f\nsteps:\n  - {id: reply, wait_for: {event: test.reply, from: a, timeout: 20ms}}\n", nil), machine.Failed)
		assert.Equal(s, "timeout", r.Error.Code)
	}},
	{"a reply through another connection", func(s *fixture) {
		run := s.startRun("flow: f\nsteps:\n  - {id: reply, wait_for: {event: test.reply, from: a, connection: shop, timeout: 24h}}\noutputs: {text: '${steps.reply.outputs.text}'}\n", nil)
		s.waitStatus(run, host.Waiting)
		for _, connection := range []string{"other", "shop"} {
			e := replyEvent(connection, connection, "a")
			e.Connection = connection
			require.NoError(s, s.Deliver(s.Context(), e))
		}
		assert.Equal(s, "shop", s.waitEnd(run, machine.Succeeded).Outputs["text"])
	}},
	{"a reply while the host is down", func(s *fixture) {
		run := s.startRun(question, questionInputs("a", ""))
		s.waitStatus(run, host.Waiting)
		s.reopen(true)
		s.deliverReply("1", "hello", "a")
		s.waitEnd(run, machine.Succeeded)
		s.assertNoDuplicates()
	}},
	{"a conversation", func(s *fixture) {
		run := s.startRun(`
flow: f
steps:
  - foreach: "${lists.range(10)}"
    as: n
    steps:
      - {id: ask, action: test.send, with: {to: a, text: "${string(n)}"}}
      - {id: reply, wait_for: {event: test.reply, from: a, when: "event.text == string(n)", timeout: 24h}}
`, nil)
		for n, text := range []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"} {
			s.waitMessages("a", n+1)
			s.deliverReply("wrong"+text, "what?", "a")
			s.deliverReply(text, text, "a")
		}
		s.waitEnd(run, machine.Succeeded)
		s.assertNoDuplicates()
	}},
	{"Fire fails at first", func(s *fixture) {
		s.deliverReply("1", "fail at first", "a")
		s.eventually("it is told again", func() bool { n, _ := s.world.Fired("1"); return n >= 2 })
	}},
}
