// Package hosttest is what every host must do: Exercise, run on each of them. Nothing
// here knows how a host stores its runs.
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

// patience is how long something may take before a test gives up. Nothing is expected to
// take any time in particular.
const patience = 2 * time.Minute

// A Site is where hosts keep their runs: what is stored there outlives them. One host is
// open at a time.
type Site interface {
	// Open opens a host that acts on the world.
	Open(ctx context.Context, w *World) (host.Host, error)
	// Crash ends the host as a loss of power does. What it goes on doing in this process
	// has no effect on the site, and what it was not obliged to keep may be gone. It may
	// be called from anywhere, also from the world.
	Crash()
	// Stop ends the host in order.
	Stop(ctx context.Context) error
}

// Exercise runs the tests of all hosts. Each opens a site of its own.
func Exercise(t *testing.T, open func(t *testing.T) Site) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"calls", calls}, {"flows", flows}, {"events", events}, {"receipts", receipts}, {"asked", asked},
		{"starts", starts}, {"holds", holds}, {"crashes", crashes},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, tt := range group.tests {
				t.Run(tt.name, func(t *testing.T) {
					t.Parallel()
					s := &stage{T: t, site: open(t), world: NewWorld()}
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
	run  func(s *stage)
}

// A stage is one test's site, world and host.
type stage struct {
	*testing.T
	site  Site
	world *World
	host.Host
	down bool
}

func (s *stage) open() {
	s.Helper()
	h, err := s.site.Open(s.Context(), s.world)
	require.NoError(s, err)
	s.Host, s.down = h, false
}

func (s *stage) crash() {
	s.site.Crash()
	s.down = true
}

func (s *stage) stop() {
	s.Helper()
	if s.down {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	assert.NoError(s, s.site.Stop(ctx))
	s.down = true
}

// reopen ends the host, in order or not, and opens another one.
func (s *stage) reopen(crash bool) {
	s.Helper()
	if crash {
		s.crash()
	} else {
		s.stop()
	}
	s.open()
}

// begin starts a run of a flow.
func (s *stage) begin(flow string, inputs map[string]any) string {
	s.Helper()
	p := s.world.Compile(s, flow)
	if inputs == nil {
		inputs = map[string]any{}
	}
	coerced, found := p.Inputs.Coerce(inputs)
	require.NoError(s, found.Err())
	run, fresh, err := s.Start(s.Context(), p, start(coerced.(map[string]any), ""))
	require.NoError(s, err)
	assert.True(s, fresh)
	return run.ID
}

// result waits for the end of a run.
func (s *stage) result(run string) *host.Result {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
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

// ends waits for the end of a run, and checks how it ended.
func (s *stage) ends(run string, want machine.Status) *host.Result {
	s.Helper()
	r := s.result(run)
	assert.Equal(s, want, r.Status, "%+v", r.Error)
	return r
}

// report returns what is known of a run.
func (s *stage) report(run string) *host.Report {
	s.Helper()
	r, err := s.Get(s.Context(), run)
	require.NoError(s, err)
	return r
}

// step returns a step of a run.
func (s *stage) step(run, path string) *machine.Step {
	s.Helper()
	for _, step := range s.report(run).Result.Steps {
		if step.Path == path {
			return step
		}
	}
	require.Fail(s, "there is no step "+path)
	return nil
}

// eventually waits until something holds.
func (s *stage) eventually(what string, holds func() bool) {
	s.Helper()
	if !assert.Eventually(s, holds, patience, 2*time.Millisecond, what) {
		s.FailNow()
	}
}

// reaches waits until a run has a status.
func (s *stage) reaches(run string, want machine.Status) {
	s.Helper()
	s.eventually(fmt.Sprintf("the run %s is %s", run, want), func() bool { return s.report(run).Run.Status == want })
}

// wrote waits until so many messages to somebody were accepted.
func (s *stage) wrote(to string, n int) []Message {
	s.Helper()
	s.eventually(fmt.Sprintf("%d messages to %s", n, to), func() bool { return len(s.world.Messages(to)) >= n })
	return s.world.Messages(to)
}

// says brings a reply from somebody, by all the names that they have.
func (s *stage) says(id, text string, names ...string) {
	s.Helper()
	require.NoError(s, s.Deliver(s.Context(), reply(id, text, names...)))
}

func reply(id, text string, names ...string) host.Event {
	return host.Event{ID: id, Name: "test.reply", Subjects: names, At: time.Now(), Data: map[string]any{"text": text}}
}

// tells brings news of a call.
func (s *stage) tells(key, state string) {
	s.Helper()
	require.NoError(s, s.Receive(s.Context(), s.world.Receipt(key, state)))
}

// once asserts that nobody got a message twice, and that no call was made twice that must
// not be.
func (s *stage) once() {
	s.Helper()
	seen := map[string]bool{}
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	for _, m := range s.world.messages {
		assert.False(s, m.Action != "test.get" && seen[m.Key], "%s was sent twice", m.Key)
		seen[m.Key] = true
	}
}
