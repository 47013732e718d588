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

func asks(to, only string) map[string]any { return map[string]any{"to": to, "only": only} }

var events = []test{
	{"a reply", func(s *stage) {
		run := s.begin(question, asks("a", ""))
		s.reaches(run, host.Waiting)
		s.says("1", "hello", "b")
		s.says("2", "hello", "a")
		r := s.ends(run, machine.Succeeded)
		assert.Equal(s, "hello", r.Outputs["text"])
		s.eventually("all were told", func() bool { n, claimed := s.world.Fired("2"); return n >= 1 && claimed })
		s.eventually("all were told", func() bool { n, claimed := s.world.Fired("1"); return n >= 1 && !claimed })
	}},
	{"a reply by another name", func(s *stage) {
		run := s.begin(question, asks("a", ""))
		s.reaches(run, host.Waiting)
		s.says("1", "hello", "alias", "a", "other")
		s.ends(run, machine.Succeeded)
	}},
	{"a reply that is faster than the answer", func(s *stage) {
		run := s.begin(`
flow: f
steps:
  - {id: ask, action: test.send, with: {to: a, text: gate}}
  - id: reply
    wait_for: {event: test.reply, from: a, timeout: 24h}
outputs: {text: "${steps.reply.outputs.text}"}
`, nil)
		s.wrote("a", 1)
		s.says("1", "fast", "a")
		s.says("2", "slow", "a")
		s.world.Open("a")
		assert.Equal(s, "fast", s.ends(run, machine.Succeeded).Outputs["text"])
	}},
	{"a reply before it was asked for", func(s *stage) {
		s.says("1", "too early", "a")
		run := s.begin(question, asks("a", ""))
		s.reaches(run, host.Waiting)
		s.says("2", "now", "a")
		assert.Equal(s, "now", s.ends(run, machine.Succeeded).Outputs["text"])
	}},
	{"a reply of no interest", func(s *stage) {
		run := s.begin(question, asks("a", "yes"))
		s.reaches(run, host.Waiting)
		s.says("1", "no", "a")
		s.eventually("it is told", func() bool { n, claimed := s.world.Fired("1"); return n >= 1 && !claimed })
		s.says("2", "yes", "a")
		s.ends(run, machine.Succeeded)
	}},
	{"a reply that is told twice", func(s *stage) {
		run := s.begin(twoQuestions, nil)
		s.reaches(run, host.Waiting)
		s.says("1", "first", "a")
		s.says("1", "first", "a")
		s.says("2", "second", "a")
		r := s.ends(run, machine.Succeeded)
		assert.Equal(s, map[string]any{"one": "first", "two": "second"}, r.Outputs)
		n, _ := s.world.Fired("1")
		assert.LessOrEqual(s, n, 1)
	}},
	{"several replies at once", func(s *stage) {
		both := s.begin(twoQuestions, nil)
		other := s.begin(question, asks("b", ""))
		s.reaches(both, host.Waiting)
		s.reaches(other, host.Waiting)
		first := reply("1", "first", "a")
		require.NoError(s, s.Deliver(s.Context(), first, reply("2", "hello", "b"), first, reply("3", "second", "alias", "a")))
		assert.Equal(s, map[string]any{"one": "first", "two": "second"}, s.ends(both, machine.Succeeded).Outputs)
		s.ends(other, machine.Succeeded)
		require.NoError(s, s.Deliver(s.Context()), "none is none")
	}},
	{"two runs that wait for the same", func(s *stage) {
		one, two := s.begin(question, asks("a", "")), s.begin(question, asks("a", ""))
		s.reaches(one, host.Waiting)
		s.reaches(two, host.Waiting)
		s.says("1", "to both", "a")
		s.ends(one, machine.Succeeded)
		s.ends(two, machine.Succeeded)
		assert.Len(s, s.world.Messages("a"), 4)
	}},
	{"a reply that never comes", func(s *stage) {
		r := s.ends(s.begin("flow: f\nsteps:\n  - {id: reply, wait_for: {event: test.reply, from: a, timeout: 20ms}}\n", nil), machine.Failed)
		assert.Equal(s, "timeout", r.Error.Code)
	}},
	{"a reply through another connection", func(s *stage) {
		run := s.begin("flow: f\nsteps:\n  - {id: reply, wait_for: {event: test.reply, from: a, connection: shop, timeout: 24h}}\noutputs: {text: '${steps.reply.outputs.text}'}\n", nil)
		s.reaches(run, host.Waiting)
		for _, connection := range []string{"other", "shop"} {
			e := reply(connection, connection, "a")
			e.Connection = connection
			require.NoError(s, s.Deliver(s.Context(), e))
		}
		assert.Equal(s, "shop", s.ends(run, machine.Succeeded).Outputs["text"])
	}},
	{"a reply while the host is away", func(s *stage) {
		run := s.begin(question, asks("a", ""))
		s.reaches(run, host.Waiting)
		s.reopen(true)
		s.says("1", "hello", "a")
		s.ends(run, machine.Succeeded)
		s.once()
	}},
	{"a conversation", func(s *stage) {
		run := s.begin(`
flow: f
steps:
  - foreach: "${lists.range(10)}"
    as: n
    steps:
      - {id: ask, action: test.send, with: {to: a, text: "${string(n)}"}}
      - {id: reply, wait_for: {event: test.reply, from: a, when: "event.text == string(n)", timeout: 24h}}
`, nil)
		for n, text := range []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"} {
			s.wrote("a", n+1)
			s.says("wrong"+text, "what?", "a")
			s.says(text, text, "a")
		}
		s.ends(run, machine.Succeeded)
		s.once()
	}},
	{"whoever is told fails at first", func(s *stage) {
		s.says("1", "fail at first", "a")
		s.eventually("it is told again", func() bool { n, _ := s.world.Fired("1"); return n >= 2 })
	}},
}
