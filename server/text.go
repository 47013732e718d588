package server

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// TextHandler returns a handler that writes lines as slog.TextHandler does, and hides the
// phone numbers in them as Handler does. Lines of steps and runs cost it a third.
func (v View) TextHandler(w io.Writer) slog.Handler {
	l := &lines{w: w}
	return plainly{v.Handler(slog.NewTextHandler(l, nil)), l}
}

// A plainly handler writes lines of plain words itself: there is nothing to quote and
// nothing to hide in them. It leaves others to the one that it has.
type plainly struct {
	slog.Handler
	lines *lines
}

// Handle implements slog.Handler.
func (h plainly) Handle(ctx context.Context, r slog.Record) error {
	if done, err := h.lines.plain(r); done {
		return err
	}
	return h.Handler.Handle(ctx, r)
}

// lines are written one at a time.
type lines struct {
	mu     sync.Mutex
	w      io.Writer
	line   []byte
	second int64 // since 1970, that clock and zone tell, in a place
	place  *time.Location
	clock  []byte
	zone   string
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// plain writes a line if it is of plain words.
func (l *lines) plain(r slog.Record) (done bool, err error) {
	if r.Time.IsZero() || !isPlain(r.Message) {
		return false, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.time(append(l.line[:0], "time="...), r.Time)
	b = append(append(b, " level="...), r.Level.String()...)
	b = append(append(b, " msg="...), r.Message...)
	plain := true
	r.Attrs(func(a slog.Attr) bool {
		if plain = isPlain(a.Key); !plain {
			return false
		}
		b = append(append(append(b, ' '), a.Key...), '=')
		switch v := a.Value; v.Kind() {
		case slog.KindString:
			plain = isPlain(v.String())
			b = append(b, v.String()...)
		case slog.KindInt64:
			b = strconv.AppendInt(b, v.Int64(), 10)
		case slog.KindBool:
			b = strconv.AppendBool(b, v.Bool())
		case slog.KindDuration:
			b = append(b, v.Duration().String()...)
		default:
			plain = false
		}
		return plain
	})
	if l.line = b; !plain {
		return false, nil
	}
	l.line = append(b, '\n')
	_, err = l.w.Write(l.line)
	return true, err
}

// time appends a time in milliseconds. The seconds are those of the line before, mostly.
func (l *lines) time(b []byte, t time.Time) []byte {
	if second, place := t.Unix(), t.Location(); second != l.second || place != l.place {
		l.second, l.place = second, place
		l.clock = t.AppendFormat(l.clock[:0], "2006-01-02T15:04:05.")
		l.zone = t.Format("Z07:00")
	}
	ms := t.Nanosecond() / int(time.Millisecond)
	b = append(append(b, l.clock...), byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
	return append(b, l.zone...)
}

// isPlain tells of a text that stands in a line as it is.
func isPlain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', 'A' <= c && c <= 'Z':
		case c == '_', c == '-', c == '.', c == ':', c == '/', c == '[', c == ']':
		default:
			return false
		}
	}
	return s != ""
}
