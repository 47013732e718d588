package postgres_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"
	"facteur/actions/whatsapp/ledger/ledgertest"
	"facteur/e2e/postgres"
)

// runParallel calls one for each n below b.N, on several goroutines and several ledgers over
// one database.
func runParallel(b *testing.B, one func(l ledger.Ledger, n int) error) {
	s := postgres.Start(b)
	for _, load := range []struct{ daemons, callers int }{{1, 1}, {1, 16}, {1, 64}, {3, 192}} {
		b.Run(fmt.Sprintf("daemons=%d/callers=%d", load.daemons, load.callers), func(b *testing.B) {
			address := s.Database(b)
			var all []ledger.Ledger
			for range load.daemons {
				all = append(all, open(b, address, nil))
			}
			var next atomic.Int64
			before := s.CPU()
			b.ReportAllocs()
			b.ResetTimer()
			var work sync.WaitGroup
			for caller := range load.callers {
				l := all[caller%len(all)]
				work.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						if err := one(l, int(n)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			work.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
			b.ReportMetric(float64((s.CPU()-before).Microseconds())/float64(b.N), "server-µs/op")
		})
	}
}

// BenchmarkApply stores statuses, one in each webhook, each durable before it is answered.
func BenchmarkApply(b *testing.B) {
	runParallel(b, func(l ledger.Ledger, n int) error { return ledgertest.StoreStatus(b.Context(), l, n) })
}

// BenchmarkApplyNamed stores statuses of people with two ids.
func BenchmarkApplyNamed(b *testing.B) {
	runParallel(b, func(l ledger.Ledger, n int) error {
		status := ledgertest.Status(fmt.Sprintf("wamid.HBgLMzM2MTIzNDU2NzgVAgARGBI%08d", n/3), [...]string{"sent", "delivered", "read"}[n%3], fmt.Sprintf("f1.run_%08d.1", n/3))
		status.WaID, status.UserID = fmt.Sprintf("336%08d", n/3%10_000), fmt.Sprintf("FR.%08d", n/3%10_000)
		_, err := l.Apply(b.Context(), status)
		return err
	})
}

// BenchmarkInbound stores messages of many people.
func BenchmarkInbound(b *testing.B) {
	runParallel(b, func(l ledger.Ledger, n int) error { return ledgertest.StoreMessage(b.Context(), l, n) })
}

// BenchmarkApplyMany stores a hundred statuses in each webhook.
func BenchmarkApplyMany(b *testing.B) {
	runParallel(b, func(l ledger.Ledger, n int) error {
		var all []inbound.Notification
		for i := range 100 {
			all = append(all, ledgertest.Status(fmt.Sprintf("wamid.HBgLMzM2MTIzNDU2NzgVAgARGBI%08d.%d", n, i), "sent", fmt.Sprintf("f1.run_%08d.%d", n, i)))
		}
		_, err := l.Apply(b.Context(), all...)
		return err
	})
}

// BenchmarkOnce claims a key and records the answer.
func BenchmarkOnce(b *testing.B) {
	runParallel(b, func(l ledger.Ledger, n int) error {
		call := fmt.Sprintf("f1.run_%08d.1", n)
		claim := ledgertest.Claim(call, call)
		claim.Recipient = fmt.Sprintf("336%08d", n%10_000)
		_, err := l.Claim(b.Context(), claim)
		if err == nil {
			_, err = l.RecordAnswer(b.Context(), ledgertest.Accepted(call, "wamid."+call))
		}
		return err
	})
}

// BenchmarkRecordAnswer is the cost of each accepted send.
func BenchmarkRecordAnswer(b *testing.B) {
	runParallel(b, func(l ledger.Ledger, n int) error { return ledgertest.RecordAccepted(b.Context(), l, n) })
}

// BenchmarkWindow is the cost of each send that is no template, among ten thousand contacts.
func BenchmarkWindow(b *testing.B) {
	ledgertest.LookAtWindows(b, open(b, postgres.Start(b).URL("postgres"), nil))
}
