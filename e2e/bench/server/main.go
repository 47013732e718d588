// Command server is the Temporal server of facteur/e2e/bench, which starts it and says where it
// stores its data.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"facteur/e2e/bench/child"
	"facteur/e2e/postgres"
	"facteur/e2e/temporal"

	"github.com/jackc/pgx/v5"
)

func main() {
	if err := child.Serve(begin); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// shards is the number of history shards, the default of the server's own image.
const shards = 4

func begin(s child.Setup) (subject *child.Subject, err error) {
	t := &testbed{}
	defer func() {
		if failure, ok := recover().(fatal); ok {
			t.cleanUp()
			err = failure
		}
	}()
	subject = &child.Subject{Close: t.cleanUp}
	var server *temporal.Server
	switch s.As {
	case "temporal over memory":
		server = temporal.Start(t)
		subject.Facts = []string{"Temporal " + temporal.Version + ", all of it in one process, over SQLite in memory: nothing of it is on a disk"}
	case "temporal over postgres":
		db := postgres.Start(t)
		server = temporal.StartOnPostgres(t, db, shards)
		ledger := db.Database(t)
		subject.Facts = []string{
			fmt.Sprintf("Temporal %s, all of it in one process, over PostgreSQL %s, which syncs each commit; %d history shards", temporal.Version, db.Version, shards),
			"ledger " + ledger,
		}
		subject.Stats = func(a *child.Response) (err error) {
			a.CPU, a.Memory = db.CPU(), memoryOf(db)
			if a.Sizes.Files, err = databaseSizes(db, filepath.Base(ledger)); err == nil {
				a.Sizes.Writes, err = shardWrites(db)
			}
			return err
		}
	default:
		return nil, fmt.Errorf("nobody knows how to be that")
	}
	for _, namespace := range []string{"hand", "limited", "temporal"} {
		server.Namespace(t, namespace)
	}
	subject.Address = server.Address
	return subject, nil
}

// databaseSizes returns the sizes of the databases, with their indexes, in bytes.
func databaseSizes(db *postgres.Server, ledger string) (map[string]int64, error) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, db.URL("postgres"))
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	out := map[string]int64{}
	for name, database := range map[string]string{"runs": temporal.RunsDatabase, "visibility": temporal.VisibilityDatabase, "ledger": strings.SplitN(ledger, "?", 2)[0]} {
		var size int64
		if err := conn.QueryRow(ctx, "SELECT pg_database_size($1::name)", database).Scan(&size); err != nil {
			return nil, err
		}
		out[name] = size
	}
	var wal int64
	if err := conn.QueryRow(ctx, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint").Scan(&wal); err != nil {
		return nil, err
	}
	out["wal"] = wal
	return out, nil
}

// shardWrites returns how often the state of a workflow was written. A history shard writes one
// at a time, and waits for each commit.
func shardWrites(db *postgres.Server) (n int64, err error) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, db.URL(temporal.RunsDatabase))
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE relname = 'executions'").Scan(&n)
	return n, err
}

// memoryOf returns the resident memory of a server's processes, with shared memory counted
// once.
func memoryOf(db *postgres.Server) (sum int64) {
	for _, pid := range db.Processes() {
		bytes, _ := child.SharedMemory(pid) // it may have ended
		sum += bytes
	}
	return sum
}

// A testbed is a testing.TB outside of a test, with the methods that starting the servers needs.
type testbed struct {
	testing.TB
	cleanups []func()
}

// A fatal is the panic value in place of a test's FailNow.
type fatal struct{ error }

func (s *testbed) cleanUp() error {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
	s.cleanups = nil
	return nil
}

func (s *testbed) Cleanup(f func())                { s.cleanups = append(s.cleanups, f) }
func (s *testbed) Context() context.Context        { return context.Background() }
func (s *testbed) Helper()                         {}
func (s *testbed) Failed() bool                    { return false }
func (s *testbed) Name() string                    { return "bench" }
func (s *testbed) FailNow()                        { s.Fatal("the server does not start") }
func (s *testbed) Fatal(args ...any)               { panic(fatal{fmt.Errorf("%s", fmt.Sprint(args...))}) }
func (s *testbed) Fatalf(text string, args ...any) { panic(fatal{fmt.Errorf(text, args...)}) }
func (s *testbed) Skip(args ...any)                { s.Fatal(args...) }
func (s *testbed) Logf(text string, args ...any)   { fmt.Fprintf(os.Stderr, text+"\n", args...) }
func (s *testbed) Errorf(text string, args ...any) { s.Logf(text, args...) }
