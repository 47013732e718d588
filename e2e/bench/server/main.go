// Command server is a Temporal server that facteur/e2e/bench measures against: the command
// starts it and tells it where to keep what it knows.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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

// shards is how many history shards there are: what the server's own image has, unless it
// is told otherwise.
const shards = 4

func begin(s child.Setup) (subject *child.Subject, err error) {
	t := &stage{}
	defer func() {
		if failure, ok := recover().(failure); ok {
			t.end()
			err = failure
		}
	}()
	subject = &child.Subject{Close: t.end}
	var server *temporal.Server
	switch s.As {
	case "temporal over memory":
		server = temporal.Start(t)
		subject.Facts = []string{"Temporal " + temporal.Version + ", all of it in one process, over SQLite in memory: nothing of it is on a disk"}
	case "temporal over postgres":
		db := postgres.Start(t)
		server = temporal.StartOver(t, db, shards)
		ledger := db.Database(t)
		subject.Facts = []string{
			fmt.Sprintf("Temporal %s, all of it in one process, over PostgreSQL %s, which syncs each commit; %d history shards", temporal.Version, db.Version, shards),
			"ledger " + ledger,
		}
		subject.Look = func(a *child.Answer) (err error) {
			a.CPU, a.Memory = db.CPU(), memoryOf(db)
			if a.Sizes.Files, err = sizes(db, filepath.Base(ledger)); err == nil {
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

// sizes tells how large the databases are, with their indexes.
func sizes(db *postgres.Server, ledger string) (map[string]int64, error) {
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

// shardWrites is how often the state of a workflow was written. A history shard does that
// one after the other, and waits for the commit.
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

// memoryOf is what the processes of a server have in the machine's memory, that which they
// share counted once.
func memoryOf(db *postgres.Server) (sum int64) {
	for _, pid := range db.Processes() {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		for line := range strings.Lines(string(text)) {
			if after, ok := strings.CutPrefix(line, "Pss:"); ok {
				kb, _ := strconv.ParseInt(strings.Fields(after)[0], 10, 64)
				sum += kb << 10
			}
		}
	}
	return sum
}

// A stage stands where servers are started in place of a test. What the test would do and a
// program cannot is not there.
type stage struct {
	testing.TB
	cleanups []func()
}

// A failure is what would end a test.
type failure struct{ error }

func (s *stage) end() error {
	for len(s.cleanups) > 0 {
		last := len(s.cleanups) - 1
		f := s.cleanups[last]
		s.cleanups = s.cleanups[:last]
		f()
	}
	return nil
}

func (s *stage) Cleanup(f func())                { s.cleanups = append(s.cleanups, f) }
func (s *stage) Context() context.Context        { return context.Background() }
func (s *stage) Helper()                         {}
func (s *stage) Failed() bool                    { return false }
func (s *stage) Name() string                    { return "bench" }
func (s *stage) FailNow()                        { s.Fatal("the server does not start") }
func (s *stage) Fatal(args ...any)               { panic(failure{fmt.Errorf("%s", fmt.Sprint(args...))}) }
func (s *stage) Fatalf(text string, args ...any) { panic(failure{fmt.Errorf(text, args...)}) }
func (s *stage) Skip(args ...any)                { s.Fatal(args...) }
func (s *stage) Logf(text string, args ...any)   { fmt.Fprintf(os.Stderr, text+"\n", args...) }
func (s *stage) Errorf(text string, args ...any) { s.Logf(text, args...) }
