package journal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"facteur/flow/journal"
	"facteur/flow/journal/journaltest"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the journal of the newest schema to testdata, if there is none")

// schemas are those that were ever released, and what the journal in testdata holds.
var schemas = []func(t *testing.T, j journal.Journal){writeSchema1, writeSchema2, writeSchema3, writeSchema4, writeSchema5}

// TestOldJournals opens a journal of each schema that was ever released.
func TestOldJournals(t *testing.T) {
	require.Len(t, schemas, journal.Schema())
	for i, write := range schemas {
		name := fmt.Sprintf("schema%d.db", i+1)
		file := filepath.Join("testdata", name)
		if _, err := os.Stat(file); *update && err != nil && i+1 == journal.Schema() {
			path := filepath.Join(t.TempDir(), "journal.db")
			j := openSQLite(t, path)
			r, err := journal.OpenReadOnly(path)
			require.NoError(t, err)
			write(t, j)
			require.NoError(t, r.Backup(t.Context(), file), "as a process leaves it that dies now")
			require.NoError(t, r.Close())
		}
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(file)
			require.NoError(t, err, "run the test with -update")
			path := filepath.Join(t.TempDir(), "journal.db")
			require.NoError(t, os.WriteFile(path, content, 0o600))
			want := new(journal.Memory)
			write(t, want)
			if i+1 < journal.Schema() {
				_, err := journal.OpenReadOnly(path)
				require.ErrorIs(t, err, journal.ErrOlder)
			}
			j := openSQLite(t, path)
			requireSame(t, want, j)
			r, err := journal.OpenReadOnly(path)
			require.NoError(t, err)
			requireSame(t, want, r)
			require.NoError(t, r.Close())

			ctx := t.Context()
			require.NoError(t, j.Write(ctx, "waiting", true, journaltest.Records(3)), "it goes on")
			_, records, err := j.Load(ctx, "waiting")
			require.NoError(t, err)
			journaltest.SameRecords(t, []journal.Record{journaltest.Record(3)}, records[len(records)-1:])
			require.NoError(t, j.Write(ctx, "waiting", true, journal.Change{Status: "failed", Ended: time.Now()}))
			require.NoError(t, j.Create(ctx, journaltest.Run("new"), journaltest.Records(0)))
			require.NoError(t, j.Create(ctx, journaltest.Run("last"), journaltest.Records(0)))
			runs, err := j.List(ctx, journal.Filter{Limit: -1})
			require.NoError(t, err)
			require.NoError(t, j.Write(ctx, "new", true, journal.Change{Status: "failed", Ended: time.Now()}))
			for _, run := range runs { // nothing of it is in the way
				require.NoError(t, j.Write(ctx, run.ID, true, journal.Change{Status: "failed", Ended: time.Now()}))
			}
			n, err := j.Prune(ctx, time.Now().Add(time.Hour), time.Now().Add(time.Hour), 1000)
			require.NoError(t, err)
			require.Positive(t, n)
			runs, err = j.List(ctx, journal.Filter{Limit: -1})
			require.NoError(t, err)
			for _, run := range runs {
				require.True(t, run.ID == "last" || run.Unknown > 0, "%s is still there", run.ID)
			}
		})
	}
}

// readable is what both a journal and a reader offer.
type readable interface {
	Load(ctx context.Context, run string) (journal.Run, []journal.Record, error)
	List(ctx context.Context, f journal.Filter) ([]journal.Run, error)
	Unfinished(ctx context.Context, each func(journal.Run, journal.Waits) error) error
	Events(ctx context.Context, name, subject, connection string, since time.Time) ([]journal.Event, error)
	OpenEvents(ctx context.Context) ([]journal.Event, error)
	Notes(ctx context.Context, kind string) (map[string]json.RawMessage, error)
}

// requireSame compares what two journals hold.
func requireSame(t *testing.T, want, got readable) {
	t.Helper()
	ctx := t.Context()
	wantRuns, err := want.List(ctx, journal.Filter{Limit: -1})
	require.NoError(t, err)
	runs, err := got.List(ctx, journal.Filter{Limit: -1})
	require.NoError(t, err)
	require.Len(t, runs, len(wantRuns))
	for i, run := range wantRuns {
		journaltest.SameRun(t, run, runs[i])
		_, wantRecords, err := want.Load(ctx, run.ID)
		require.NoError(t, err)
		_, records, err := got.Load(ctx, run.ID)
		require.NoError(t, err)
		journaltest.SameRecords(t, wantRecords, records)
	}
	for _, f := range []journal.Filter{
		{Flow: "greet"}, {Status: "running"}, {Status: "waiting"}, {Status: "succeeded"}, {Unknown: true}, {Recipient: "anna"},
		{Since: journaltest.Run("").Started}, {Until: journaltest.Run("").Started.Add(1)},
	} {
		wantRuns, err := want.List(ctx, f)
		require.NoError(t, err)
		runs, err := got.List(ctx, f)
		require.NoError(t, err)
		require.Len(t, runs, len(wantRuns), "%+v", f)
		for i := range runs {
			require.Equal(t, wantRuns[i].ID, runs[i].ID)
		}
	}
	open := map[string]journal.Waits{}
	require.NoError(t, want.Unfinished(ctx, func(run journal.Run, w journal.Waits) error {
		open[run.ID] = w
		return nil
	}))
	journaltest.SameUnfinished(t, got, open)
	wantEvents, err := want.OpenEvents(ctx)
	require.NoError(t, err)
	events, err := got.OpenEvents(ctx)
	require.NoError(t, err)
	journaltest.SameEvents(t, wantEvents, events)
	wantEvents, err = want.Events(ctx, "whatsapp.message", "anna", "", time.Time{})
	require.NoError(t, err)
	events, err = got.Events(ctx, "whatsapp.message", "anna", "", time.Time{})
	require.NoError(t, err)
	journaltest.SameEvents(t, wantEvents, events)
	wantNotes, err := want.Notes(ctx, "hold")
	require.NoError(t, err)
	notes, err := got.Notes(ctx, "hold")
	require.NoError(t, err)
	require.Len(t, notes, len(wantNotes))
	for name, note := range wantNotes {
		require.Equal(t, string(note), string(notes[name]))
	}
}

func writeSchema1(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	for _, id := range []string{"done", "waiting", "bare"} {
		run := journaltest.Run(id)
		if id == "bare" {
			run = journal.Run{ID: id, Status: "running"}
		}
		require.NoError(t, j.Create(ctx, run, journaltest.Records(0)))
		if id != "bare" {
			large := journaltest.Record(1)
			large.Body = append(append([]byte{'"'}, bytes.Repeat([]byte("é"), 5000)...), '"')
			require.NoError(t, j.Write(ctx, id, true, journal.Change{Records: []journal.Record{large, journal.Record{Kind: "no body"}}}))
		}
	}
	require.NoError(t, j.Write(ctx, "done", true, journal.Change{
		Records: []journal.Record{journaltest.Record(3)}, Status: "succeeded", Ended: journaltest.Record(0).At.Add(time.Hour),
	}))
}

func writeSchema2(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	writeSchema1(t, j)
	waits := journaltest.Waits("anna")
	require.NoError(t, j.Write(ctx, "waiting", true, journal.Change{Status: "waiting", Waits: &waits, Recipients: []string{"anna"}}))
	run := journaltest.Run("receipts")
	run.By, run.Lock, run.Inputs = "api", "lock", []byte{1, 2, 3}
	require.NoError(t, j.Create(ctx, run, journal.Change{
		Records: journaltest.Records(0).Records, Status: "waiting", Waits: &journal.Waits{Keys: []string{"f1.receipts.1"}},
		Unknown: []string{"f1.receipts.1"}, Recipients: []string{"anna", "ben"},
	}))
	require.NoError(t, j.Create(ctx, journaltest.Run("retried"), journal.Change{Status: "failed", Ended: journaltest.Record(9).At}))
	require.NoError(t, j.Write(ctx, "retried", true, journal.Change{Status: "running"}))
	for _, id := range []string{"open", "claimed", "done"} {
		_, err := j.Deliver(ctx, []journal.Event{journaltest.Event(id)}, nil)
		require.NoError(t, err)
	}
	require.NoError(t, j.Write(ctx, "receipts", true, journal.Change{Consumed: []string{"claimed"}}))
	require.NoError(t, j.MarkDone(ctx, "done"))
	require.NoError(t, j.Note(ctx, "hold", "shop", json.RawMessage(`{"reason":"token refused"}`)))
}

// writeSchema3 leaves most of it in the log.
func writeSchema3(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	writeSchema2(t, j)
	_, err := j.List(ctx, journal.Filter{})
	require.NoError(t, err, "which brings what is in the log to the tables")
	ended := journaltest.Record(9).At
	run := journaltest.Run("logged")
	run.By, run.Lock, run.Inputs = "api", "lock", []byte{1, 2, 3}
	require.NoError(t, j.Create(ctx, run, journal.Change{Records: journaltest.Records(0).Records, Recipients: []string{"anna"}}))
	require.NoError(t, j.Write(ctx, "logged", false, journal.Change{Records: journaltest.Records(1).Records, Unknown: []string{"a", "b"}, Consumed: []string{"open"}}))
	require.NoError(t, j.Write(ctx, "logged", true, journal.Change{Records: journaltest.Records(2).Records, Settled: []string{"a"}, Status: "failed", Ended: ended}))
	waits := journaltest.Waits("ben")
	require.NoError(t, j.Create(ctx, journaltest.Run("waits"), journal.Change{Status: "waiting", Waits: &waits}))
	require.NoError(t, j.Write(ctx, "receipts", true, journal.Change{Records: journaltest.Records(1).Records, Settled: []string{"f1.receipts.1"}, Status: "succeeded", Ended: ended}))
	require.NoError(t, j.Write(ctx, "done", true, journal.Change{Status: "waiting", Waits: &waits}))
	require.NoError(t, j.Write(ctx, "waiting", true, journal.Change{Waits: &journal.Waits{Keys: []string{"k"}}}))
}

// writeSchema4 writes runs whose first records, in one chunk, are small, large or none, and
// prunes some of them.
func writeSchema4(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	writeSchema3(t, j)
	ended := journaltest.Record(9).At
	for n := range 70 {
		id := fmt.Sprint("sheaf", n)
		c := journal.Change{Status: "succeeded", Ended: ended}
		switch n % 5 {
		case 0:
		case 1:
			c.Records = []journal.Record{record(5000), record(10)}
			c.Ended = ended.Add(-time.Hour)
		default:
			c.Records = []journal.Record{record(100), record(n), record(5000)}
		}
		if n == 50 {
			c.Status, c.Ended = "running", time.Time{}
		}
		require.NoError(t, j.Create(ctx, journaltest.Run(id), c))
	}
	_, err := j.Prune(ctx, ended, ended, 1000)
	require.NoError(t, err)
	require.NoError(t, j.Write(ctx, "sheaf50", true, journaltest.Records(5)))
	require.NoError(t, j.Write(ctx, "sheaf52", true, journaltest.Records(5)))
}

// writeSchema5 writes many runs, with and without recipients, that end with several statuses.
func writeSchema5(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	writeSchema4(t, j)
	ended := journaltest.Record(9).At
	for n := range 200 {
		run := journaltest.Run(fmt.Sprint("mailed", n))
		c := journal.Change{Status: []string{"succeeded", "failed"}[n/7%2], Ended: ended.Add(-time.Duration(n%3) * time.Millisecond)}
		run.Flow, run.Digest = []string{"greet", "note"}[n/5%2], fmt.Sprint(n/5%2)
		if n%4 > 0 {
			c.Recipients = [][]string{{"anna"}, {"ben", "anna", "ben"}, {"carl"}}[n%3]
		}
		if n%50 == 49 {
			c.Status, c.Ended = "running", time.Time{}
		}
		require.NoError(t, j.Create(ctx, run, c))
	}
	_, err := j.List(ctx, journal.Filter{})
	require.NoError(t, err, "which brings what is in the log to the tables")
	require.NoError(t, j.Write(ctx, "mailed49", true, journal.Change{Status: "succeeded", Ended: ended, Recipients: []string{"anna"}}))
	require.NoError(t, j.Write(ctx, "mailed99", true, journal.Change{Recipients: []string{"anna"}}))
	require.NoError(t, j.Write(ctx, "mailed3", true, journal.Change{Status: "running"}))
	_, err = j.Prune(ctx, ended, ended, 1000)
	require.NoError(t, err)
	require.NoError(t, j.Note(ctx, "hold", "shop", json.RawMessage(`{"reason":"forgotten"}`)), "which makes it durable")
}
