// Package benchtest is for benchmarks of what many do at the same time. It tells how many a
// second are done, how long one takes, what it costs the processor, and how that compares
// with something else on the same machine, which others may use, too.
package benchtest

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// A Work is what is measured.
type Work struct {
	// Do does it once. n is a number that the others of the same measuring do not get, from 0.
	Do func(n int) error
	// First is called before all of them, Last after them: the work is over when it returns.
	// nil: nothing is called.
	First, Last func()
}

// Measure does the work b.N times, so many at the same time, and reports how many a second,
// how long the one in the middle and the slowest of a hundred took, and what each cost the
// processor.
func (w Work) Measure(b *testing.B, beside int) (rate float64) {
	b.Helper()
	b.ReportAllocs()
	before := Processor()
	b.ResetTimer()
	took, all := w.together(b, beside)
	b.StopTimer()
	slices.Sort(took)
	rate = float64(b.N) / all.Seconds()
	b.ReportMetric(rate, "a-second")
	b.ReportMetric(float64((Processor()-before).Nanoseconds())/float64(b.N)/1000, "cpu-µs")
	b.ReportMetric(float64(took[b.N/2].Microseconds())/1000, "median-ms")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
	return rate
}

// Compare measures the work, and another one before and after it, since a machine that
// others use does not keep its speed for long. It reports the ratio of their rates under
// the name.
func (w Work) Compare(b *testing.B, beside int, other Work, name string) {
	b.Helper()
	_, before := other.together(b, beside)
	rate := w.Measure(b, beside)
	time.Sleep(100 * time.Millisecond) // what is written late is not the other's
	_, after := other.together(b, beside)
	b.ReportMetric(rate*(before+after).Seconds()/float64(2*b.N), name)
}

// together does the work b.N times, and tells how long each took, and all.
func (w Work) together(b *testing.B, beside int) (took []time.Duration, all time.Duration) {
	b.Helper()
	todo := make(chan int, beside)
	took = make([]time.Duration, b.N)
	if w.First != nil {
		w.First()
	}
	var workers sync.WaitGroup
	start := time.Now()
	for range beside {
		workers.Go(func() {
			for n := range todo {
				began := time.Now()
				if err := w.Do(n); err != nil {
					b.Error(err)
				}
				took[n] = time.Since(began)
			}
		})
	}
	for n := range b.N {
		todo <- n
	}
	close(todo)
	workers.Wait()
	if w.Last != nil {
		w.Last()
	}
	return took, time.Since(start)
}
