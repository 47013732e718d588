package daemon

import (
	"context"
	"time"

	"facteur/flow/trigger"
	"facteur/project"
	"facteur/server"
)

// An engine stores the runs of a daemon, and opens their host.
type engine interface {
	// lock locks the data folder against other daemons.
	lock(d *Daemon) error
	// open opens the host, which resumes the runs that had not ended.
	open(ctx context.Context, d *Daemon, w hooks) (stoppableHost, error)

	// The following are for after open.

	// notes stores the state of schedules; nil: the host does.
	notes() trigger.Notes
	// check checks whether runs can go on now.
	check() server.Check
	// broken returns why no run will go on in this process until it is restarted; nil: they can.
	broken() error
	// complete reports whether the journals of runs hold all that happened in them.
	complete() bool
	// isUnreachable reports whether an error of the host means that its server cannot be
	// reached now.
	isUnreachable(err error) bool
	// prune deletes runs that ended before a time, at most so many, and returns how many.
	prune(ctx context.Context, before time.Time, most int) (int, error)
}

func engineOf(p *project.Project, config project.Server, restored bool) (engine, error) {
	if config.Engine != project.EngineTemporal {
		return &localEngine{restored: restored}, nil
	}
	if restored {
		return nil, project.UserError("restore the Temporal server and the ledger's database with their own tools, then start without --restored",
			"--restored is for a data folder, but with --engine temporal no runs are kept there")
	}
	return newTemporalEngine(p)
}
