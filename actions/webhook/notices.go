package webhook

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Notices logs what others can cause as often as they like: each thing at most once a
// minute, with how often it was left out since. The zero value with a Log is ready to
// use; without one it is silent.
type Notices struct {
	Log *slog.Logger
	Now func() time.Time // nil: time.Now

	mu   sync.Mutex
	said map[string]*notice // by what it is about
}

type notice struct {
	at      time.Time
	leftOut int
}

const (
	noticeEvery = time.Minute
	mostNotices = 1024 // things; then all are forgotten
)

// Say logs a message, unless the same thing was said within the last minute.
func (n *Notices) Say(level slog.Level, thing, message string, args ...any) {
	if n.Log == nil {
		return
	}
	if leftOut, ok := n.due(thing); ok {
		if leftOut > 0 {
			args = append(args, "times_left_out", leftOut)
		}
		n.Log.Log(context.Background(), level, message, args...)
	}
}

func (n *Notices) due(thing string) (leftOut int, ok bool) {
	now := time.Now
	if n.Now != nil {
		now = n.Now
	}
	at := now()
	n.mu.Lock()
	defer n.mu.Unlock()
	last := n.said[thing]
	if last != nil && at.Sub(last.at) < noticeEvery {
		last.leftOut++
		return 0, false
	}
	if n.said == nil || len(n.said) >= mostNotices {
		n.said = map[string]*notice{}
	}
	if last != nil {
		leftOut = last.leftOut
	}
	n.said[thing] = &notice{at: at}
	return leftOut, true
}
