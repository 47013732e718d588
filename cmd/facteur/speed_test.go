package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/actions"
	"facteur/actions/whatsapp/simulator"
	"facteur/benchtest"
	"facteur/cmd/facteur/daemon"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
	"facteur/project"
	"facteur/server"

	"github.com/stretchr/testify/require"
)

// benchSenders are how many numbers the benchmarks send from: the daemon keeps each to 80
// messages a second, as Meta does.
const benchSenders = 1000

const sendsNote = `
flow: note
inputs:
  sender: {type: string}
  phone: {type: string, format: e164}
  name: {type: string}
steps:
  - id: send
    action: whatsapp.send_message
    connection: shop
    with: {sender_phone_id: "${inputs.sender}", recipient: "${inputs.phone}", message_type: text, message: {body: "Bonjour ${inputs.name}"}}
outputs: {message_id: "${steps.send.outputs.message_id}"}
`

func senderOf(n int) string { return fmt.Sprintf("10654035%07d", n%benchSenders) }
func phoneOf(n int) string  { return fmt.Sprintf("+336%08d", n%100_000_000) }

// BenchmarkDaemon compares, against one simulator in this process and with one load
// generator, a bare net/http loop with durable runs of one step: started in the process
// and waited for, and started through the API, which answers once they are durable. The
// daemon is the whole one, with its ledger, its seals, its log and its metrics. At the end
// one in a process of its own is killed under the same load, and every run that it
// acknowledged has to be in its journal.
func BenchmarkDaemon(b *testing.B) {
	api, err := simulator.New(simulator.Options{Seed: 7, Scene: simulator.Scene{Statuses: simulator.Statuses{Sent: -1, Delivered: -1}}})
	require.NoError(b, err)
	defer api.Close()
	graph := httptest.NewServer(api)
	defer graph.Close()
	transport := actions.Transport()
	transport.MaxIdleConnsPerHost = 512
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	bare := benchtest.Workload{Do: func(n int) error {
		body := fmt.Sprintf(`{"messaging_product":"whatsapp","recipient_type":"individual","to":%q,"type":"text","text":{"body":"Bonjour %d"}}`, phoneOf(n), n)
		_, err := send(client, graph.URL+"/v23.0/"+senderOf(n)+"/messages", body)
		return err
	}}
	for _, beside := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("bare/%d", beside), func(b *testing.B) {
			defer daemon.Tune(b.Context())()
			bare.Measure(b, beside)
		})
		b.Run(fmt.Sprintf("runs/%d", beside), func(b *testing.B) {
			defer daemon.Tune(b.Context())()
			d, _ := benchDaemon(b, graph.URL)
			if beside == 1 {
				logSynchronous(b)
			}
			p := d.Flows().Plan("note")
			runs := benchtest.Workload{Do: func(n int) error {
				in := map[string]any{"sender": senderOf(n), "phone": phoneOf(n), "name": fmt.Sprint(n)}
				run, _, err := d.Host().Start(b.Context(), p, host.Start{Inputs: in})
				if err != nil {
					return err
				}
				r, err := d.Host().Wait(b.Context(), run.ID)
				if err == nil && r.Status != machine.Succeeded {
					err = r.Error
				}
				return err
			}}
			runs.Compare(b, beside, bare, "of-bare")
		})
		b.Run(fmt.Sprintf("api/%d", beside), func(b *testing.B) {
			defer daemon.Tune(b.Context())()
			_, url := benchDaemon(b, graph.URL)
			started := benchtest.Workload{Do: func(n int) error {
				_, err := begin(client, url, n)
				return err
			}}
			before := 0
			started.Before = func() { before = api.Counts().Accepted }
			started.After = func() {
				for api.Counts().Accepted < before+b.N && !b.Failed() {
					time.Sleep(time.Millisecond)
				}
			}
			started.Compare(b, beside, bare, "of-bare")
		})
	}
	b.Run("killed", func(b *testing.B) {
		acknowledged, lost := killUnderLoad(b, client, graph.URL) // once, however often it is asked for
		b.ReportMetric(float64(acknowledged), "acknowledged")
		b.ReportMetric(float64(lost), "lost")
		b.ReportMetric(0, "ns/op")
	})
	require.Zero(b, api.Counts().Repeated, "no message is sent twice")
}

// logSynchronous logs the synchronous setting of a journal as a daemon opens it.
func logSynchronous(b *testing.B) {
	j, err := journal.OpenSQLite(filepath.Join(b.TempDir(), project.JournalName))
	require.NoError(b, err)
	defer j.Close()
	synced, err := j.Synchronous(b.Context())
	require.NoError(b, err)
	b.Logf("PRAGMA synchronous = %d (2 is FULL)", synced)
}

// killUnderLoad kills a daemon while 64 clients start runs, and looks in its journal for those
// that it acknowledged.
func killUnderLoad(b *testing.B, client *http.Client, graph string) (acknowledged, lost int) {
	dir := benchProject(b, graph)
	child, _ := spawn(b, dir)
	plate, _ := daemon.Find(filepath.Join(dir, "data"))
	var mu sync.Mutex
	var runs []string
	var all sync.WaitGroup
	for c := range 64 {
		all.Go(func() {
			for n := c; ; n += 64 {
				run, err := begin(client, plate.URL, n)
				if err != nil {
					return // it is dead: nobody knows whether it was taken
				}
				mu.Lock()
				runs = append(runs, run)
				enough := len(runs) == 2000
				mu.Unlock()
				if enough {
					_ = child.Process.Kill()
				}
			}
		})
	}
	all.Wait()
	_ = child.Wait() // it was killed
	j, err := journal.OpenSQLite(filepath.Join(dir, "data", project.JournalName))
	require.NoError(b, err)
	defer j.Close()
	for _, run := range runs {
		if _, _, err := j.Load(b.Context(), run); err != nil {
			b.Errorf("the run %s was acknowledged: %v", run, err)
			lost++
		}
	}
	return len(runs), lost
}

// benchProject writes a project with one flow.
func benchProject(b *testing.B, graph string) (dir string) {
	b.Helper()
	dir = b.TempDir()
	b.Setenv("FACTEUR_CONNECTION_SHOP_TOKEN", simulatedToken)
	b.Setenv("FACTEUR_CONNECTION_SHOP_APP_SECRET", simulator.DefaultAppSecret)
	text := fmt.Sprintf("connections: {shop: {app: WHATSAPP, base_url: %q}}\n", graph)
	require.NoError(b, os.WriteFile(filepath.Join(dir, project.FileName), []byte(text), 0o600))
	require.NoError(b, os.WriteFile(filepath.Join(dir, "note.flow.yaml"), []byte(sendsNote), 0o600))
	return dir
}

// benchDaemon runs a daemon in this process.
func benchDaemon(b *testing.B, graph string) (d *daemon.Daemon, url string) {
	b.Helper()
	dir := benchProject(b, graph)
	log, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(b, err)
	a := &app{stdin: strings.NewReader(""), stdout: log, stderr: log}
	p, found, err := project.Open(dir)
	require.NoError(b, err)
	require.NoError(b, found.Err())
	config, err := serveFlags{Server: project.Server{Listen: "127.0.0.1:0"}}.settings(p)
	require.NoError(b, err)
	ctx, stop := context.WithCancel(context.Background())
	d, err = a.openDaemon(ctx, context.Background(), daemon.Options{Project: p, Settings: config, Log: a.logger(config.LogFormat, server.View{})})
	require.NoError(b, err)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, func() {}) }()
	b.Cleanup(func() {
		stop()
		require.NoError(b, <-ended)
		d.Close()
		log.Close()
	})
	plate, ok := daemon.Find(filepath.Join(dir, "data"))
	require.True(b, ok)
	return d, plate.URL
}

// begin starts a run through the API, and returns its id.
func begin(client *http.Client, url string, n int) (run string, err error) {
	text, err := send(client, url+"/v1/flows/note/runs", fmt.Sprintf(`{"inputs":{"sender":%q,"phone":%q,"name":"%d"}}`, senderOf(n), phoneOf(n), n))
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(string(text), `"run_id":"`)
	run, _, found := strings.Cut(rest, `"`)
	if !found {
		err = fmt.Errorf("no run in %s", text)
	}
	return run, err
}

// send posts and reads the answer.
func send(client *http.Client, url, body string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+simulatedToken)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode > 299 {
		err = fmt.Errorf("%d: %s", resp.StatusCode, text)
	}
	return text, err
}
