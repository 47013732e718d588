package local_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A daemonTest is a server that accepts messages, and the client of a daemon process that sends
// them. It repeats each start, with its idempotency key, until the daemon acknowledges it, and
// each receipt until the daemon has received it.
type daemonTest struct {
	*httptest.Server
	file       string // the daemon's journal
	action     string // that sends
	noReceipts bool   // it has no news

	mu             sync.Mutex
	ordered        int
	unacknowledged map[string]bool // keys of orders that are not acknowledged
	acknowledged   map[string]bool // runs
	accepted       map[string]int  // how often, by call key
	byRecipient    map[string]int  // messages, by recipient
	receipts       map[string]bool // by call key: told, so that whoever asks is told too
	received       map[string]bool
	kill           func()      // kills the daemon …
	killIn         int         // … when so many more requests are accepted
	stdin          chan string // lines for the daemon; nil: none is there
}

func newDaemonTest(t *testing.T, silent bool) *daemonTest {
	d := &daemonTest{
		file: filepath.Join(t.TempDir(), "journal.db"), action: "test.send", noReceipts: silent, unacknowledged: map[string]bool{}, acknowledged: map[string]bool{},
		accepted: map[string]int{}, byRecipient: map[string]int{}, receipts: map[string]bool{}, received: map[string]bool{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /send", d.send)
	mux.HandleFunc("GET /past", d.serveReceipts)
	d.Server = httptest.NewServer(mux)
	t.Cleanup(d.Close)
	return d
}

func (d *daemonTest) order(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for range n {
		d.ordered++
		d.unacknowledged[fmt.Sprintf("order%d", d.ordered)] = true
	}
}

// send accepts a message. Some answers get lost.
func (d *daemonTest) send(w http.ResponseWriter, r *http.Request) {
	var message struct{ Key, To string }
	if json.NewDecoder(r.Body).Decode(&message) != nil {
		return // its sender was killed
	}
	d.mu.Lock()
	d.accepted[message.Key]++
	d.byRecipient[message.To]++
	if d.killIn--; d.killIn == 0 && d.kill != nil {
		d.kill()
	}
	d.mu.Unlock()
	if !d.noReceipts {
		time.AfterFunc(time.Duration(rand.IntN(5000))*time.Microsecond, func() { d.sendReceipt(message.Key) })
	}
	if rand.IntN(20) == 0 {
		panic(http.ErrAbortHandler)
	}
}

// sendReceipt sends the receipt of an accepted message, sometimes twice.
func (d *daemonTest) sendReceipt(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.receipts[key] = true
	for range 1 + rand.IntN(2) {
		d.writeLine("news " + key)
	}
}

// writeLine sends the daemon a command, if one is running. The caller holds d.mu.
func (d *daemonTest) writeLine(s string) {
	if d.stdin == nil {
		return
	}
	select {
	case d.stdin <- s:
	default: // it is told again
	}
}

func (d *daemonTest) serveReceipts(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprint(w, d.receipts[r.URL.Query().Get("key")])
}

// A killPoint is when a daemon is killed: after so many microseconds, or at a point of a call.
// Zero: it is stopped in order once it is idle.
type killPoint struct {
	after int
	point string
	call  int
}

func (d killPoint) isZero() bool { return d == killPoint{} }

// runDaemon runs a daemon until at, and tells whether it was killed there.
func (d *daemonTest) runDaemon(t *testing.T, at killPoint) bool {
	t.Helper()
	missed := false
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashedProcess$")
	cmd.Env = append(os.Environ(), childFile+"="+d.file, childServer+"="+d.URL, childAction+"="+d.action, fmt.Sprintf("%s=%s %d", childPoint, at.point, at.call))
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	tell := make(chan string, 10_000)
	go func() {
		for s := range tell {
			if _, err := io.WriteString(stdin, s+"\n"); err != nil {
				for range tell {
				}
			}
		}
	}()
	var words []string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		words = append(words, word)
		d.mu.Lock()
		switch word {
		case "open":
			d.daemonOpened(tell)
			switch {
			case at.after > 0:
				defer time.AfterFunc(time.Duration(at.after)*time.Microsecond, func() { _ = cmd.Process.Kill() }).Stop()
			case at.point == received:
				d.kill, d.killIn = func() { _ = cmd.Process.Kill() }, at.call
			}
		case "has":
			order, run, _ := strings.Cut(rest, " ")
			delete(d.unacknowledged, order)
			d.acknowledged[run] = true
		case "heard":
			d.received[rest] = true
		case "idle":
			switch {
			case !d.done():
				d.repeatAll()
			case at.isZero():
				d.writeLine("stop")
			case at.after == 0: // it did not come to the point
				d.writeLine("kill")
				missed = true
			}
		}
		d.mu.Unlock()
	}
	err = cmd.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	close(tell)
	d.stdin, d.kill = nil, nil
	if at.point == "" { // one that dies at a point may come to it while it recovers
		assert.Contains(t, words, "open")
	}
	if at.isZero() {
		require.NoError(t, err)
		assert.Contains(t, words, "stopped")
	}
	return !missed
}

// daemonOpened repeats to a new daemon what the last one may have missed. The caller holds d.mu.
func (d *daemonTest) daemonOpened(tell chan string) {
	d.stdin = tell
	d.repeatAll()
}

func (d *daemonTest) repeatAll() {
	for order := range d.unacknowledged {
		d.writeLine("start " + order)
		d.writeLine(fmt.Sprint("pause ", rand.IntN(4000)))
	}
	for key := range d.receipts {
		if !d.received[key] {
			d.writeLine("news " + key)
		}
	}
	d.writeLine("idle")
}

// done tells whether the daemon has received everything. The caller holds d.mu.
func (d *daemonTest) done() bool {
	if len(d.unacknowledged) > 0 {
		return false
	}
	if d.noReceipts {
		return true
	}
	for key := range d.accepted {
		if !d.received[key] {
			return false
		}
	}
	return true
}

func runOf(key string) string { return strings.Split(key, ".")[1] }
