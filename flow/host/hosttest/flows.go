package hosttest

import (
	"facteur/flow/machine"

	"github.com/stretchr/testify/assert"
)

var flows = []test{
	{"a wait", func(s *fixture) {
		r := s.waitEnd(s.startRun("flow: f\nsteps:\n  - {id: pause, wait: 30ms}\n  - {id: send, action: test.send, with: {to: a}}\n", nil), machine.Succeeded)
		assert.GreaterOrEqual(s, r.Steps[0].Ended.Sub(r.Steps[0].Started).Milliseconds(), int64(30))
	}},
	{"a wait that outlives the host", func(s *fixture) {
		run := s.startRun("flow: f\nsteps:\n  - {id: pause, wait: 50ms}\n  - {id: send, action: test.send, with: {to: a}}\n", nil)
		s.reopen(false)
		s.waitEnd(run, machine.Succeeded)
		assert.Len(s, s.world.Messages("a"), 1)
	}},
	{"a cancelled wait", func(s *fixture) {
		run := s.startRun("flow: f\nsteps:\n  - {id: pause, wait: 24h}\n", nil)
		s.waitStatus(run, "waiting")
		assert.NotEmpty(s, s.report(run).Waits)
		assert.NoError(s, s.Cancel(s.Context(), run, "it is late"))
		s.waitEnd(run, machine.Cancelled)
	}},
	{"the run times out", func(s *fixture) {
		r := s.waitEnd(s.startRun(`
flow: f
timeout: 40ms
steps:
  - {id: send, action: test.send, with: {to: a, text: hang}}
on_failure:
  - {id: sorry, action: test.send, with: {to: b}}
`, nil), machine.Failed)
		assert.Equal(s, "timeout", r.Error.Code)
		assert.Len(s, s.world.Messages("b"), 1)
	}},
	{"branches", func(s *fixture) {
		run := s.startRun(`
flow: f
steps:
  - parallel:
      a: [{id: one, action: test.send, with: {to: a, text: gate}}]
      b: [{id: two, action: test.send, with: {to: b}}, {id: more, action: test.get, with: {to: c}}]
`, nil)
		s.waitMessages("c", 1)
		s.world.Answer("a")
		s.waitEnd(run, machine.Succeeded)
		assert.Len(s, s.world.Messages("a"), 1)
	}},
	{"a concurrent loop", func(s *fixture) {
		run := s.startRun(`
flow: f
steps:
  - id: each
    foreach: "${['a', 'b', 'c', 'd', 'e']}"
    as: to
    concurrency: 3
    allow_failure: true
    steps:
      - {id: send, action: test.send, with: {to: "${to}", text: "${to == 'c' ? 'refuse' : 'gate'}"}}
    collect: ${steps.send.outputs.?id.orValue("none")}
outputs: {ids: "${steps.each.outputs.items}"}
`, nil)
		s.waitMessages("a", 1)
		s.waitMessages("b", 1)
		s.waitMessages("d", 1)
		assert.Empty(s, s.world.Messages("e"), "three at a time")
		for _, to := range []string{"d", "e", "b", "a"} {
			s.world.Answer(to)
		}
		r := s.wait(run)
		items := r.Outputs["ids"].([]any)
		assert.Len(s, items, 5)
		assert.Nil(s, items[2])
		s.assertNoDuplicates()
	}},
	{"catch and finally", func(s *fixture) {
		r := s.waitEnd(s.startRun(`
flow: f
steps:
  - try:
      - {id: first, action: test.send, with: {to: a, text: refuse}}
    catch:
      - steps: [{id: caught, action: test.send, with: {to: b}}]
    finally:
      - {id: last, action: test.send, with: {to: c}}
outputs: {caught: '${steps.caught.status}'}
`, nil), machine.Succeeded)
		assert.Equal(s, "succeeded", r.Outputs["caught"])
		assert.Len(s, s.world.Messages("c"), 1)
	}},
	{"a long loop", func(s *fixture) {
		r := s.waitEnd(s.startRun(`
flow: f
steps:
  - foreach: "${lists.range(500)}"
    as: n
    concurrency: 50
    steps: [{id: send, action: test.send, with: {to: "${string(n)}"}}]
`, nil), machine.Succeeded)
		assert.Len(s, r.Steps, 501)
		s.assertNoDuplicates()
	}},
}
