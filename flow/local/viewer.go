package local

import (
	"context"

	"facteur/flow/host"
	"facteur/flow/journal"
)

// A Viewer reads the runs of a journal without executing any: beside the host that does, or
// where none is open.
type Viewer struct{ h *Host }

// Stored is what a Viewer reads. A *journal.Reader implements it.
type Stored interface {
	Load(ctx context.Context, run string) (journal.Run, []journal.Record, error)
	List(ctx context.Context, f journal.Filter) ([]journal.Run, error)
}

// NewViewer returns a Viewer. It uses the options Restore and, where the host has them, Open,
// Past, Hash and Contact.
func NewViewer(s Stored, o Options) *Viewer {
	o.Journal = viewed{stored: s}
	return &Viewer{newHost(o)}
}

// Get is host.Host's, without the holds, which only the host knows.
func (v *Viewer) Get(ctx context.Context, run string) (*host.Report, error) { return v.h.Get(ctx, run) }

// List is host.Host's.
func (v *Viewer) List(ctx context.Context, f host.Filter) (runs []host.Run, next string, err error) {
	return v.h.List(ctx, f)
}

// viewed is a journal.Journal of which only Load and List work.
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
