package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/cmd/facteur/daemon"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"facteur": main})
}

// The command line, tested as a user types it: testdata/script/*.txtar. UPDATE=1 writes
// what was printed into the files.
func TestScripts(t *testing.T) {
	examples, err := filepath.Abs("../../examples")
	require.NoError(t, err)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: false,
		Setup: func(e *testscript.Env) error {
			e.Setenv("EXAMPLES", examples)
			e.Setenv("NO_COLOR", "1")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "anonymous": anonymous, "api": api, "accepted": accepted, "fault": fault, "request": request,
		},
	})
}

// exits checks the exit code of a command: exits CODE COMMAND ARGS…
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// api starts a simulator, and sets API to its address and what a connection named shop
// needs to use it.
func api(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: api")
	}
	s, err := simulator.New(simulator.Options{Seed: 7})
	ts.Check(err)
	server := httptest.NewServer(s)
	ts.Defer(func() {
		server.Close()
		_ = s.Close()
	})
	ts.Setenv("API", server.URL)
	ts.Setenv("FACTEUR_CONNECTION_SHOP_TOKEN", simulatedToken)
	ts.Setenv("FACTEUR_CONNECTION_SHOP_APP_SECRET", simulator.DefaultAppSecret)
	ts.Setenv("FACTEUR_CONNECTION_SHOP_VERIFY_TOKEN", simulatedVerify)
	ts.Setenv("FACTEUR_CONNECTION_SHOP_BASE_URL", server.URL)
	apis.Store(ts.Getenv("WORK"), s)
}

// apis are the simulators of the scripts, by their working folder.
var apis sync.Map

func simulatorOf(ts *testscript.TestScript) *simulator.Simulator {
	s, ok := apis.Load(ts.Getenv("WORK"))
	if !ok {
		ts.Fatalf("there is no api")
	}
	return s.(*simulator.Simulator)
}

// accepted waits until the simulator has accepted so many messages, and checks that no
// two had the same key: accepted N.
func accepted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: accepted N")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	s := simulatorOf(ts)
	end := time.Now().Add(20 * time.Second)
	for s.Counts().Accepted < want && time.Now().Before(end) {
		<-time.After(time.Millisecond)
	}
	if c := s.Counts(); c.Accepted != want || c.Repeated != 0 {
		ts.Fatalf("%d messages were accepted, %d of them twice; want %d", c.Accepted, c.Repeated, want)
	}
}

// fault makes something go wrong at the simulator: fault JSON.
func fault(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fault JSON")
	}
	var f simulator.Fault
	ts.Check(json.Unmarshal([]byte(args[0]), &f))
	ts.Check(simulatorOf(ts).AddFault(f))
}

// request sends a request to the daemon of the working folder, as curl would, and prints
// the status and the answer: request METHOD PATH [BODY].
func request(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: request METHOD PATH [BODY]")
	}
	var plate daemon.Endpoint
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("data/daemon.json")), &plate))
	req, err := http.NewRequest(args[0], plate.URL+args[1], strings.NewReader(strings.Join(args[2:], "")))
	ts.Check(err)
	if len(args) == 3 {
		req.Header.Set("Content-Type", "application/json")
	}
	if key := ts.Getenv("FACTEUR_API_KEY"); key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d\n%s\n", resp.StatusCode, body)
	var run struct {
		ID string `json:"run_id"`
	}
	if json.Unmarshal(body, &run) == nil && run.ID != "" {
		ts.Setenv("RUN", run.ID)
	}
}

// anonymous writes standard output to a file, without what differs from run to run:
// anonymous FILE.
func anonymous(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: anonymous FILE")
	}
	text := regexp.MustCompile(`[0-9a-v]{26}`).ReplaceAllString(ts.ReadFile("stdout"), "RUN")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}
