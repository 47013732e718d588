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

// An office is a server that accepts messages, and the client of a daemon that sends
// them. What it orders is repeated, with the same key, until the daemon acknowledges it;
// its news are repeated until the daemon has heard them.
type office struct {
	*httptest.Server
	file   string // the daemon's journal
	action string // that sends
	silent bool   // it has no news

	mu           sync.Mutex
	ordered      int
	open         map[string]bool // keys of orders that are not acknowledged
	acknowledged map[string]bool // runs
	accepted     map[string]int  // how often, by call key
	got          map[string]int  // messages, by recipient
	news         map[string]bool // by call key: told, so that whoever asks is told too
	heard        map[string]bool
	die          func()      // kills the daemon …
	dieIn        int         // … when so many more requests are accepted
	tell         chan string // lines for the daemon; nil: none is there
}

func newOffice(t *testing.T, silent bool) *office {
	o := &office{
		file: filepath.Join(t.TempDir(), "journal.db"), action: "test.send", silent: silent, open: map[string]bool{}, acknowledged: map[string]bool{},
		accepted: map[string]int{}, got: map[string]int{}, news: map[string]bool{}, heard: map[string]bool{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /send", o.send)
	mux.HandleFunc("GET /past", o.past)
	o.Server = httptest.NewServer(mux)
	t.Cleanup(o.Close)
	return o
}

func (o *office) order(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for range n {
		o.ordered++
		o.open[fmt.Sprintf("order%d", o.ordered)] = true
	}
}

// send accepts a message. The answer of some is lost.
func (o *office) send(w http.ResponseWriter, r *http.Request) {
	var message struct{ Key, To string }
	if json.NewDecoder(r.Body).Decode(&message) != nil {
		return // its sender was killed
	}
	o.mu.Lock()
	o.accepted[message.Key]++
	o.got[message.To]++
	if o.dieIn--; o.dieIn == 0 && o.die != nil {
		o.die()
	}
	o.mu.Unlock()
	if !o.silent {
		time.AfterFunc(time.Duration(rand.IntN(5000))*time.Microsecond, func() { o.tellNews(message.Key) })
	}
	if rand.IntN(20) == 0 {
		panic(http.ErrAbortHandler)
	}
}

// tellNews tells of a message that was accepted, sometimes twice.
func (o *office) tellNews(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.news[key] = true
	for range 1 + rand.IntN(2) {
		o.line("news " + key)
	}
}

// line says something to the daemon, if there is one. The lock is held.
func (o *office) line(s string) {
	if o.tell == nil {
		return
	}
	select {
	case o.tell <- s:
	default: // it is told again
	}
}

func (o *office) past(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprint(w, o.news[r.URL.Query().Get("key")])
}

// A death is when a daemon is killed: after so many microseconds, or at a point of a
// call. The zero value: it ends in order, once it has nothing to do.
type death struct {
	after int
	point string
	call  int
}

func (d death) none() bool { return d == death{} }

// life runs a daemon until its death, and tells whether it died where it should.
func (o *office) life(t *testing.T, d death) bool {
	t.Helper()
	missed := false
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashedProcess$")
	cmd.Env = append(os.Environ(), childFile+"="+o.file, childServer+"="+o.URL, childAction+"="+o.action, fmt.Sprintf("%s=%s %d", childPoint, d.point, d.call))
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
		o.mu.Lock()
		switch word {
		case "open":
			o.opened(tell)
			switch {
			case d.after > 0:
				defer time.AfterFunc(time.Duration(d.after)*time.Microsecond, func() { _ = cmd.Process.Kill() }).Stop()
			case d.point == received:
				o.die, o.dieIn = func() { _ = cmd.Process.Kill() }, d.call
			}
		case "has":
			order, run, _ := strings.Cut(rest, " ")
			delete(o.open, order)
			o.acknowledged[run] = true
		case "heard":
			o.heard[rest] = true
		case "idle":
			switch {
			case !o.done():
				o.again()
			case d.none():
				o.line("stop")
			case d.after == 0: // it did not come to the point
				o.line("kill")
				missed = true
			}
		}
		o.mu.Unlock()
	}
	err = cmd.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	close(tell)
	o.tell, o.die = nil, nil
	if d.point == "" { // one that dies at a point may come to it while it recovers
		assert.Contains(t, words, "open")
	}
	if d.none() {
		require.NoError(t, err)
		assert.Contains(t, words, "stopped")
	}
	return !missed
}

// opened tells a new daemon what the one before may not have heard. The lock is held.
func (o *office) opened(tell chan string) {
	o.tell = tell
	o.again()
}

func (o *office) again() {
	for order := range o.open {
		o.line("start " + order)
		o.line(fmt.Sprint("pause ", rand.IntN(4000)))
	}
	for key := range o.news {
		if !o.heard[key] {
			o.line("news " + key)
		}
	}
	o.line("idle")
}

// done tells whether the daemon has heard all. The lock is held.
func (o *office) done() bool {
	if len(o.open) > 0 {
		return false
	}
	if o.silent {
		return true
	}
	for key := range o.accepted {
		if !o.heard[key] {
			return false
		}
	}
	return true
}

func runOf(key string) string { return strings.Split(key, ".")[1] }
