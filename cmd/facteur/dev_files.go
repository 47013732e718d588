package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"facteur/cmd/facteur/daemon"
	"facteur/flow/diag"
	"facteur/project"

	"github.com/fsnotify/fsnotify"
)

// filesSettle is how long files must be left alone before they are read: editors write a file
// in several steps.
const filesSettle = 60 * time.Millisecond

// openFiles watches the folders of the project.
func (w *workbench) openFiles() error {
	files, err := fsnotify.NewWatcher()
	if err != nil {
		return surroundings(fmt.Errorf("watch the project's files: %w", err), "")
	}
	w.files = files
	w.closers = append(w.closers, func() { _ = files.Close() })
	places := []string{w.project.Root}
	for _, place := range w.project.Flows {
		places = append(places, w.project.At(place))
	}
	for _, place := range places {
		w.watchBelow(place)
	}
	return nil
}

// watchBelow watches a folder and those in it, as far as flows may stand there.
func (w *workbench) watchBelow(root string) {
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // it went away meanwhile, or is none of ours
		case !d.IsDir():
			return nil
		case path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"), path == w.project.At(w.project.Data):
			return fs.SkipDir
		}
		if err := w.files.Add(path); err != nil {
			w.log.Warn("a folder cannot be watched; restart after a change in it", "folder", project.Shown(path), "error", err)
		}
		return nil
	})
}

// watch reads the project again whenever its files have changed, until ctx ends.
func (w *workbench) watch(ctx context.Context) {
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-w.files.Events:
			if !ok {
				return
			}
			if e.Has(fsnotify.Create) {
				w.watchBelow(e.Name) // if it is a folder; files in it may be older than this watch
			}
			if isSource(e.Name) && !e.Has(fsnotify.Chmod) || e.Has(fsnotify.Create) || wasFolder(e) {
				quiet.Reset(filesSettle)
			}
		case err, ok := <-w.files.Errors:
			if !ok {
				return
			}
			w.log.Warn("watching the files", "error", err)
			quiet.Reset(filesSettle)
		case <-quiet.C:
			w.reload(ctx)
		}
	}
}

// isSource tells whether a file is one that flows are made of.
func isSource(path string) bool {
	return strings.HasSuffix(path, project.FlowSuffix) || filepath.Base(path) == project.FileName ||
		filepath.Base(filepath.Dir(path)) == project.TemplatesFolder && filepath.Ext(path) == ".json"
}

// wasFolder tells whether a folder may have gone: what it was cannot be asked any more.
func wasFolder(e fsnotify.Event) bool {
	return (e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)) && filepath.Ext(e.Name) == ""
}

// reload reads the project again. A mistake takes its own flow away, and no other one.
func (w *workbench) reload(ctx context.Context) {
	p, found, err := project.Load(w.project.Root)
	if err == nil && !found.HasErrors() {
		p.Book = w.project.Book
		var loaded *project.Flows
		var more diag.List
		if loaded, more, err = project.LoadFlows(p); err == nil {
			found.Add(more)
			w.take(loaded, found)
			w.daemon.Take(loaded)
			w.hook(ctx)
		}
	}
	if err == nil && found.HasErrors() {
		w.mu.Lock()
		w.state.Found = found
		w.mu.Unlock()
	}
	if err == nil {
		err = w.reloadTemplates(p)
	}
	if err != nil {
		text, hint := said(err)
		w.log.Error("the files cannot be read; all stays as it was", "error", text, "hint", hint)
		return
	}
	w.log.Info("read again", "flows", len(w.daemon.Flows().Plans()), "errors", found.CountErrors())
	_ = w.tellFound(found)
}

func (w *workbench) reloadTemplates(p *project.Project) error {
	templates, err := p.ReadTemplates()
	if err == nil {
		w.api.SetTemplates(templates)
	}
	return err
}

// tellFound shows what is wrong, and goes on.
func (w *workbench) tellFound(found diag.List) error {
	return diag.Printer{W: w.stderr, Color: colored(w.stderr)}.Print(found)
}

// A signpost sends webhooks to the connection that a number belongs to: the simulator knows
// one address for all.
type signpost struct {
	w  *workbench
	on http.RoundTripper
}

var toldNumber = regexp.MustCompile(`"phone_number_id":"([0-9]+)"`)

// RoundTrip implements http.RoundTripper.
func (s *signpost) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodPost {
		return s.on.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	_ = req.Body.Close()
	if err != nil {
		return nil, err
	}
	onward := req.Clone(req.Context())
	onward.Body = io.NopCloser(bytes.NewReader(body))
	if m := toldNumber.FindSubmatch(body); m != nil {
		senders := *s.w.senders.Load()
		for _, name := range sortedNames(senders) {
			if senders[name] == string(m[1]) {
				onward.URL.Path = daemon.WebhookPath(name)
			}
		}
	}
	return s.on.RoundTrip(onward)
}

// follow tells what happens on the phones, a line for each thing, until ctx ends.
func (w *workbench) follow(ctx context.Context) {
	events, stop := w.api.Watch()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-events:
			m := e.Message
			switch {
			case m == nil:
				if e.Kind == "reset" || e.Kind == "clock" {
					w.log.Info("phone: "+e.Kind, "now", w.api.Now().UTC().Format(time.RFC3339))
				}
			case e.Kind == "inbound":
				w.log.Info("message in", "from", "+"+m.Person, "to", m.Number, "type", m.Type)
			case e.Kind == "accepted":
				w.log.Info("message out", "to", m.Input, "from", m.Number, "type", m.Type)
			case e.Kind == "status" && m.Error != nil:
				w.log.Warn("message failed", "to", m.Input, "code", m.Error.Code, "error", m.Error.Title)
			case e.Kind == "status":
				w.log.Info("message "+m.State, "to", m.Input)
			}
		}
	}
}

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
