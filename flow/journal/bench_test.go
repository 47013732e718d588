package journal_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
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

// BenchmarkRun stores runs of one step: create, one durable record and one that is not,
// the end.
func BenchmarkRun(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			j := openSQLite(b, filepath.Join(b.TempDir(), "journal.db"))
			r := record(300)
			var next atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						id := fmt.Sprintf("run_%022d", n)
						err := j.Create(b.Context(), journaltest.Run(id), journal.Change{Records: []journal.Record{r}})
						if err == nil {
							err = j.Append(b.Context(), id, true, r)
						}
						if err == nil {
							err = j.Append(b.Context(), id, false, r)
						}
						if err == nil {
							err = j.End(b.Context(), id, "succeeded", r.At, r)
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
		})
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
