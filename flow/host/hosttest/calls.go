package hosttest

import (
	"facteur/flow/call"
	"facteur/flow/machine"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const send = `
flow: send
inputs: {to: {type: string}, text: {type: string, default: hello}}
steps:
  - {id: send, action: test.send, with: {to: "${inputs.to}", text: "${inputs.text}"}}
outputs: {delivery: "${steps.send.outputs.delivery}"}
`

var calls = []test{
	{"one", func(s *fixture) {
		run := s.startRun(send, map[string]any{"to": "a", "text": "hi"})
		r := s.waitEnd(run, machine.Succeeded)
		assert.Equal(s, map[string]any{"delivery": "accepted"}, r.Outputs)
		assert.Len(s, s.world.Messages("a"), 1)
		again := s.wait(run)
		assert.Equal(s, r.Result, again.Result, "whoever asks later is told the same")

		report := s.report(run)
		assert.Equal(s, machine.Succeeded, report.Run.Status)
		assert.Equal(s, "test", report.Run.By)
		assert.Equal(s, "send", report.Run.Flow)
		assert.False(s, report.Run.Ended.IsZero())
		assert.Equal(s, map[string]any{"to": "a", "text": "hi"}, report.Inputs)
		assert.Contains(s, report.Sources["send"], "test.send")
		require.Len(s, report.Calls, 1)
		assert.Equal(s, "hi", report.Calls[0].Input["text"])
		assert.Equal(s, call.Succeeded, report.Calls[0].Outcome.Status)
		require.GreaterOrEqual(s, len(report.Journal), 3)
		for i, kind := range []string{"start", "taken", "answered"} {
			assert.Equal(s, kind, report.Journal[i].Kind)
			assert.NotContains(s, string(report.Journal[i].Data), "seed", "what is random in a run is secret")
		}
	}},
	{"refused", func(s *fixture) {
		r := s.waitEnd(s.startRun(send, map[string]any{"to": "a", "text": "refuse"}), machine.Failed)
		assert.Equal(s, "refused", r.Error.Code)
		assert.Equal(s, "send", r.Step)
		assert.Empty(s, s.world.Messages("a"))
	}},
	{"prepared", func(s *fixture) {
		r := s.waitEnd(s.startRun("flow: f\nsteps: [{id: send, action: test.prepared, with: {to: a, text: begin}}]\n", nil), machine.Succeeded)
		assert.Equal(s, 1, r.Steps[0].Attempts)
		assert.Len(s, s.world.Messages("a"), 1)
	}},
	{"prepared, and cancelled before it begins", func(s *fixture) {
		preparing, cancelled := make(chan bool), make(chan bool)
		s.world.SetOnDo(func(at string, _ call.Call) {
			if at == "prepared" {
				preparing <- true
				<-cancelled
			}
		})
		run := s.startRun("flow: f\nsteps: [{id: send, action: test.prepared, with: {to: a}}]\n", nil)
		<-preparing
		require.NoError(s, s.Cancel(s.Context(), run, "enough"))
		close(cancelled)
		s.waitEnd(run, machine.Cancelled)
		s.assertNoDuplicates()
		sent := len(s.world.Messages("a"))
		assert.Equal(s, sent, s.step(run, "send").Attempts, "it is recorded if it began, and only then")
	}},
	{"retried", func(s *fixture) {
		run := s.startRun(`
flow: f
steps:
  - {id: send, action: test.send, with: {to: a, text: busy}, retry: {attempts: 3, delay: 1ms}}
`, nil)
		r := s.waitEnd(run, machine.Succeeded)
		assert.Equal(s, 2, r.Steps[0].Attempts)
		assert.Len(s, r.Steps[0].Keys, 2)
		assert.Len(s, s.world.Messages("a"), 1)
	}},
	{"retried again and again", func(s *fixture) {
		run := s.startRun(`
flow: f
steps:
  - id: all
    foreach: "${lists.range(20)}"
    as: n
    concurrency: 5
    steps: [{id: send, action: test.send, with: {to: a, text: busy}, retry: {attempts: 3, delay: 1ms}}]
`, nil)
		s.waitEnd(run, machine.Succeeded)
		assert.Len(s, s.world.Messages("a"), 20)
		s.assertNoDuplicates()
	}},
	{"timed out", func(s *fixture) {
		run := s.startRun(`
flow: f
steps:
  - {id: get, action: test.get, timeout: 30ms, with: {to: a, text: hang}, allow_failure: true}
  - {id: send, action: test.send, timeout: 30ms, unknown_timeout: 20ms, with: {to: a, text: hang}}
`, nil)
		r := s.waitEnd(run, machine.Failed)
		assert.Equal(s, "outcome_unknown", r.Error.Code, "without an answer nobody knows")
	}},
	{"lost", func(s *fixture) {
		run := s.startRun(`
flow: f
steps:
  - {id: send, action: test.send, with: {to: a, text: lost}, retry: {attempts: 5, delay: 1ms}, unknown_timeout: 20ms}
`, nil)
		r := s.waitEnd(run, machine.Failed)
		assert.Equal(s, "outcome_unknown", r.Error.Code)
		assert.Len(s, s.world.Messages("a"), 1, "what may have happened is not tried again")
		report := s.report(run)
		assert.Equal(s, 1, report.Run.Unknown)
		listed := s.list(filterUnknown)
		require.Len(s, listed, 1)
		assert.Equal(s, run, listed[0].ID)
	}},
	{"lost, and sent again as the author wants", func(s *fixture) {
		run := s.startRun(`
flow: f
steps:
  - {id: send, action: test.send, with: {to: a, text: void}, on_unknown: resend, unknown_timeout: 20ms}
`, nil)
		r := s.waitEnd(run, machine.Failed)
		assert.Equal(s, 2, r.Steps[0].Attempts)
	}},
	{"held back by a limit", func(s *fixture) {
		run := s.startRun(`
flow: f
steps:
  - id: all
    foreach: "${lists.range(6)}"
    as: n
    concurrency: 6
    steps: [{id: send, action: test.send, with: {to: slow}}]
`, nil)
		other := s.startRun(send, map[string]any{"to": "slow"})
		s.waitEnd(other, machine.Succeeded)
		r := s.waitEnd(run, machine.Succeeded)
		assert.Len(s, s.world.Messages("slow"), 7)
		for _, step := range r.Steps {
			assert.LessOrEqual(s, step.Attempts, 1, "what is held back is no attempt")
		}
	}},
	{"many runs", func(s *fixture) {
		p := s.world.Compile(s, send)
		var runs []string
		for range 200 {
			run, _, err := s.Start(s.Context(), p, startInput(map[string]any{"to": "a", "text": "hello"}, ""))
			require.NoError(s, err)
			runs = append(runs, run.ID)
		}
		for _, run := range runs {
			s.waitEnd(run, machine.Succeeded)
		}
		assert.Len(s, s.world.Messages("a"), 200)
		s.assertNoDuplicates()
	}},
}
