package main

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"facteur/cmd/facteur/logtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDevRefuses(t *testing.T) {
	for _, args := range [][]string{{"--listen", "0.0.0.0:0"}, {"--simulator", "0.0.0.0:0"}, {"missing"}} {
		code, _, stderr := facteur(t, t.TempDir(), "", append([]string{"dev"}, args...)...)
		assert.Equal(t, exitUser, code, stderr)
	}
}

// `facteur dev` prints the addresses of its pages, shows the named flow, and keeps the runs if
// asked to.
func TestDev(t *testing.T) {
	dir, kept := t.TempDir(), filepath.Join(t.TempDir(), "kept")
	for _, name := range []string{"bye", "hello"} {
		write(t, filepath.Join(dir, name+".flow.yaml"), "flow: "+name+"\nsteps: [{id: a, set: {x: 1}}]\n")
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	log := &logtest.Lines{}
	a := &app{stdin: strings.NewReader(""), stdout: log, stderr: log}
	ended := make(chan int, 1)
	go func() {
		ended <- a.run(ctx, []string{"dev", filepath.Join(dir, "hello.flow.yaml"), "--listen", "127.0.0.1:0", "--simulator", "127.0.0.1:0", "--data", kept})
	}()
	log.Wait(t, `ready in`)
	for address, shows := range map[string]string{log.Wait(t, `flows +(\S+)\n`): `<h2 id="form-title">hello</h2>`, log.Wait(t, `phone +(\S+)\n`): `html`} {
		resp, err := http.Get(address)
		require.NoError(t, err)
		defer resp.Body.Close()
		page, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Contains(t, string(page), shows)
	}
	interrupt()
	assert.Zero(t, <-ended, log)
	assert.FileExists(t, filepath.Join(kept, "journal.db"))
}
