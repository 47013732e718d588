package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"facteur/actions/whatsapp/ledger"
	"facteur/e2e/bench/child"
	"facteur/flow/journal"
	"facteur/flow/local"
)

// durable is the daemon's host, over files.
func durable(s child.Setup) (*child.Subject, error) {
	path := func(name string) string { return filepath.Join(s.Dir, name) }
	j, err := journal.OpenSQLite(path("journal.db"))
	if err != nil {
		return nil, err
	}
	w, err := newEngine(s, func(o ledger.Options) (ledger.Ledger, error) { return ledger.OpenSQLite(path("ledger.db"), o) })
	if err != nil {
		return nil, err
	}
	out, err := runnerOf(s, w, j)
	if err != nil {
		return nil, err
	}
	out.Stats = func(a *child.Response) (err error) {
		a.Sizes.Files, err = filesOf(s.Dir)
		return err
	}
	return out, nil
}

// filesOf returns the sizes of the databases in a folder, each with its write-ahead log.
func filesOf(dir string) (map[string]int64, error) {
	sizes := map[string]int64{}
	for _, name := range []string{"journal", "ledger"} {
		for _, part := range []string{".db", ".db-wal"} {
			info, err := os.Stat(filepath.Join(dir, name+part))
			if err != nil {
				return nil, err
			}
			sizes[name+part] += info.Size()
		}
	}
	return sizes, nil
}

// inMemory is the same host, with nothing stored.
func inMemory(s child.Setup) (*child.Subject, error) {
	w, err := newEngine(s, func(o ledger.Options) (ledger.Ledger, error) { return &ledger.Memory{Options: o}, nil })
	if err != nil {
		return nil, err
	}
	return runnerOf(s, w, &journal.Memory{})
}

func runnerOf(s child.Setup, w *engine, j journal.Journal) (*child.Subject, error) {
	h, err := local.Open(context.Background(), local.Options{
		Journal: j, Do: w.metrics.Do(w.set.Do), Receipts: true, Seal: w.vault.Seal, Open: w.vault.Open,
		Past: w.ledger.Receipts, Hash: w.hash, Contact: w.contact, Restore: w.restore, Ready: w.connectionVersion,
		OnStep: w.step, OnEnd: w.logRun,
	})
	if err != nil {
		return nil, fmt.Errorf("open the host: %w", err)
	}
	w.host = h
	do := func(n int) error {
		_, err := w.runOnce(s, n)
		return err
	}
	return &child.Subject{Do: do, Close: func() error { return h.Stop(context.Background()) }}, nil
}
