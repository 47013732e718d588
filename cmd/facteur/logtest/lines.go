// Package logtest has what a process says, for tests that wait until it has said something.
package logtest

import (
	"bytes"
	"regexp"
	"sync"
	"testing"
	"time"
)

// Lines is what a process, or a goroutine, says. The zero value is ready.
type Lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	over bool
	news chan struct{} // closed by the next word; nil: nobody waits
}

// Write implements io.Writer.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake()
	return l.text.Write(p)
}

// String is all that was said.
func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// End says that nothing more comes: who waits in vain need not wait on.
func (l *Lines) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.wake()
}

// wake lets those look who wait.
func (l *Lines) wake() {
	if l.news != nil {
		close(l.news)
		l.news = nil
	}
}

// Wait returns once a pattern matches what was said, with what its last group holds: all that
// matched, where it has none. The test fails after a minute, and at the end.
func (l *Lines) Wait(t testing.TB, pattern string) string {
	t.Helper()
	re, late := regexp.MustCompile(pattern), time.After(time.Minute)
	for {
		l.mu.Lock()
		found, over := re.FindStringSubmatch(l.text.String()), l.over
		if l.news == nil {
			l.news = make(chan struct{})
		}
		news := l.news
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
