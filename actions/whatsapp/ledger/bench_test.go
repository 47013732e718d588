package ledger_test

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
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
			concurrently(b, callers, func(n int) error {
				status := [...]string{"sent", "delivered", "read"}[n%3]
				_, err := l.Apply(b.Context(), ledgertest.Status(fmt.Sprintf("wamid.HBgLMzM2MTIzNDU2NzgVAgARGBI%08d", n/3), status, fmt.Sprintf("f1.run_%08d.1", n/3)))
				return err
			})
			b.ReportMetric(heap(), "MB")
		})
	}
}

// BenchmarkInbound stores messages of many people.
func BenchmarkInbound(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			l := openSQLite(b, filepath.Join(b.TempDir(), "ledger.db"), nil)
			concurrently(b, callers, func(n int) error {
				m := ledgertest.Message(fmt.Sprintf("wamid.HBgLMzM2MTIzNDU2NzgVAgARGBI%08d", n), "oui")
				m.WaID, m.UserID = fmt.Sprintf("336%08d", n%10_000), fmt.Sprintf("FR.%08d", n%10_000)
				_, err := l.Apply(b.Context(), m)
				return err
			})
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
					_, err = l.Told(b.Context(), ledgertest.Accepted(call, "wamid."+call))
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
		call := fmt.Sprintf("f1.run_%08d.1", n)
		_, err := l.Told(b.Context(), ledgertest.Accepted(call, "wamid."+call))
		require.NoError(b, err)
	}
}

// BenchmarkWindow is what each send costs that is no template, among ten thousand people.
func BenchmarkWindow(b *testing.B) {
	l := openSQLite(b, filepath.Join(b.TempDir(), "ledger.db"), nil)
	const people = 10_000
	for n := 0; n < people; n += 100 {
		var all []inbound.Notification
		for i := range 100 {
			m := ledgertest.Message(fmt.Sprint("wamid.", n+i), "oui")
			m.WaID, m.Timestamp = fmt.Sprintf("336%08d", n+i), time.Now()
			all = append(all, m)
		}
		_, err := l.Apply(b.Context(), all...)
		require.NoError(b, err)
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n += 7919
		w, err := l.Window(b.Context(), ledgertest.Sender, fmt.Sprintf("336%08d", n%people))
		require.NoError(b, err)
		require.Equal(b, whatsapp.WindowOpen, w.State)
	}
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
		require.NoError(b, l.Tell(b.Context(), ledgertest.Accepted(call, "wamid.HBgLMzM2MDAwMDAwMTAVAgARGBJ"+rand.Text()), nil))
	}
}
