// Package hosttest is the conformance suite of hosts: Exercise tests what each of them must do,
// without knowledge of how it stores its runs.
package hosttest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// waitTimeout is when a test gives up waiting. No test depends on how long anything takes.
const waitTimeout = 2 * time.Minute

// A Backend is where hosts keep their runs: it outlives them. One host is open at a time.
type Backend interface {
	// Open opens a host that calls and asks w.
	Open(ctx context.Context, w *World) (host.Host, error)
	// Crash ends the host like a power failure. What it still does in this process must not
	// reach the backend, and what is not durable may be lost. It may be called from any
	// goroutine, also by w.
	Crash()
	// Stop stops the host in order.
	Stop(ctx context.Context) error
}

// Exercise runs all tests, each on a Backend of its own.
func Exercise(t *testing.T, open func(t *testing.T) Backend) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"calls", calls}, {"flows", flows}, {"events", events}, {"receipts", receipts}, {"control", control},
		{"starts", starts}, {"holds", holds}, {"crashes", crashes},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, tt := range group.tests {
				t.Run(tt.name, func(t *testing.T) {
					t.Parallel()
					s := &fixture{T: t, backend: open(t), world: NewWorld()}
					s.open()
					tt.run(s)
					s.stop()
				})
			}
		})
	}
}

type test struct {
	name string
	run  func(s *fixture)
}

// A fixture is the backend, world and host of one test.
type fixture struct {
	*testing.T
	backend Backend
	world   *World
	host.Host
	stopped bool
}

func (s *fixture) open() {
	s.Helper()
	h, err := s.backend.Open(s.Context(), s.world)
	require.NoError(s, err)
	s.Host, s.stopped = h, false
}

func (s *fixture) crash() {
	s.backend.Crash()
	s.stopped = true
}

func (s *fixture) stop() {
	s.Helper()
	if s.stopped {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	assert.NoError(s, s.backend.Stop(ctx))
	s.stopped = true
}

// reopen ends the host, by a crash or in order, and opens another one.
func (s *fixture) reopen(crash bool) {
	s.Helper()
	if crash {
		s.crash()
	} else {
		s.stop()
	}
	s.open()
}

// startRun starts a run of a flow.
func (s *fixture) startRun(flow string, inputs map[string]any) string {
	s.Helper()
	p := s.world.Compile(s, flow)
	if inputs == nil {
		inputs = map[string]any{}
	}
	coerced, found := p.Inputs.Coerce(inputs)
	require.NoError(s, found.Err())
	run, fresh, err := s.Start(s.Context(), p, startInput(coerced.(map[string]any), ""))
	require.NoError(s, err)
	assert.True(s, fresh)
	return run.ID
}

// wait waits for the end of a run.
func (s *fixture) wait(run string) *host.Result {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), waitTimeout)
	defer cancel()
	r, err := s.Wait(ctx, run)
	if err != nil {
		if report, failed := s.Get(s.Context(), run); failed == nil {
			s.Logf("%+v waits for %q, holds %v", report.Run, report.Waits, report.Holds)
		}
	}
	require.NoError(s, err)
	return r
}

// waitEnd waits for the end of a run, and checks how it ended.
func (s *fixture) waitEnd(run string, want machine.Status) *host.Result {
	s.Helper()
	r := s.wait(run)
	assert.Equal(s, want, r.Status, "%+v", r.Error)
	return r
}

// report returns what the host tells of a run.
func (s *fixture) report(run string) *host.Report {
	s.Helper()
	r, err := s.Get(s.Context(), run)
	require.NoError(s, err)
	return r
}

// step returns a step of a run.
func (s *fixture) step(run, path string) *machine.Step {
	s.Helper()
	for _, step := range s.report(run).Result.Steps {
		if step.Path == path {
			return step
		}
	}
	require.Fail(s, "there is no step "+path)
	return nil
}

// eventually waits until a condition holds.
func (s *fixture) eventually(what string, holds func() bool) {
	s.Helper()
	if !assert.Eventually(s, holds, waitTimeout, 2*time.Millisecond, what) {
		s.FailNow()
	}
}

// waitStatus waits until a run has a status.
func (s *fixture) waitStatus(run string, want machine.Status) {
	s.Helper()
	s.eventually(fmt.Sprintf("the run %s is %s", run, want), func() bool { return s.report(run).Run.Status == want })
}

// waitHeld waits until a call of a run is held back.
func (s *fixture) waitHeld(run string) {
	s.Helper()
	s.eventually("a call of "+run+" is held", func() bool { return len(s.report(run).Holds) == 1 })
}

// waitMessages waits until n messages to a recipient were accepted.
func (s *fixture) waitMessages(to string, n int) []Message {
	s.Helper()
	s.eventually(fmt.Sprintf("%d messages to %s", n, to), func() bool { return len(s.world.Messages(to)) >= n })
	return s.world.Messages(to)
}

// deliverReply delivers a reply of a contact with those names.
func (s *fixture) deliverReply(id, text string, names ...string) {
	s.Helper()
	require.NoError(s, s.Deliver(s.Context(), replyEvent(id, text, names...)))
}

func replyEvent(id, text string, names ...string) host.Event {
	return host.Event{ID: id, Name: "test.reply", Subjects: names, At: time.Now(), Data: map[string]any{"text": text}}
}

// receive passes a new receipt of a call to the host.
func (s *fixture) receive(key, state string) {
	s.Helper()
	require.NoError(s, s.Receive(s.Context(), s.world.Receipt(key, state)))
}

// assertNoDuplicates asserts that no call that must not be repeated was made twice.
func (s *fixture) assertNoDuplicates() {
	s.Helper()
	seen := map[string]bool{}
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	for _, m := range s.world.messages {
		assert.False(s, m.Action != "test.get" && seen[m.Key], "%s was sent twice", m.Key)
		seen[m.Key] = true
	}
}
