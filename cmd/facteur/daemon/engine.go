package daemon

import (
	"context"
	"time"

	"facteur/flow/trigger"
	"facteur/project"
	"facteur/server"
)

// An engine keeps the runs of a daemon, and opens the host that carries them.
type engine interface {
	// take makes the data folder this daemon's alone.
	take(d *Daemon) error
	// open takes up the runs that had not ended.
	open(ctx context.Context, d *Daemon, w work) (carrier, error)

	// What follows is for after open.

	// notes keeps what schedules have to remember.
	notes() trigger.Notes
	// check tells whether runs can go on now.
	check() server.Check
	// broken returns why none ever will again in this process; nil: they can.
	broken() error
	// whole tells whether the records of runs have all that happened in them.
	whole() bool
	// away tells whether an error of the host is that its server cannot be reached now.
	away(err error) bool
	// prune forgets runs that ended before a time, so many at most.
	prune(ctx context.Context, before time.Time, most int) (int, error)
}

func engineOf(p *project.Project, config project.Server, restored bool) (engine, error) {
	if config.Engine != project.EngineTemporal {
		return &localEngine{restored: restored}, nil
	}
	if restored {
		return nil, project.Wrong("restore the Temporal server and the ledger's database with their own means, then start without --restored",
			"--restored is for a data folder, and with --engine temporal runs are not kept there")
	}
	return newTemporalEngine(p)
}
