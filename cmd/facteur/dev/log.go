package dev

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// A logHandler writes log lines for people at a terminal, and calls notify after each.
type logHandler struct {
	mu     *sync.Mutex // of w, which handlers share
	w      io.Writer
	notify func()
	attrs  []slog.Attr
}

// Enabled implements slog.Handler.
func (l *logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

// Handle implements slog.Handler.
func (l *logHandler) Handle(_ context.Context, r slog.Record) error {
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
	l.notify()
	return err
}

// WithAttrs implements slog.Handler.
func (l *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{mu: l.mu, w: l.w, notify: l.notify, attrs: append(l.attrs[:len(l.attrs):len(l.attrs)], attrs...)}
}

// WithGroup implements slog.Handler. Groups are not used.
func (l *logHandler) WithGroup(string) slog.Handler { return l }
