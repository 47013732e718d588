package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const asksBooks = "flow: books\nsteps:\n  - {id: ask, action: http.request, connection: books, with: {url: /books}}\n"

// A vault file that cannot be read holds calls until it can be; a missing connection makes them
// fail. Commands that run a flow do not wait.
func TestDamagedVaultHoldsCalls(t *testing.T) {
	books := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer books.Close()
	for _, tt := range []struct {
		name   string
		mend   func(file, whole string) error
		status string
	}{
		{"it is restored", func(file, whole string) error { return os.WriteFile(file, []byte(whole), 0o600) }, "succeeded"},
		{"it is moved away", func(file, _ string) error { return os.Remove(file) }, "failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, api := simulated(t, "", asksBooks)
			code, _, stderr := facteur(t, dir, "of-the-books", "vault", "set", "books", "--app", "HTTP", "base_url="+books.URL)
			require.Zero(t, code, stderr)
			file := filepath.Join(dir, "data", "vault.age")
			whole, err := os.ReadFile(file)
			require.NoError(t, err)
			write(t, file, string(whole[:len(whole)/2]))

			code, _, stderr = facteur(t, dir, "", "run", "flow0.flow.yaml")
			assert.Equal(t, exitSystem, code, stderr)
			assert.Contains(t, stderr, "damaged")

			r := startTestDaemon(t, dir, api)
			r.log.Wait(t, "calls through it are held back")
			started, err := r.client.Start(t.Context(), "books", server.StartRequest{}, server.StartOption{})
			require.NoError(t, err)
			r.log.Wait(t, "calls are held back")
			require.Eventually(t, func() bool {
				_, stdout, _ := facteur(t, dir, "", "runs", "show", started.RunID)
				return strings.Contains(stdout, "it is damaged or incomplete; restore it from a backup")
			}, 20*time.Second, 10*time.Millisecond)
			_, stdout, _ := facteur(t, dir, "", "holds")
			assert.Contains(t, stdout, "vault.age: it is damaged")

			require.NoError(t, tt.mend(file, string(whole)))
			d, err := r.client.Run(t.Context(), started.RunID, 20*time.Second)
			require.NoError(t, err)
			assert.EqualValues(t, tt.status, d.Status, "%+v", d.Steps)
			holds, err := r.client.Holds(t.Context())
			require.NoError(t, err)
			assert.Empty(t, holds.Holds)
		})
	}
}

// A throttled number is shown in the log, in `holds` and in the runs that wait for it.
func TestThrottledNumberIsShown(t *testing.T) {
	dir, api := simulated(t, "", sendsHello)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "many.flow.yaml"), []byte(`
flow: many
steps:
  - foreach: ${lists.range(4000)}
    as: n
    concurrency: 400
    steps:
      - {action: whatsapp.send_message, connection: shop, with: {recipient: "+3361234${string(1000 + n)}", message_type: text, message: {body: Bonjour}}, allow_failure: true}
`), 0o600))
	require.NoError(t, api.AddFault(simulator.Fault{Do: simulator.Error, Code: 130429, Times: 3}))
	r := startTestDaemon(t, dir, api)
	started, err := r.client.Start(t.Context(), "many", server.StartRequest{}, server.StartOption{})
	require.NoError(t, err)
	r.log.Wait(t, `calls are slowed down" scope=limit name="number of shop" reason="answers said that the number of shop is too fast: 40 a second now, growing back to 80 a second by `)
	_, stdout, stderr := facteur(t, dir, "", "holds")
	assert.Contains(t, stdout, "limit number of shop", stderr)
	assert.Contains(t, stdout, "a second now, growing back to 80 a second by")
	require.Eventually(t, func() bool { // in the moment of a turn it waits for nothing
		_, stdout, _ = facteur(t, dir, "", "runs", "show", started.RunID)
		return strings.Contains(stdout, "held back: it waits for its turn: answers said that the number of shop is too fast: ")
	}, 10*time.Second, time.Millisecond, "the run's page says nothing of it")
	require.NoError(t, r.client.Cancel(t.Context(), started.RunID, server.CancelRequest{}))
}
