package journal_test

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"facteur/flow/journal"
	"facteur/flow/journal/journaltest"
)

// BenchmarkAppend appends durable records of 300 bytes to as many runs as there are
// callers, each waiting for its own.
func BenchmarkAppend(b *testing.B) {
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
						if err := j.Append(b.Context(), id, true, r); err != nil {
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
// with the end. What it costs in processor time is counted over the whole process.
func BenchmarkRun(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		for _, ids := range []string{"random", "ordered"} {
			b.Run(fmt.Sprintf("callers=%d/ids=%s", callers, ids), func(b *testing.B) {
				j := openSQLite(b, filepath.Join(b.TempDir(), "journal.db"))
				start, taken, answered := record(400), record(150), record(400)
				var next atomic.Int64
				b.ReportAllocs()
				b.ResetTimer()
				before := processorTime(b)
				var all sync.WaitGroup
				for range callers {
					all.Go(func() {
						for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
							id := rand.Text()
							if ids == "ordered" {
								id = fmt.Sprintf("%010d%s", n, id[:16])
							}
							recipient := strconv.FormatInt(n, 10)
							err := j.Create(b.Context(), journaltest.Run(id), journal.Change{Records: []journal.Record{start}})
							if err == nil {
								err = j.Write(b.Context(), id, true, journal.Change{Records: []journal.Record{taken}, Recipients: []string{recipient}})
							}
							if err == nil {
								err = j.Write(b.Context(), id, true, journal.Change{Records: []journal.Record{answered}, Status: "succeeded", Ended: answered.At})
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
				b.ReportMetric(float64(processorTime(b)-before)/1000/float64(b.N), "cpu-µs/run")
			})
		}
	}
}

// processorTime returns what this process took so far, in nanoseconds.
func processorTime(b *testing.B) int64 {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return u.Utime.Nano() + u.Stime.Nano()
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
					require.NoError(b, j.Append(b.Context(), fmt.Sprint(i), false, record(300)))
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

// record returns a record with a body of so many bytes.
func record(size int) journal.Record {
	r := journaltest.Record(1)
	r.Body = fmt.Appendf(nil, "\"%0*d\"", size-2, 7)
	return r
}
