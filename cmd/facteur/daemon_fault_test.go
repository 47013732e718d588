package main

import (
	"archive/tar"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/cmd/facteur/daemon"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/project"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newFaultTest returns a stormTest with some of its flows, whose daemon the test itself starts
// and stops.
func newFaultTest(t *testing.T, flows ...string) *stormTest {
	if testing.Short() {
		t.Skip("it takes its time")
	}
	s := newStormTest(t)
	texts := stormFlows()
	for _, name := range flows {
		write(t, filepath.Join(s.dir, name+".flow.yaml"), texts[name])
	}
	return s
}

// startLoad starts runs until the function that it returns is called.
func (s *stormTest) startLoad(customers int, flows ...string) (stop func()) {
	var all sync.WaitGroup
	for n := range customers {
		all.Go(func() { s.customer(n, flows) })
	}
	return func() {
		close(s.done)
		all.Wait()
	}
}

func (s *stormTest) subscribe() {
	s.t.Helper()
	require.NoError(s.t, s.api.Subscribe(s.t.Context(), simulator.Webhook{URL: s.webhooksURL() + daemon.WebhookPath("shop"), VerifyToken: simulatedVerify}))
}

// setDataDir sets the data folder in the project file.
func (s *stormTest) setDataDir(dir string) {
	file := filepath.Join(s.dir, project.FileName)
	text, err := os.ReadFile(file)
	require.NoError(s.t, err)
	write(s.t, file, string(text)+"\ndata: "+dir+"\n")
}

// serveUntilExit runs a daemon that is expected to exit by itself.
func (s *stormTest) serveUntilExit(args ...string) (code int, log string) {
	p := s.launch(args...)
	_ = p.Wait() // the exit code is returned instead
	return p.ProcessState.ExitCode(), p.log.String()
}

// mountTmpfs mounts a file system of that size, or skips the test where it may not mount.
func mountTmpfs(t *testing.T, size string) (dir string, resize func(size string)) {
	dir = t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("a file system cannot be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() { assert.NoError(t, exec.Command("umount", "-l", dir).Run()) })
	return dir, func(size string) {
		require.NoError(t, exec.Command("mount", "-o", "remount,size="+size, dir).Run())
	}
}

// When the disk is full the daemon says so and exits, also when it is started again. Once there
// is space it continues, with every run that it had acknowledged.
func TestDiskFull(t *testing.T) {
	s := newFaultTest(t, "storm_plain", "storm_retry", "storm_pause")
	disk, resize := mountTmpfs(t, "2500k")
	s.setDataDir(filepath.Join(disk, "data"))
	s.startDaemon()
	s.subscribe()
	stop := s.startLoad(4, "storm_plain", "storm_retry", "storm_pause")
	refused, unready := "", ""
	ended := make(chan error, 1)
	go func() { ended <- s.daemon.Wait() }()
	var err error
	for going := true; going; {
		select {
		case err = <-ended:
			going = false
		case <-time.After(5 * time.Millisecond):
			_, err := s.client.Start(t.Context(), "storm_plain", server.StartRequest{Inputs: map[string]any{"phone": grace, "sender": "106540352242922", "order": "0"}}, server.StartOption{Key: "one"})
			if p, ok := errors.AsType[*server.Problem](err); ok && p.Kind() == server.Unavailable {
				refused = p.Detail
			}
			if ready, err := s.client.Ready(t.Context()); err == nil && !ready.Ready {
				unready = ready.Checks[0].Error + ready.Checks[1].Error
			}
		}
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, exitSystem, exit.ExitCode())
	log := s.daemon.log.String()
	assert.Contains(t, log, "the disk is full; free some space")
	assert.NotContains(t, log, "panic")
	assert.Contains(t, refused, "the disk is full")
	assert.Contains(t, unready, "the disk is full")
	filler, err := os.Create(filepath.Join(disk, "filler"))
	require.NoError(t, err)
	_, err = io.CopyN(filler, zeroReader{}, 1<<30)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, filler.Close())
	code, again := s.serveUntilExit()
	assert.Equal(t, exitSystem, code, again)
	assert.Regexp(t, `(?m)^error: .*(no space left|the disk is full)`, again)

	resize("300m")
	s.startDaemon()
	before := s.api.Counts().Accepted
	require.Eventually(t, func() bool { return s.api.Counts().Accepted > before+20 }, 20*time.Second, 10*time.Millisecond, "it goes on")
	stop()
	s.check()
	assert.Zero(t, s.counts["lost"]+s.counts["duplicated"])
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { return len(p), nil }

// Runs that were unfinished when a backup was made are held after its restore: nothing is sent
// until they are released, also after further starts. Cancelled ones never send.
func TestRestoredBackup(t *testing.T) {
	s := newFaultTest(t, "storm_plain", "storm_pause", "storm_reply")
	s.startDaemon()
	s.subscribe()
	stop := s.startLoad(3, "storm_plain", "storm_pause", "storm_reply")
	require.Eventually(t, func() bool { return s.api.Counts().Accepted > 100 }, 20*time.Second, 10*time.Millisecond)
	file := filepath.Join(t.TempDir(), "backup.tar")
	code, _, stderr := facteur(t, s.dir, "", "backup", file)
	require.Zero(t, code, stderr)
	after := s.api.Counts().Accepted
	require.Eventually(t, func() bool { return s.api.Counts().Accepted > after+50 }, 20*time.Second, 10*time.Millisecond)
	stop()
	s.kill(os.Kill)
	require.NoError(t, s.api.Idle(t.Context()))

	folder := filepath.Join(t.TempDir(), "restored")
	untar(t, file, folder)
	key, err := os.ReadFile(filepath.Join(s.dir, "data", "vault.key"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "vault.key"), key, 0o600))
	s.setDataDir(folder)
	sent := s.api.Keys("f1.")
	statuses := func() map[machine.Status]int {
		n := map[machine.Status]int{}
		for _, r := range s.list() {
			n[r.Status]++
		}
		return n
	}
	s.startDaemon("--restored")
	first := statuses()
	assert.NotZero(t, first[host.Held])
	assert.Zero(t, first[machine.Running]+first[host.Waiting]+first[host.Queued])
	var held []string
	for _, r := range s.list() {
		if r.Status == host.Held {
			held = append(held, r.RunID)
		}
	}
	began, err := s.client.Start(t.Context(), "storm_plain", server.StartRequest{Inputs: map[string]any{"phone": grace, "sender": "106540352242999", "order": "new"}}, server.StartOption{Wait: 10 * time.Second})
	require.NoError(t, err)
	assert.Equal(t, machine.Succeeded, began.Status, "what is new goes on")
	for range 2 {
		s.kill(os.Kill)
		s.startDaemon() // without --restored: what is held stays so
	}
	assert.Equal(t, first[host.Held], statuses()[host.Held])
	now := s.api.Keys("f1.")
	maps.DeleteFunc(now, func(key string, _ int) bool { return strings.HasPrefix(key, "f1."+began.RunID+".") })
	assert.Equal(t, sent, now, "nothing was sent")

	released, cancelled := held[:len(held)/2], held[len(held)/2:]
	for _, run := range cancelled {
		require.NoError(t, s.client.Cancel(t.Context(), run, server.CancelRequest{Reason: "it was sent since"}))
	}
	for _, run := range released {
		require.NoError(t, s.client.Release(t.Context(), run))
	}
	for _, run := range held {
		var d *server.Detail
		require.Eventually(t, func() bool {
			d, err = s.client.Run(t.Context(), run, 0)
			require.NoError(t, err)
			return !d.EndedAt.IsZero() || d.Status == host.Mismatch
		}, 30*time.Second, 10*time.Millisecond, "%s goes on", run)
		if d.Status == host.Mismatch {
			assert.Contains(t, d.Error.Message, "it continued after the backup, and it is not known how")
			t.Log(d.Flow, d.Error.Message)
		}
	}
	now = s.api.Keys("f1.")
	again := 0
	for key, n := range now {
		run := strings.Split(key, ".")[1]
		switch {
		case n == sent[key]:
		case slices.Contains(released, run):
			again++
		case run != began.RunID:
			t.Errorf("the key %s was sent, and nobody released its run", key)
		}
	}
	t.Logf("held: %d, released: %d, calls of these that were sent now: %d", len(held), len(released), again)
}

func untar(t *testing.T, file, dir string) {
	require.NoError(t, os.MkdirAll(dir, 0o700))
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	for r := tar.NewReader(f); ; {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, head.Name), text, 0o600))
	}
}

// Of all daemons started on one data folder one runs; the others say which one does.
func TestManyDaemons(t *testing.T) {
	s := newFaultTest(t, "storm_plain", "storm_retry")
	s.startDaemon()
	s.subscribe()
	stop := s.startLoad(3, "storm_plain", "storm_retry")
	for range 3 {
		code, log := s.serveUntilExit()
		assert.Equal(t, exitSystem, code)
		assert.Regexp(t, `error: the daemon with the process id \d+, at http://127\.0\.0\.1:\d+, is already using the data folder \S+`, log)
		assert.Contains(t, log, "hint: stop it first")
	}
	for range 3 {
		s.kill(os.Kill)
		alive := map[*process]bool{}
		ended := make(chan *process, 5)
		for range 5 {
			p := s.launch()
			alive[p] = true
			go func() {
				_ = p.Wait()
				ended <- p
			}()
		}
		for range 4 {
			p := <-ended
			assert.False(t, p.ProcessState.Success())
			assert.NotRegexp(t, "panic|msg=ready", p.log.String())
			delete(alive, p)
		}
		for winner := range alive {
			winner.log.Wait(t, "msg=ready")
			require.NoError(t, winner.Process.Kill())
			assert.Same(t, winner, <-ended)
		}
		s.startDaemon()
	}
	stop()
	s.check()
	assert.Zero(t, s.counts["lost"]+s.counts["duplicated"])
}

// The first SIGTERM lets a slow call finish and accepts nothing new, even if its client
// disconnects; the second interrupts the call.
func TestTerminatedDaemon(t *testing.T) {
	s := newFaultTest(t, "storm_plain")
	start := func() string {
		began, err := s.client.Start(t.Context(), "storm_plain", server.StartRequest{Inputs: map[string]any{"phone": grace, "sender": "106540352242922", "order": "7"}}, server.StartOption{})
		require.NoError(t, err)
		return began.RunID
	}
	s.startDaemon()
	s.subscribe()
	require.NoError(t, s.api.AddFault(simulator.Fault{Do: simulator.Delay, Delay: simulator.Duration(time.Second), Times: 1}))
	run := start()
	require.Eventually(t, func() bool { return s.api.Counts().Requests == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, s.daemon.Process.Signal(syscall.SIGTERM))
	s.daemon.log.Wait(t, "stopping: calls in progress finish")
	taken := []string{run}
	var err error
	require.Eventually(t, func() bool { // it says that it stops just before it does
		var began *server.Started
		if began, err = s.client.Start(t.Context(), "storm_plain", server.StartRequest{Inputs: map[string]any{"phone": grace, "sender": "106540352242922", "order": "8"}}, server.StartOption{}); err == nil {
			taken = append(taken, began.RunID)
		}
		return err != nil
	}, 10*time.Second, time.Millisecond)
	if p, ok := errors.AsType[*server.Problem](err); assert.True(t, ok, "%v", err) {
		assert.Equal(t, server.Stopping, p.Kind())
	}
	if ready, err := s.client.Ready(t.Context()); assert.NoError(t, err) {
		assert.False(t, ready.Ready)
	}
	require.NoError(t, s.daemon.Process.Signal(syscall.SIGHUP), "who has it read its flows does not cut it off")
	require.NoError(t, s.daemon.Wait())
	assert.Contains(t, s.daemon.log.String(), "msg=stopped")
	assert.NotContains(t, s.daemon.log.String(), "level=ERROR")
	s.startDaemon()
	for _, run := range taken {
		d, err := s.client.Run(t.Context(), run, 10*time.Second)
		require.NoError(t, err)
		assert.Equal(t, machine.Succeeded, d.Status)
	}

	require.NoError(t, s.api.AddFault(simulator.Fault{Do: simulator.Hang, Times: 1}))
	run = start()
	require.Eventually(t, func() bool { return s.api.Counts().Requests == len(taken)+1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, s.daemon.Process.Signal(syscall.SIGTERM))
	s.daemon.log.Wait(t, "stopping: calls in progress finish")
	require.NoError(t, s.daemon.Process.Signal(syscall.SIGTERM))
	require.NoError(t, s.daemon.Wait())
	assert.Contains(t, s.daemon.log.String(), "cutting off calls in progress")
	s.startDaemon()
	d, err := s.client.Run(t.Context(), run, 20*time.Second)
	require.NoError(t, err)
	assert.False(t, d.EndedAt.IsZero())
	for _, n := range s.api.Keys("f1." + run + ".") {
		assert.LessOrEqual(t, n, 1)
	}
}

// A daemon that gets SIGTERM while it starts stops, and logs no errors.
func TestTerminatedAtStart(t *testing.T) {
	s := newFaultTest(t, "storm_plain", "storm_pause")
	write(t, filepath.Join(s.dir, "nightly.flow.yaml"), "flow: nightly\ntriggers:\n  - schedule: {cron: \"* * * * *\"}\nsteps:\n  - set: {done: true}\n")
	began := time.Now()
	s.startDaemon()
	usual := time.Since(began) // until one is ready: most signals are to come before
	for range 20 {
		_, err := s.client.Start(t.Context(), "storm_pause", server.StartRequest{Inputs: map[string]any{"phone": grace, "sender": "106540352242922", "order": "7"}}, server.StartOption{})
		require.NoError(t, err)
	}
	s.kill(os.Kill)
	stopped := 0
	for range 40 {
		p := launch(t, s.dir, "--listen", "127.0.0.1:0")
		time.Sleep(time.Duration(rand.Int64N(int64(usual))))
		require.NoError(t, p.Process.Signal(syscall.SIGTERM))
		err := p.Wait()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() < 0 {
			continue // it did not listen yet
		}
		assert.NoError(t, err, p.log)
		assert.NotContains(t, p.log.String(), "level=ERROR")
		assert.NotContains(t, p.log.String(), "error:")
		stopped++
	}
	t.Logf("stopped: %d", stopped)
	assert.NotZero(t, stopped)
}
