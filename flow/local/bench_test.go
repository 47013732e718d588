package local_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"facteur/flow/call"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"

	"github.com/stretchr/testify/require"
)

// BenchmarkRuns carries runs of one step to their end, some at the same time, in a file.
// Each writes three records (start, taken, answered) and its end, with three syncs.
func BenchmarkRuns(b *testing.B) {
	p := kit{}.compile(b, one)
	for _, beside := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(beside), func(b *testing.B) {
			j, err := journal.OpenSQLite(filepath.Join(b.TempDir(), "journal.db"))
			require.NoError(b, err)
			h := local.New(local.Options{Journal: j, Do: func(_ context.Context, c call.Call) call.Outcome { return accepted(c) }})
			b.ReportAllocs()
			b.ResetTimer()
			todo := make(chan struct{})
			var runs sync.WaitGroup
			for range beside {
				runs.Go(func() {
					for range todo {
						if r, err := h.Run(context.Background(), p, local.Start{}); err != nil || r.Status != machine.Succeeded {
							b.Error(r, err)
						}
					}
				})
			}
			for range b.N {
				todo <- struct{}{}
			}
			close(todo)
			runs.Wait()
			b.StopTimer()
			require.NoError(b, j.Close())
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
			b.ReportMetric(float64(3*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkLoop carries one run of a thousand calls to its end, in memory.
func BenchmarkLoop(b *testing.B) {
	p := kit{}.compile(b, loop(1000, "a"))
	b.ReportAllocs()
	for b.Loop() {
		h := local.New(local.Options{Journal: &journal.Memory{}, Clock: virtual(), Do: func(_ context.Context, c call.Call) call.Outcome { return accepted(c) }})
		if r, err := h.Run(b.Context(), p, start()); err != nil || r.Status != machine.Succeeded {
			b.Fatal(r, err)
		}
	}
}
