package local

import (
	"context"

	"facteur/flow/host"
	"facteur/flow/journal"
)

// A Viewer tells of the runs of a journal and carries none: beside the host that does, or
// where none runs.
type Viewer struct{ h *Host }

// Stored is what a Viewer reads; a *journal.Reader has it.
type Stored interface {
	Load(ctx context.Context, run string) (journal.Run, []journal.Record, error)
	List(ctx context.Context, f journal.Filter) ([]journal.Run, error)
}

// NewViewer returns a viewer. Of the options it needs Restore, and Open, Past, Hash and
// Contact where the host has them.
func NewViewer(s Stored, o Options) *Viewer {
	o.Journal = viewed{stored: s}
	return &Viewer{newHost(o)}
}

// Get is as in host.Host. What holds a run's calls back only its host knows.
func (v *Viewer) Get(ctx context.Context, run string) (*host.Report, error) { return v.h.Get(ctx, run) }

// List is as in host.Host.
func (v *Viewer) List(ctx context.Context, f host.Filter) (runs []host.Run, next string, err error) {
	return v.h.List(ctx, f)
}

// A viewed journal is one of which nothing but Load and List is asked.
type viewed struct {
	journal.Journal
	stored Stored
}

func (v viewed) Load(ctx context.Context, run string) (journal.Run, []journal.Record, error) {
	return v.stored.Load(ctx, run)
}

func (v viewed) List(ctx context.Context, f journal.Filter) ([]journal.Run, error) {
	return v.stored.List(ctx, f)
}
