package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"time"

	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/trigger"
	"facteur/project"
	"facteur/server"
)

// A localEngine executes runs in this process, and stores them in the data folder.
type localEngine struct {
	restored bool // from a backup: runs that had not ended are held
	journal  *journal.SQLite
	host     *local.Host

	backups []local.Backup // that the journal was restored from
}

// restoredKind and restoredName are the journal's note about the backups it was restored from.
const restoredKind, restoredName = "restored", "backups"

func (e *localEngine) lock(d *Daemon) (err error) {
	if e.journal, err = journal.OpenSQLite(filepath.Join(d.dir, project.JournalName)); err != nil {
		return err
	}
	d.addCloser("journal", e.journal.Close)
	return nil
}

func (e *localEngine) open(ctx context.Context, d *Daemon, w hooks) (stoppableHost, error) {
	hash, err := openHash(ctx, e.journal, d.vault)
	if err != nil {
		return nil, err
	}
	if e.restored {
		if err := e.skipEvents(ctx, d); err != nil {
			return nil, project.SystemError(err, "")
		}
	}
	if e.backups, err = e.recordRestore(ctx, d.config.Retention+minRetention); err != nil {
		return nil, project.SystemError(err, "")
	}
	e.host, err = local.Open(ctx, local.Options{
		Journal: e.journal, Do: w.do, Receipts: true, Seal: d.vault.Seal, Open: d.vault.Open,
		Hard: w.hard, Panicked: d.panicked, Workers: d.config.Workers, Restored: e.restored, Backups: e.backups,
		Past: d.ledger.Receipts, Hash: hash, Contact: project.ContactOf(d.actions), Restore: d.restore, Ready: d.ready, Fire: d.starter.Fire, Fires: d.starter.Fires,
		OnStep: w.onStep, OnEnd: w.onEnd, OnHold: d.held, OnStuck: d.stuck,
	})
	if err != nil {
		return nil, project.SystemError(err, "")
	}
	return e.host, nil
}

// skipEvents marks the events as done that came just before the backup was made and had not started
// their flows by then: they have started them since.
func (e *localEngine) skipEvents(ctx context.Context, d *Daemon) error {
	d.starter.Restored = true
	open, err := e.journal.OpenEvents(ctx)
	if err != nil {
		return err
	}
	for _, one := range open {
		d.log.Warn("an event starts no flow: it arrived around the time of the backup and has already started its flow since then", "event", one.Name, "connection", one.Connection, "at", one.At)
		if err := e.journal.MarkDone(ctx, one.ID); err != nil {
			return err
		}
	}
	return nil
}

// recordRestore returns the backups that the journal was restored from, and records the one that
// it was just restored from, if any. Backups older than the retention are dropped: the runs and
// events after them are pruned by then.
func (e *localEngine) recordRestore(ctx context.Context, retention time.Duration) (backups []local.Backup, err error) {
	notes, err := e.journal.Notes(ctx, restoredKind)
	if body := notes[restoredName]; err == nil && body != nil {
		err = json.Unmarshal(body, &backups)
	}
	if err != nil {
		return nil, err
	}
	now := time.Now()
	backups = slices.DeleteFunc(backups, func(b local.Backup) bool { return now.Sub(b.At) > retention })
	if !e.restored {
		return backups, nil
	}
	b := local.Backup{At: now}
	newest, err := e.journal.List(ctx, journal.Filter{Limit: 1})
	if err != nil {
		return nil, err
	}
	for _, run := range newest {
		b.Until = run.Started
		if b.At.Before(run.Started) { // the clock is behind the one of that time
			b.At = run.Started
		}
	}
	backups = append(backups, b)
	body, err := json.Marshal(backups)
	if err != nil {
		return nil, err
	}
	return backups, e.journal.Note(ctx, restoredKind, restoredName, body)
}

// complete implements engine. A restored journal lacks what happened after the backup. A run that
// was started again since, with the idempotency key of one from that time, lacks it too.
func (e *localEngine) complete() bool { return len(e.backups) == 0 }

func (e *localEngine) notes() trigger.Notes { return e.journal }

func (e *localEngine) check() server.Check {
	return server.Check{Name: "journal", Do: func(ctx context.Context) error {
		return cmp.Or(e.host.Healthy(), e.journal.Note(ctx, hashKind, "check", []byte("1")))
	}}
}

func (e *localEngine) broken() error { return e.host.Healthy() }

// isUnreachable implements engine. There is no server; errors of the disk are Temporary themselves.
func (e *localEngine) isUnreachable(error) bool { return false }

func (e *localEngine) prune(ctx context.Context, before time.Time, most int) (int, error) {
	events := time.Now().Add(-minRetention) // a webhook that is repeated within that time starts no second run
	if before.Before(events) {
		events = before
	}
	return e.journal.Prune(ctx, before, events, most)
}
