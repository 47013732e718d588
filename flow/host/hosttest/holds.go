package hosttest

import (
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const connected = `
flow: connected
inputs: {to: {type: string}}
steps:
  - {id: send, action: test.send, connection: shop, with: {to: "${inputs.to}"}}
`

var holds = []test{
	{"a flow", func(s *fixture) {
		s.checkHold(host.Flow, "send", send, question)
	}},
	{"a connection", func(s *fixture) {
		s.checkHold(host.Connection, "shop", connected, send)
	}},
	{"all", func(s *fixture) {
		s.checkHold(host.All, "", send, "")
	}},
	{"in the middle of a run", func(s *fixture) {
		run := s.startRun(`
flow: f
steps:
  - {id: one, action: test.send, with: {to: a, text: gate}}
  - {id: two, action: test.send, with: {to: b}}
`, nil)
		s.waitMessages("a", 1)
		require.NoError(s, s.Pause(s.Context(), host.All, "", "maintenance"))
		s.world.Answer("a")
		s.waitHeld(run)
		require.NoError(s, s.Resume(s.Context(), host.All, ""))
		s.waitEnd(run, machine.Succeeded)
	}},
	{"while a call prepares itself", func(s *fixture) {
		for _, end := range []machine.Status{machine.Succeeded, machine.Cancelled} {
			preparing, paused := make(chan bool), make(chan bool)
			s.world.SetOnDo(func(at string, _ call.Call) {
				if at == "prepared" {
					preparing <- true
					<-paused
				}
			})
			run := s.startRun("flow: f\nsteps: [{id: send, action: test.prepared, with: {to: "+string(end)+"}}]\n", nil)
			<-preparing
			require.NoError(s, s.Pause(s.Context(), host.Flow, "f", "maintenance"))
			s.world.SetOnDo(nil)
			close(paused)
			s.eventually("it is known what became of it", func() bool {
				calls := s.report(run).Calls
				return len(calls) == 1 && calls[0].Outcome != nil
			})
			assert.Empty(s, s.world.Messages(string(end)))
			s.reopen(true)
			s.waitHeld(run)
			assert.Empty(s, s.world.Messages(string(end)))
			if end == machine.Cancelled {
				require.NoError(s, s.Cancel(s.Context(), run, ""))
				s.waitEnd(run, end)
			}
			require.NoError(s, s.Resume(s.Context(), host.Flow, "f"))
			r := s.waitEnd(run, end)
			sent := len(s.world.Messages(string(end)))
			assert.Equal(s, end == machine.Succeeded, sent == 1)
			assert.Equal(s, sent, r.Steps[0].Attempts, "what is held is no attempt")
			assert.Zero(s, s.report(run).Run.Unknown)
		}
		s.assertNoDuplicates()
	}},
	{"cancelled while it is held", func(s *fixture) {
		require.NoError(s, s.Pause(s.Context(), host.All, "", ""))
		run := s.startRun(send, map[string]any{"to": "a"})
		s.waitHeld(run)
		require.NoError(s, s.Cancel(s.Context(), run, ""))
		s.waitEnd(run, machine.Cancelled)
		assert.Empty(s, s.world.Messages("a"))
	}},
	{"the vault is unreachable", func(s *fixture) {
		s.world.VaultDown(true)
		run := s.startRun(connected, map[string]any{"to": "a"})
		s.waitHeld(run)
		list, err := s.Holds(s.Context())
		require.NoError(s, err)
		require.Len(s, list, 1)
		assert.True(s, list[0].Auto)
		assert.Equal(s, host.Connection, list[0].Scope)
		assert.Equal(s, "shop", list[0].Name)
		assert.Contains(s, list[0].Reason, "vault")
		s.world.VaultDown(false)
		r := s.waitEnd(run, machine.Succeeded)
		assert.Equal(s, 1, r.Steps[0].Attempts, "what is held is no attempt")
	}},
	{"refused credentials", func(s *fixture) {
		s.world.SetToken("stale")
		first := s.startRun(connected, map[string]any{"to": "a"})
		assert.Equal(s, "auth", s.waitEnd(first, machine.Failed).Error.Code)
		second := s.startRun(connected, map[string]any{"to": "a"})
		s.waitHeld(second)
		s.reopen(false)
		s.waitHeld(second)
		s.world.SetToken("good")
		require.NoError(s, s.Resume(s.Context(), host.Connection, "shop"))
		s.waitEnd(second, machine.Succeeded)
		assert.Len(s, s.world.Messages("a"), 1)
	}},
}

// checkHold checks that a hold keeps the calls that it covers, and no others.
func (s *fixture) checkHold(scope host.Scope, name, kept, other string) {
	require.NoError(s, s.Pause(s.Context(), scope, name, "too loud"))
	run := s.startRun(kept, map[string]any{"to": "a"})
	s.waitHeld(run)
	why := s.report(run).Holds[0]
	assert.Equal(s, "send", why.Step)
	assert.Contains(s, why.Reason, "too loud")
	if other != "" {
		s.startRun(other, map[string]any{"to": "b"})
		s.waitMessages("b", 1)
	}
	s.reopen(true)
	s.eventually("it is held", func() bool {
		list, err := s.Holds(s.Context())
		require.NoError(s, err)
		return len(list) == 1 && list[0].Calls == 1
	})
	list, err := s.Holds(s.Context())
	require.NoError(s, err)
	assert.Equal(s, host.Hold{Scope: scope, Name: name, Reason: "too loud", Since: list[0].Since, Calls: 1}, list[0])
	assert.Empty(s, s.world.Messages("a"))
	require.NoError(s, s.Resume(s.Context(), scope, name))
	s.waitEnd(run, machine.Succeeded)
	list, err = s.Holds(s.Context())
	require.NoError(s, err)
	assert.Empty(s, list)
	assert.Len(s, s.world.Messages("a"), 1)
}
