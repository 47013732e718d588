package dev

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"facteur/actions/whatsapp/templates"
	"facteur/flow/diag"
	"facteur/project"
	"facteur/vault"

	"github.com/fsnotify/fsnotify"
)

// A projectState is what the page and the simulator know of the project's files.
type projectState struct {
	found   diag.List
	files   map[string]string // of all flows by name, those that cannot be run too
	senders map[string]string // the connections for WhatsApp, with the numbers that the project file gives them
}

// debounce is how long files must be unchanged before they are read: editors write a file in
// several steps.
const debounce = 60 * time.Millisecond

// openFiles watches the folders of the project.
func (w *Workbench) openFiles() error {
	files, err := fsnotify.NewWatcher()
	if err != nil {
		return project.SystemError(fmt.Errorf("watch the project's files: %w", err), "")
	}
	w.files = files
	w.closers = append(w.closers, func() { _ = files.Close() })
	places := []string{w.project.Root}
	for _, place := range w.project.Flows {
		places = append(places, w.project.Abs(place))
	}
	for _, place := range places {
		w.watchBelow(place)
	}
	return nil
}

// watchBelow watches a folder and those in it that may hold flows.
func (w *Workbench) watchBelow(root string) {
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // it went away meanwhile, or is none of ours
		case !d.IsDir():
			return nil
		case path != root && project.SkipDir(d), path == w.project.Abs(w.project.Data):
			return fs.SkipDir
		}
		if err := w.files.Add(path); err != nil {
			w.log.Warn("a folder cannot be watched; restart after changing a file in it", "folder", project.RelPath(path), "error", err)
		}
		return nil
	})
}

// watch reads the project again whenever its files have changed, until ctx ends.
func (w *Workbench) watch(ctx context.Context) {
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
			if isSource(e.Name) && !e.Has(fsnotify.Chmod) || e.Has(fsnotify.Create) || mayBeFolder(e) {
				quiet.Reset(debounce)
			}
		case err, ok := <-w.files.Errors:
			if !ok {
				return
			}
			w.log.Warn("the files cannot be watched", "error", err)
			quiet.Reset(debounce)
		case <-quiet.C:
			w.reload(ctx)
		}
	}
}

// isSource reports whether a file is a flow, the project file or a template.
func isSource(path string) bool {
	return strings.HasSuffix(path, project.FlowSuffix) || filepath.Base(path) == project.FileName ||
		filepath.Base(filepath.Dir(path)) == project.TemplatesFolder && filepath.Ext(path) == ".json"
}

// mayBeFolder reports whether a removed path may have been a folder, which can no longer be checked.
func mayBeFolder(e fsnotify.Event) bool {
	return (e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)) && filepath.Ext(e.Name) == ""
}

// reload reads the project again. A flow with a mistake is gone until it is mended; others stay.
func (w *Workbench) reload(ctx context.Context) {
	p, found, err := project.Load(w.project.Root)
	if err == nil && !found.HasErrors() {
		p.Recipients = w.project.Recipients
		var loaded *project.Flows
		var more diag.List
		if loaded, more, err = project.LoadFlows(p); err == nil {
			found.Add(more)
			w.setState(loaded, found)
			w.daemon.SetFlows(loaded)
			w.subscribeWebhook(ctx)
		}
	}
	if err == nil && found.HasErrors() {
		before := *w.state.Load()
		before.found = found
		w.state.Store(&before)
	}
	var templates []*templates.Definition
	if err == nil {
		templates, err = p.ReadTemplates()
	}
	if err != nil {
		text, hint := project.Explain(err)
		w.log.Error("the files cannot be read; nothing was reloaded", "error", text, "hint", hint)
		return
	}
	w.api.SetTemplates(templates)
	w.log.Info("project reloaded", "flows", len(w.daemon.Flows().Plans()), "errors", found.CountErrors())
	_ = w.printDiagnostics(found)
}

// setState records the state of the files.
func (w *Workbench) setState(loaded *project.Flows, found diag.List) {
	senders := map[string]string{}
	for name, c := range loaded.Project.Connections {
		if vault.App(c.App) == vault.WhatsApp {
			senders[name] = c.SenderPhoneID
		}
	}
	for _, p := range loaded.Plans {
		for _, sender := range project.SenderConnections(p) {
			if _, declared := loaded.Project.Connections[sender]; !declared {
				senders[sender] = ""
			}
		}
	}
	names, _ := loaded.Project.Index() // it was read already
	files := map[string]string{}
	for name, file := range names {
		files[name] = project.RelPath(file.Path)
	}
	w.state.Store(&projectState{found: found, files: files, senders: senders})
}
