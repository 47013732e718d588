package webhook

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A LimitedLog logs what outsiders can cause as often as they like: about each thing at most one
// line a minute, with the number of lines that were left out. The zero value with a Log is ready
// to use; without one it logs nothing.
type LimitedLog struct {
	Log *slog.Logger

	mu     sync.Mutex
	logged map[string]loggedMessage // by what it is about
}

type loggedMessage struct {
	at      time.Time
	leftOut int
}

const (
	logInterval = time.Minute
	maxLogged   = 1024 // things; then all are forgotten
)

// Print logs a message, unless one about the same thing was logged within the last minute.
func (n *LimitedLog) Print(level slog.Level, thing, message string, args ...any) {
	if n.Log == nil {
		return
	}
	if leftOut, ok := n.allow(thing); ok {
		if leftOut > 0 {
			args = append(args, "times_left_out", leftOut)
		}
		n.Log.Log(context.Background(), level, message, args...)
	}
}

func (n *LimitedLog) allow(thing string) (leftOut int, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	last, again := n.logged[thing]
	if again && time.Since(last.at) < logInterval {
		last.leftOut++
		n.logged[thing] = last
		return 0, false
	}
	if n.logged == nil || len(n.logged) >= maxLogged {
		n.logged = map[string]loggedMessage{}
	}
	n.logged[thing] = loggedMessage{at: time.Now()}
	return last.leftOut, true
}
