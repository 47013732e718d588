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

// A localEngine carries runs in this process, and keeps them in the data folder.
type localEngine struct {
	restored bool // from a backup: what had not ended is held
	journal  *journal.SQLite
	host     *local.Host

	backups []local.Backup // that the journal was restored from
}

// The note of the journal that says which backups it was restored from.
const restoredKind, restoredName = "restored", "backups"

func (e *localEngine) take(d *Daemon) (err error) {
	if e.journal, err = journal.OpenSQLite(filepath.Join(d.dir, project.JournalName)); err != nil {
		return err
	}
	d.closing("journal", e.journal.Close)
	return nil
}

func (e *localEngine) open(ctx context.Context, d *Daemon, w work) (carrier, error) {
	hash, err := openHash(ctx, e.journal, d.vault)
	if err != nil {
		return nil, err
	}
	if e.restored {
		if err := e.leaveEvents(ctx, d); err != nil {
			return nil, project.Surroundings(err, "")
		}
	}
	if e.backups, err = e.restores(ctx, d.config.Retention+leastLedger); err != nil {
		return nil, project.Surroundings(err, "")
	}
	e.host, err = local.Open(ctx, local.Options{
		Journal: e.journal, Do: w.do, Receipts: true, Seal: d.vault.Seal, Open: d.vault.Open,
		Hard: w.hard, Panicked: d.panicked, Workers: d.config.Workers, Restored: e.restored, Backups: e.backups,
		Past: d.ledger.Receipts, Hash: hash, Contact: project.ContactOf(d.actions), Restore: d.restore, Ready: d.ready, Fire: d.starter.Fire, Fires: d.starter.Fires,
		OnStep: w.onStep, OnEnd: w.onEnd, OnHold: d.held, OnStuck: d.stuck,
	})
	if err != nil {
		return nil, project.Surroundings(err, "")
	}
	return e.host, nil
}

// leaveEvents keeps triggers from what came just before the backup was made, and had not
// started its flows in it: it has since then.
func (e *localEngine) leaveEvents(ctx context.Context, d *Daemon) error {
	d.starter.Restored = true
	open, err := e.journal.OpenEvents(ctx)
	if err != nil {
		return err
	}
	for _, one := range open {
		d.log.Warn("an event starts no flow: it came when the backup was made, and has done so since then", "event", one.Name, "connection", one.Connection, "at", one.At)
		if err := e.journal.MarkDone(ctx, one.ID); err != nil {
			return err
		}
	}
	return nil
}

// restores returns the backups that the journal was restored from, and notes one if it just
// was. Those of longer ago than kept are forgotten, as is by then what happened after them.
func (e *localEngine) restores(ctx context.Context, kept time.Duration) (backups []local.Backup, err error) {
	notes, err := e.journal.Notes(ctx, restoredKind)
	if body := notes[restoredName]; err == nil && body != nil {
		err = json.Unmarshal(body, &backups)
	}
	if err != nil {
		return nil, err
	}
	now := time.Now()
	backups = slices.DeleteFunc(backups, func(b local.Backup) bool { return now.Sub(b.At) > kept })
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
		if b.At.Before(run.Started) { // by a clock that is behind by now
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

// whole implements engine. What happened after a backup is not in it, nor in a run that began
// after it was restored with the key of one from between.
func (e *localEngine) whole() bool { return len(e.backups) == 0 }

func (e *localEngine) notes() trigger.Notes { return e.journal }

func (e *localEngine) check() server.Check {
	return server.Check{Name: "journal", Do: func(ctx context.Context) error {
		return cmp.Or(e.host.Healthy(), e.journal.Note(ctx, hashKind, "check", []byte("1")))
	}}
}

func (e *localEngine) broken() error { return e.host.Healthy() }

// away implements engine. There is no server: a disk that failed says so itself.
func (e *localEngine) away(error) bool { return false }

func (e *localEngine) prune(ctx context.Context, before time.Time, most int) (int, error) {
	events := time.Now().Add(-leastLedger) // a message that is told again within that starts nothing again
	if before.Before(events) {
		events = before
	}
	return e.journal.Prune(ctx, before, events, most)
}
