// Package logtest collects the output of a process for tests that wait for a line of it.
package logtest

import (
	"bytes"
	"regexp"
	"sync"
	"testing"
	"time"
)

// Lines collects output. The zero value is ready to use.
type Lines struct {
	mu      sync.Mutex
	text    bytes.Buffer
	ended   bool
	changed chan struct{} // closed by the next word; nil: nobody waits
}

// Write implements io.Writer.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broadcast()
	return l.text.Write(p)
}

// String returns all output so far.
func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// End says that there is no more output: calls of Wait that do not match fail at once.
func (l *Lines) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.broadcast()
}

// broadcast wakes the calls of Wait. The lock is held.
func (l *Lines) broadcast() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// Wait waits until a pattern matches the output, and returns the match of its last group, or the
// whole match if it has none. The test fails after a minute, and when the output ends.
func (l *Lines) Wait(t testing.TB, pattern string) string {
	t.Helper()
	re, late := regexp.MustCompile(pattern), time.After(time.Minute)
	for {
		l.mu.Lock()
		found, over := re.FindStringSubmatch(l.text.String()), l.ended
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		news := l.changed
		l.mu.Unlock()
		switch {
		case found != nil:
			return found[len(found)-1]
		case over:
			t.Fatalf("it ended without %s:\n%s", pattern, l)
		}
		select {
		case <-news:
		case <-late:
			t.Fatalf("%s did not come:\n%s", pattern, l)
		}
	}
}
