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
	{"a flow", func(s *stage) {
		s.paused(host.Flow, "send", send, question)
	}},
	{"a connection", func(s *stage) {
		s.paused(host.Connection, "shop", connected, send)
	}},
	{"all", func(s *stage) {
		s.paused(host.All, "", send, "")
	}},
	{"in the middle", func(s *stage) {
		run := s.begin(`
flow: f
steps:
  - {id: one, action: test.send, with: {to: a, text: gate}}
  - {id: two, action: test.send, with: {to: b}}
`, nil)
		s.wrote("a", 1)
		require.NoError(s, s.Pause(s.Context(), host.All, "", "maintenance"))
		s.world.Open("a")
		s.eventually("it is held", func() bool { return len(s.report(run).Holds) == 1 })
		require.NoError(s, s.Resume(s.Context(), host.All, ""))
		s.ends(run, machine.Succeeded)
	}},
	{"while a call prepares itself", func(s *stage) {
		for _, end := range []machine.Status{machine.Succeeded, machine.Cancelled} {
			preparing, paused := make(chan bool), make(chan bool)
			s.world.Set(func(at string, _ call.Call) {
				if at == "prepared" {
					preparing <- true
					<-paused
				}
			})
			run := s.begin("flow: f\nsteps: [{id: send, action: test.prepared, with: {to: "+string(end)+"}}]\n", nil)
			<-preparing
			require.NoError(s, s.Pause(s.Context(), host.Flow, "f", "maintenance"))
			s.world.Set(nil)
			close(paused)
			s.eventually("it is known what became of it", func() bool {
				calls := s.report(run).Calls
				return len(calls) == 1 && calls[0].Outcome != nil
			})
			assert.Empty(s, s.world.Messages(string(end)))
			s.reopen(true)
			s.eventually("it is held", func() bool { return len(s.report(run).Holds) == 1 })
			assert.Empty(s, s.world.Messages(string(end)))
			if end == machine.Cancelled {
				require.NoError(s, s.Cancel(s.Context(), run, ""))
				s.ends(run, end)
			}
			require.NoError(s, s.Resume(s.Context(), host.Flow, "f"))
			r := s.ends(run, end)
			sent := len(s.world.Messages(string(end)))
			assert.Equal(s, end == machine.Succeeded, sent == 1)
			assert.Equal(s, sent, r.Steps[0].Attempts, "what is held is no attempt")
			assert.Zero(s, s.report(run).Run.Unknown)
		}
		s.once()
	}},
	{"cancelled while it is held", func(s *stage) {
		require.NoError(s, s.Pause(s.Context(), host.All, "", ""))
		run := s.begin(send, map[string]any{"to": "a"})
		s.eventually("it is held", func() bool { return len(s.report(run).Holds) == 1 })
		require.NoError(s, s.Cancel(s.Context(), run, ""))
		s.ends(run, machine.Cancelled)
		assert.Empty(s, s.world.Messages("a"))
	}},
	{"the vault is away", func(s *stage) {
		s.world.Away(true)
		run := s.begin(connected, map[string]any{"to": "a"})
		s.eventually("it is held", func() bool { return len(s.report(run).Holds) == 1 })
		list, err := s.Holds(s.Context())
		require.NoError(s, err)
		require.Len(s, list, 1)
		assert.True(s, list[0].Auto)
		assert.Equal(s, host.Connection, list[0].Scope)
		assert.Equal(s, "shop", list[0].Name)
		assert.Contains(s, list[0].Reason, "vault")
		s.world.Away(false)
		r := s.ends(run, machine.Succeeded)
		assert.Equal(s, 1, r.Steps[0].Attempts, "what is held is no attempt")
	}},
	{"credentials that are refused", func(s *stage) {
		s.world.Token("stale")
		first := s.begin(connected, map[string]any{"to": "a"})
		assert.Equal(s, "auth", s.ends(first, machine.Failed).Error.Code)
		second := s.begin(connected, map[string]any{"to": "a"})
		s.eventually("it is held", func() bool { return len(s.report(second).Holds) == 1 })
		s.reopen(false)
		s.eventually("it is held", func() bool { return len(s.report(second).Holds) == 1 })
		s.world.Token("good")
		require.NoError(s, s.Resume(s.Context(), host.Connection, "shop"))
		s.ends(second, machine.Succeeded)
		assert.Len(s, s.world.Messages("a"), 1)
	}},
}

// paused checks that a hold keeps what it is about, and nothing else.
func (s *stage) paused(scope host.Scope, name, kept, other string) {
	require.NoError(s, s.Pause(s.Context(), scope, name, "too loud"))
	run := s.begin(kept, map[string]any{"to": "a"})
	s.eventually("it is held", func() bool { return len(s.report(run).Holds) == 1 })
	why := s.report(run).Holds[0]
	assert.Equal(s, "send", why.Step)
	assert.Contains(s, why.Reason, "too loud")
	if other != "" {
		s.begin(other, map[string]any{"to": "b"})
		s.wrote("b", 1)
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
	s.ends(run, machine.Succeeded)
	list, err = s.Holds(s.Context())
	require.NoError(s, err)
	assert.Empty(s, list)
	assert.Len(s, s.world.Messages("a"), 1)
	var _ call.Call
}
