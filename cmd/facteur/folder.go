package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"facteur/cmd/facteur/daemon"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/project"
	"facteur/server"
)

// A folder reads the runs of a data folder without a daemon: the daemon's and those in the
// foreground.
type folder struct {
	views   []*local.Viewer
	people  server.View
	closers []func() error
}

func (f *folder) close() {
	for _, end := range slices.Backward(f.closers) {
		_ = end() // nothing was written
	}
}

// openFolder opens the data folder of a project for reading.
func (a *app) openFolder(ctx context.Context, p *project.Project) (_ *folder, err error) {
	f := &folder{people: server.View{Numbers: p.Server.ShowPhoneNumbers}}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	v, err := p.OpenVault(nil)
	if err != nil {
		return nil, err
	}
	f.closers = append(f.closers, v.Close)
	catalog, err := p.Descriptions()
	if err != nil {
		return nil, err
	}
	flows := &project.Flows{Project: p, Catalog: catalog}
	dir := p.Abs(p.Data)
	o := local.Options{Open: v.Open, Restore: flows.Restore, Contact: project.ContactOf(catalog)}
	if p.HasLedger() {
		l, err := p.OpenLedger(ctx, v)
		_, ofDisk := errors.AsType[*journal.DiskError](err)
		switch {
		case err == nil:
			f.closers = append(f.closers, l.Close)
			o.Past = l.Receipts
		case ofDisk: // such as a full one: the runs can be read all the same
			a.warn("%v; receipts that no run waited for are not shown", err)
		default:
			return nil, err
		}
	}
	for _, name := range project.Journals(dir) {
		j, err := journal.OpenReadOnly(filepath.Join(dir, name))
		if err != nil {
			return nil, project.SystemError(err, olderHint(err))
		}
		f.closers = append(f.closers, j.Close)
		if j.Behind {
			a.warn("the process that writes %s is suspended, or its disk failed: what it wrote last is not shown", project.RelPath(filepath.Join(dir, name)))
		}
		one := o
		if name == project.JournalName {
			if one.Hash, err = daemon.ReadHash(ctx, j, v); err != nil {
				return nil, err
			}
		}
		f.views = append(f.views, local.NewViewer(j, one))
	}
	if len(f.views) == 0 {
		hint := "none has been started yet, or they are kept elsewhere: see data: in " + project.FileName
		if !project.HasFile(p.Root) {
			hint = noProject
		}
		if p.Server.Engine == project.EngineTemporal {
			hint = "the runs are in the Temporal server, and only a daemon can show them: start one with facteur serve, or name one with --server URL"
		}
		return nil, project.SystemError(errors.New("no runs are kept in "+project.RelPath(dir)), hint)
	}
	return f, nil
}

// olderHint is the hint for a journal of an older version.
func olderHint(err error) string {
	if !errors.Is(err, journal.ErrOlder) {
		return ""
	}
	return "start facteur serve once (or, for the journal of runs in the foreground, facteur run); an older facteur cannot read the journal afterwards"
}

// Runs implements runReader.
func (f *folder) Runs(ctx context.Context, q host.Filter) (*server.RunList, error) {
	list := &server.RunList{Runs: []server.Run{}}
	if q.Cursor != "" && len(f.views) > 1 {
		return nil, project.UserError("narrow the list with --until", "without a daemon, a list that spans several journals has no cursor")
	}
	for _, view := range f.views {
		runs, next, err := view.List(ctx, q)
		if _, ok := errors.AsType[*host.CursorError](err); ok {
			return nil, err
		}
		if err != nil {
			return nil, project.SystemError(err, "")
		}
		for _, r := range runs {
			list.Runs = append(list.Runs, f.people.Run(r))
		}
		if len(f.views) == 1 {
			list.Next = next
		}
	}
	slices.SortStableFunc(list.Runs, func(a, b server.Run) int { return b.StartedAt.Compare(a.StartedAt) })
	if q.Limit > 0 && len(list.Runs) > q.Limit {
		list.Runs = list.Runs[:q.Limit]
	}
	return list, nil
}

// Run implements runReader. It does not wait: without a daemon no run goes on.
func (f *folder) Run(ctx context.Context, run string, _ time.Duration) (*server.Detail, error) {
	r, err := f.report(ctx, run)
	if err != nil {
		return nil, err
	}
	return f.people.Detail(r), nil
}

// report finds a run in one of the journals.
func (f *folder) report(ctx context.Context, run string) (*host.Report, error) {
	for _, view := range f.views {
		r, err := view.Get(ctx, run)
		if _, missing := errors.AsType[*host.NotFoundError](err); missing {
			continue
		}
		if err != nil {
			return nil, project.SystemError(err, "")
		}
		return r, nil
	}
	return nil, project.UserError("facteur runs list shows them", "there is no run %s", run)
}
