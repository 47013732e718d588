package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"facteur/cmd/facteur/daemon"
	"facteur/cmd/facteur/logtest"
	"facteur/server"

	"github.com/stretchr/testify/require"
)

// processLog names a file that gets the output of all processes.
const processLog = "FACTEUR_TEST_PROCESS_LOG"

// A process is facteur serve in a process of its own.
type process struct {
	*exec.Cmd
	log *logtest.Lines
}

// launch starts facteur serve on a project. The end of the test kills it if it still runs.
func launch(t testing.TB, dir string, args ...string) *process {
	t.Helper()
	p := &process{exec.Command("facteur", append([]string{"serve", dir}, args...)...), &logtest.Lines{}}
	p.Stdout, p.Stderr = p.log, p.log
	if name := os.Getenv(processLog); name != "" {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		t.Cleanup(func() { f.Close() })
		p.Stdout, p.Stderr = io.MultiWriter(p.log, f), io.MultiWriter(p.log, f)
	}
	require.NoError(t, p.Start())
	t.Cleanup(func() { _ = p.Process.Kill() })
	return p
}

// spawn starts a daemon on any port, and waits until it is ready.
func spawn(t testing.TB, dir string) (*process, *server.Client) {
	t.Helper()
	p := launch(t, dir, "--listen", "127.0.0.1:0")
	p.log.Wait(t, `msg=ready`)
	plate, ok := daemon.Find(filepath.Join(dir, "data"))
	require.True(t, ok)
	return p, plate.Client()
}
