package ledger_test

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"facteur/actions/whatsapp/ledger/ledgertest"

	"github.com/stretchr/testify/require"
)

// concurrently runs one for each n below b.N, on so many goroutines.
func concurrently(b *testing.B, callers int, one func(n int) error) {
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := one(int(n)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkApply stores statuses, one in each webhook, each durable before it is answered.
func BenchmarkApply(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			l := openSQLite(b, filepath.Join(b.TempDir(), "ledger.db"), nil)
			concurrently(b, callers, func(n int) error { return ledgertest.StoreStatus(b.Context(), l, n) })
			b.ReportMetric(heap(), "MB")
		})
	}
}

// BenchmarkInbound stores messages of many people.
func BenchmarkInbound(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			l := openSQLite(b, filepath.Join(b.TempDir(), "ledger.db"), nil)
			concurrently(b, callers, func(n int) error { return ledgertest.StoreMessage(b.Context(), l, n) })
		})
	}
}

// BenchmarkOnce claims a key and tells of the send.
func BenchmarkOnce(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			l := openSQLite(b, filepath.Join(b.TempDir(), "ledger.db"), nil)
			concurrently(b, callers, func(n int) error {
				call := fmt.Sprintf("f1.run_%08d.1", n)
				_, err := l.Claim(b.Context(), ledgertest.Claim(call, call))
				if err == nil {
					_, err = l.RecordAnswer(b.Context(), ledgertest.Accepted(call, "wamid."+call))
				}
				return err
			})
		})
	}
}

// BenchmarkTold is what each send costs that was accepted.
func BenchmarkTold(b *testing.B) {
	l := openSQLite(b, filepath.Join(b.TempDir(), "ledger.db"), nil)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		require.NoError(b, ledgertest.RecordAccepted(b.Context(), l, n))
	}
}

// BenchmarkWindow is what each send costs that is no template, among ten thousand people.
func BenchmarkWindow(b *testing.B) {
	ledgertest.LookAtWindows(b, openSQLite(b, filepath.Join(b.TempDir(), "ledger.db"), nil))
}

// heap is the size of what is in use, in MB.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse) / (1 << 20)
}

// BenchmarkTell is what each send costs that is told without waiting, as ids come: those of
// messages at random, those of calls in the order of time.
func BenchmarkTell(b *testing.B) {
	l := openSQLite(b, filepath.Join(b.TempDir(), "ledger.db"), nil)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		call := fmt.Sprintf("f1.%010d%s.1", n, rand.Text()[:16])
		require.NoError(b, l.RecordAnswerAsync(b.Context(), ledgertest.Accepted(call, "wamid.HBgLMzM2MDAwMDAwMTAVAgARGBJ"+rand.Text()), nil))
	}
}
