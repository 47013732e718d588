package dev

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// A newsLog writes log lines as people read them in a terminal, and tells of each.
type newsLog struct {
	mu    sync.Mutex
	w     io.Writer
	told  func()
	attrs []slog.Attr
}

// Enabled implements slog.Handler.
func (l *newsLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle implements slog.Handler.
func (l *newsLog) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Time.Format("15:04:05 "))
	if r.Level >= slog.LevelWarn {
		b.WriteString(strings.ToLower(r.Level.String()) + ": ")
	}
	b.WriteString(r.Message)
	write := func(a slog.Attr) bool {
		text := a.Value.String()
		switch a.Key {
		case "kind", "action", "class", "meta_code": // the page shows them
			return true
		case "run":
			text = text[max(0, len(text)-6):] // enough to tell a few runs apart: ids begin with their time
		case "attempts":
			if text == "1" {
				return true
			}
		}
		if text != "" {
			fmt.Fprintf(&b, "  %s %s", a.Key, text)
		}
		return true
	}
	for _, a := range l.attrs {
		write(a)
	}
	r.Attrs(write)
	b.WriteString("\n")
	l.mu.Lock()
	_, err := io.WriteString(l.w, b.String())
	l.mu.Unlock()
	l.told()
	return err
}

// WithAttrs implements slog.Handler.
func (l *newsLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &newsLog{w: l.w, told: l.told, attrs: append(l.attrs[:len(l.attrs):len(l.attrs)], attrs...)}
}

// WithGroup implements slog.Handler. Groups are not used.
func (l *newsLog) WithGroup(string) slog.Handler { return l }
