package journal_test

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/benchtest"
	"facteur/flow/journal"
	"facteur/flow/journal/journaltest"

	"github.com/stretchr/testify/require"
)

// BenchmarkWrite writes durable records of 300 bytes to as many runs as there are callers,
// each waiting for its own.
func BenchmarkWrite(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			j := openSQLite(b, filepath.Join(b.TempDir(), "journal.db"))
			ids := make([]string, callers)
			for i := range ids {
				ids[i] = fmt.Sprintf("run_%022d", i)
				require.NoError(b, j.Create(b.Context(), journaltest.Run(ids[i]), journaltest.Records(0)))
			}
			r := record(300)
			var left atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			left.Store(int64(b.N))
			var all sync.WaitGroup
			for _, id := range ids {
				all.Go(func() {
					for left.Add(-1) >= 0 {
						if err := j.Write(b.Context(), id, true, journal.Change{Records: []journal.Record{r}}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkRun stores runs of one step: the start, the call that is taken up, its outcome
// with the end, each in a durable write of its own, or the first two in one and the last
// one not durable. Ids are random, or in the order of time with a random rest. What a run
// costs in processor time is counted over the whole process.
func BenchmarkRun(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		for _, bb := range []struct {
			name        string
			two, orders bool
		}{{"three writes", false, false}, {"two writes", true, false}, {"two writes, ordered ids", true, true}} {
			b.Run(fmt.Sprintf("callers=%d/%s", callers, bb.name), func(b *testing.B) {
				j := openSQLite(b, filepath.Join(b.TempDir(), "journal.db"))
				start, taken, answered := record(400), record(150), record(400)
				run := journaltest.Run("")
				var next atomic.Int64
				b.ReportAllocs()
				b.ResetTimer()
				before := benchtest.CPUTime()
				var all sync.WaitGroup
				for range callers {
					all.Go(func() {
						run := run
						for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
							run.ID = rand.Text()
							if bb.orders {
								run.ID = fmt.Sprintf("%010d%s", n, run.ID[:16])
							}
							first := journal.Change{Records: []journal.Record{start}}
							second := journal.Change{Records: []journal.Record{taken}, Recipients: []string{strconv.FormatInt(n, 10)}}
							if bb.two {
								first.Records, first.Recipients = append(first.Records, taken), second.Recipients
							}
							err := j.Create(b.Context(), run, first)
							if err == nil && !bb.two {
								err = j.Write(b.Context(), run.ID, true, second)
							}
							if err == nil {
								err = j.Write(b.Context(), run.ID, !bb.two, journal.Change{Records: []journal.Record{answered}, Status: "succeeded", Ended: answered.At})
							}
							if err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
				b.ReportMetric(float64((benchtest.CPUTime()-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/run")
			})
		}
	}
}

// BenchmarkLoad loads a run of ten records out of ten thousand runs.
func BenchmarkLoad(b *testing.B) {
	const runs = 10_000
	j := openSQLite(b, filepath.Join(b.TempDir(), "journal.db"))
	var all sync.WaitGroup
	for worker := range 100 {
		all.Go(func() {
			for i := worker; i < runs; i += 100 {
				require.NoError(b, j.Create(b.Context(), journaltest.Run(fmt.Sprint(i)), journal.Change{Records: []journal.Record{record(300)}}))
			}
			for range 9 {
				for i := worker; i < runs; i += 100 {
					require.NoError(b, j.Write(b.Context(), fmt.Sprint(i), false, journal.Change{Records: []journal.Record{record(300)}}))
				}
			}
		})
	}
	all.Wait()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n += 7919
		_, records, err := j.Load(b.Context(), fmt.Sprint(n%runs))
		require.NoError(b, err)
		require.Len(b, records, 10)
	}
}

// BenchmarkUnfinished reads 100,000 waiting runs that lie among as many that have ended.
func BenchmarkUnfinished(b *testing.B) {
	const waiting = 100_000
	j := openSQLite(b, filepath.Join(b.TempDir(), "journal.db"))
	fill(b, j, 2*waiting, func(n int) journal.Change {
		c := journal.Change{Records: []journal.Record{record(400)}, Status: "succeeded", Ended: journaltest.Record(0).At}
		if n%2 == 0 {
			waits := journaltest.Waits(strconv.Itoa(n))
			c.Status, c.Ended, c.Waits = "waiting", time.Time{}, &waits
		}
		return c
	})
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		require.NoError(b, j.Unfinished(b.Context(), func(journal.Run, journal.Waits) error { n++; return nil }))
		require.Equal(b, waiting, n)
	}
}

// BenchmarkList lists runs out of 200,000 of twenty flows.
func BenchmarkList(b *testing.B) {
	const runs = 200_000
	j := openSQLite(b, filepath.Join(b.TempDir(), "journal.db"))
	fill(b, j, runs, func(n int) journal.Change {
		c := journal.Change{Records: []journal.Record{record(400)}, Status: "succeeded", Ended: journaltest.Record(0).At, Recipients: []string{strconv.Itoa(n % 1000)}}
		switch {
		case n%1000 == 7:
			c.Status, c.Unknown = "failed", []string{"k"}
		case n%10 == 3:
			c.Status, c.Ended = "waiting", time.Time{}
		}
		return c
	})
	at := journaltest.Run("").Started.Add(time.Hour)
	for _, bb := range []struct {
		name   string
		filter journal.Filter
		most   int
	}{
		{"all", journal.Filter{}, 100},
		{"page", journal.Filter{Before: runs / 2}, 100},
		{"flow", journal.Filter{Flow: "flow7"}, 100},
		{"status", journal.Filter{Status: "failed"}, 100},
		{"waiting", journal.Filter{Status: "waiting"}, 100},
		{"flow and status", journal.Filter{Flow: "flow7", Status: "failed"}, 100},
		{"flow and waiting", journal.Filter{Flow: "flow3", Status: "waiting"}, 100},
		{"unknown", journal.Filter{Unknown: true}, 100},
		{"recipient", journal.Filter{Recipient: "42"}, 100},
		{"time", journal.Filter{Since: at, Until: at.Add(time.Minute)}, 100},
		{"time and status", journal.Filter{Status: "failed", Since: at, Until: at.Add(time.Hour)}, 4},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				got, err := j.List(b.Context(), bb.filter)
				require.NoError(b, err)
				require.GreaterOrEqual(b, len(got), bb.most)
			}
		})
	}
}

// BenchmarkEvents looks for events of one contact among 100,000.
func BenchmarkEvents(b *testing.B) {
	const events = 100_000
	j := openSQLite(b, filepath.Join(b.TempDir(), "journal.db"))
	var all sync.WaitGroup
	var next atomic.Int64
	for range 256 {
		all.Go(func() {
			for n := next.Add(1); n <= events; n = next.Add(1) {
				e := journaltest.Event(strconv.FormatInt(n, 10))
				e.Subjects = []string{strconv.FormatInt(n%10_000, 10)}
				_, err := j.Deliver(b.Context(), []journal.Event{e}, nil)
				require.NoError(b, err)
			}
		})
	}
	all.Wait()
	b.ReportAllocs()
	for b.Loop() {
		found, err := j.Events(b.Context(), "whatsapp.message", "4242", "shop", time.Time{})
		require.NoError(b, err)
		require.Len(b, found, 10)
	}
}

// BenchmarkDeliver stores events that wake a run each, as a flood of webhooks does.
func BenchmarkDeliver(b *testing.B) {
	const runs = 10_000
	j := openSQLite(b, filepath.Join(b.TempDir(), "journal.db"))
	waits := journaltest.Waits("anna")
	fill(b, j, runs, func(int) journal.Change { return journal.Change{Status: "waiting", Waits: &waits} })
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	before := benchtest.CPUTime()
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				_, err := j.Deliver(b.Context(), []journal.Event{journaltest.Event(rand.Text())}, []string{strconv.FormatInt(n%runs, 10)})
				require.NoError(b, err)
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64((benchtest.CPUTime()-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/event")
}

// BenchmarkPrune forgets runs of one step.
func BenchmarkPrune(b *testing.B) {
	j := openSQLite(b, filepath.Join(b.TempDir(), "journal.db"))
	fill(b, j, b.N+1, func(n int) journal.Change {
		return journal.Change{Records: []journal.Record{record(400)}, Status: "succeeded", Ended: journaltest.Record(0).At, Recipients: []string{strconv.Itoa(n)}}
	})
	b.ResetTimer()
	for n := 0; n < b.N; {
		pruned, err := j.Prune(b.Context(), journaltest.Record(0).At.Add(24*time.Hour*365), journaltest.Record(0).At.Add(24*time.Hour*365), min(500, b.N-n))
		require.NoError(b, err)
		require.NotZero(b, pruned)
		n += pruned
	}
}

// fill creates runs 0 … n-1, a thousand in a minute.
func fill(b *testing.B, j journal.Journal, n int, change func(n int) journal.Change) {
	var all sync.WaitGroup
	var next atomic.Int64
	for range 256 {
		all.Go(func() {
			for i := int(next.Add(1) - 1); i < n; i = int(next.Add(1) - 1) {
				run := journaltest.Run(strconv.Itoa(i))
				run.Flow = fmt.Sprint("flow", i%20)
				run.Digest = run.Flow
				run.Started = run.Started.Add(time.Duration(i) * time.Minute / 1000)
				require.NoError(b, j.Create(b.Context(), run, change(i)))
			}
		})
	}
	all.Wait()
}

// record returns a record with a body of so many bytes.
func record(size int) journal.Record {
	r := journaltest.Record(1)
	r.Body = []byte(`"` + strings.Repeat("7", size-2) + `"`)
	return r
}
