package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"path/filepath"
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

	restoredAt time.Time // the last time that the journal was from a backup; zero: never
}

// restoredKind is the kind of the journal's note of when it was from a backup.
const restoredKind = "restored"

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
	if e.restoredAt, err = e.lastRestored(ctx); err != nil {
		return nil, project.Surroundings(err, "")
	}
	e.host, err = local.Open(ctx, local.Options{
		Journal: e.journal, Do: w.do, Receipts: true, Seal: d.vault.Seal, Open: d.vault.Open,
		Hard: w.hard, Panicked: d.panicked, Workers: d.config.Workers, Restored: e.restored, RestoredAt: e.restoredAt,
		Past: d.ledger.Receipts, Hash: hash, Contact: project.ContactOf(d.actions), Restore: d.restore, Ready: d.ready, Fire: d.starter.Fire,
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
	open, err := e.journal.Open(ctx)
	if err != nil {
		return err
	}
	for _, one := range open {
		d.log.Warn("an event starts no flow: it came when the backup was made, and has done so since then", "event", one.Name, "connection", one.Connection, "at", one.At)
		if err := e.journal.Done(ctx, one.ID); err != nil {
			return err
		}
	}
	return nil
}

// lastRestored returns when the journal was from a backup last, and notes it if it is now.
func (e *localEngine) lastRestored(ctx context.Context) (last time.Time, err error) {
	const name = "at"
	if e.restored {
		last = time.Now()
		body, err := json.Marshal(last)
		if err != nil {
			return last, err
		}
		return last, e.journal.Note(ctx, restoredKind, name, body)
	}
	notes, err := e.journal.Notes(ctx, restoredKind)
	if body := notes[name]; err == nil && body != nil {
		err = json.Unmarshal(body, &last)
	}
	return last, err
}

// whole implements engine. What happened after a backup is not in it.
func (e *localEngine) whole(began time.Time) bool { return began.After(e.restoredAt) }

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
	return e.journal.Prune(ctx, before, most)
}
