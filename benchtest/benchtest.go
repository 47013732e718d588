// Package benchtest measures concurrent work in benchmarks: its rate, latencies and CPU time,
// and how it compares with other work on the same machine, which may be busy.
package benchtest

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// A Workload is an operation to measure.
type Workload struct {
	// Do does it once. n counts the calls of one measurement, from 0.
	Do func(n int) error
	// Before is called before the first Do. After is called after the last one: the work is done
	// when it returns. nil: not called.
	Before, After func()
}

// Measure calls Do b.N times from so many goroutines. It reports the rate, the median and 99th
// percentile of the latency, and the CPU time per call, and returns the rate.
func (w Workload) Measure(b *testing.B, concurrency int) (rate float64) {
	b.Helper()
	b.ReportAllocs()
	before := CPUTime()
	b.ResetTimer()
	took, all := w.run(b, concurrency)
	b.StopTimer()
	slices.Sort(took)
	rate = float64(b.N) / all.Seconds()
	b.ReportMetric(rate, "a-second")
	b.ReportMetric(float64((CPUTime()-before).Nanoseconds())/float64(b.N)/1000, "cpu-µs")
	b.ReportMetric(float64(took[b.N/2].Microseconds())/1000, "median-ms")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
	return rate
}

// Compare is Measure, with other measured before and after it, because a shared machine does not
// keep its speed for long. It also reports the ratio of the two rates, under name.
func (w Workload) Compare(b *testing.B, concurrency int, other Workload, name string) {
	b.Helper()
	_, before := other.run(b, concurrency)
	rate := w.Measure(b, concurrency)
	time.Sleep(100 * time.Millisecond) // for delayed writes of w, which must not count for other
	_, after := other.run(b, concurrency)
	b.ReportMetric(rate*(before+after).Seconds()/float64(2*b.N), name)
}

// run calls Do b.N times, and returns how long each call took, and all of them.
func (w Workload) run(b *testing.B, concurrency int) (took []time.Duration, all time.Duration) {
	b.Helper()
	todo := make(chan int, concurrency)
	took = make([]time.Duration, b.N)
	if w.Before != nil {
		w.Before()
	}
	var workers sync.WaitGroup
	start := time.Now()
	for range concurrency {
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
	if w.After != nil {
		w.After()
	}
	return took, time.Since(start)
}
