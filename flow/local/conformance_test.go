package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	"facteur/flow/journal"
	"facteur/flow/local"
)

func TestHost(t *testing.T) {
	for _, moment := range []time.Duration{time.Nanosecond, time.Second} {
		if testing.Short() && moment == time.Second {
			continue
		}
		t.Run("memory, moment "+moment.String(), func(t *testing.T) {
			hosttest.Exercise(t, func(t *testing.T) hosttest.Backend {
				memory := &journal.Memory{}
				return &localBackend{minParkTime: moment, file: func() (journal.Journal, error) { return memory, nil }}
			})
		})
		t.Run("SQLite, moment "+moment.String(), func(t *testing.T) {
			hosttest.Exercise(t, func(t *testing.T) hosttest.Backend {
				path := filepath.Join(t.TempDir(), "journal.db")
				return &localBackend{minParkTime: moment, file: func() (journal.Journal, error) { return journal.OpenSQLite(path) }}
			})
		})
	}
}

// A localBackend opens hosts over a journal that loses, at a crash, some of what is not durable.
type localBackend struct {
	minParkTime time.Duration
	file        func() (journal.Journal, error)

	mu      sync.Mutex
	host    *local.Host
	journal *lossyJournal
}

func (s *localBackend) Open(ctx context.Context, w *hosttest.World) (host.Host, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	file, err := s.file()
	if err != nil {
		return nil, err
	}
	s.journal = &lossyJournal{Journal: file}
	s.host, err = local.Open(ctx, local.Options{
		Journal: s.journal, Do: w.Do, Receipts: true, Restore: w.Restore, MinParkTime: s.minParkTime,
		Past: w.Past, Ready: w.Ready, Fire: w.Fire, Hash: func(s string) string { return "#" + s },
	})
	return s.host, err
}

func (s *localBackend) Crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal.crash()
}

func (s *localBackend) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.host.Stop(ctx), s.journal.Close())
}

var errCrashed = errors.New("the host has crashed")

// A lossyJournal keeps what is not durable in memory, as the file system does, until something
// durable follows.
type lossyJournal struct {
	journal.Journal
	mu      sync.Mutex
	pending []func() error
	crashed bool
}

// writePending writes what is in memory.
func (l *lossyJournal) writePending() error {
	if l.crashed {
		return errCrashed
	}
	for _, write := range l.pending {
		if err := write(); err != nil {
			return err
		}
	}
	l.pending = nil
	return nil
}

func (l *lossyJournal) crash() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.crashed {
		return
	}
	l.pending = l.pending[:rand.IntN(len(l.pending)+1)]
	_ = l.writePending()
	l.crashed = true
	_ = l.Journal.Close()
}

func (l *lossyJournal) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.crashed {
		return nil
	}
	return errors.Join(l.writePending(), l.Journal.Close())
}

func (l *lossyJournal) after(f func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writePending(); err != nil {
		return err
	}
	return f()
}

func (l *lossyJournal) later(f func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.crashed {
		return errCrashed
	}
	l.pending = append(l.pending, f)
	return nil
}

func (l *lossyJournal) Create(ctx context.Context, run journal.Run, c journal.Change) error {
	return l.after(func() error { return l.Journal.Create(ctx, run, c) })
}

func (l *lossyJournal) Write(ctx context.Context, run string, durable bool, c journal.Change) error {
	if !durable {
		return l.later(func() error { return l.Journal.Write(context.Background(), run, true, c) })
	}
	return l.after(func() error { return l.Journal.Write(ctx, run, true, c) })
}

func (l *lossyJournal) Wake(ctx context.Context, durable bool, runs ...string) error {
	if !durable {
		return l.later(func() error { return l.Journal.Wake(context.Background(), true, runs...) })
	}
	return l.after(func() error { return l.Journal.Wake(ctx, true, runs...) })
}

func (l *lossyJournal) MarkDone(_ context.Context, id string) error {
	return l.later(func() error { return l.Journal.MarkDone(context.Background(), id) })
}

func (l *lossyJournal) Load(ctx context.Context, run string) (head journal.Run, records []journal.Record, err error) {
	err = l.after(func() error { head, records, err = l.Journal.Load(ctx, run); return err })
	return head, records, err
}

func (l *lossyJournal) List(ctx context.Context, f journal.Filter) (runs []journal.Run, err error) {
	err = l.after(func() error { runs, err = l.Journal.List(ctx, f); return err })
	return runs, err
}

func (l *lossyJournal) Unfinished(ctx context.Context, each func(journal.Run, journal.Waits) error) error {
	return l.after(func() error { return l.Journal.Unfinished(ctx, each) })
}

func (l *lossyJournal) Deliver(ctx context.Context, events []journal.Event, wake []string) (fresh []bool, err error) {
	err = l.after(func() error { fresh, err = l.Journal.Deliver(ctx, events, wake); return err })
	return fresh, err
}

func (l *lossyJournal) Events(ctx context.Context, name, subject, connection string, since time.Time) (events []journal.Event, err error) {
	err = l.after(func() error { events, err = l.Journal.Events(ctx, name, subject, connection, since); return err })
	return events, err
}

func (l *lossyJournal) OpenEvents(ctx context.Context) (events []journal.Event, err error) {
	err = l.after(func() error { events, err = l.Journal.OpenEvents(ctx); return err })
	return events, err
}

func (l *lossyJournal) Note(ctx context.Context, kind, name string, body json.RawMessage) error {
	return l.after(func() error { return l.Journal.Note(ctx, kind, name, body) })
}
