package child

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Load is what was done in answer to an order.
type Load struct {
	Runs    int           `json:"runs,omitempty"`
	Unknown int           `json:"unknown,omitempty"` // those of them of which nobody knows whether they sent
	Took    time.Duration `json:"took,omitempty"`    // from the first start to the last end
	Rate    float64       `json:"rate,omitempty"`    // how many ended a second; see Carry
	P50     time.Duration `json:"p50,omitempty"`
	P99     time.Duration `json:"p99,omitempty"`
}

// ErrUnknown tells of a run of which nobody knows whether it sent its message.
var ErrUnknown = errors.New("what became of the message is not known")

// Carry does something again and again, o.At at once, until o.For has passed, and lets what
// is under way then end. It gives each a number, from first on. It stops at the first error.
//
// The rate counts what ended in the last two thirds of that time: by then as much is under
// way as there is to be, and it still is.
func Carry(o Order, first int, do func(n int) error) (Load, error) {
	type done struct{ at, took time.Duration }
	var (
		next    atomic.Int64
		failed  atomic.Pointer[error]
		unknown atomic.Int64
		mu      sync.Mutex
		runs    []done
		all     sync.WaitGroup
	)
	next.Store(int64(first))
	began := time.Now()
	for range o.At {
		all.Go(func() {
			var mine []done
			for failed.Load() == nil {
				start := time.Since(began)
				if start >= o.For {
					break
				}
				err := do(int(next.Add(1) - 1))
				if errors.Is(err, ErrUnknown) {
					unknown.Add(1)
				} else if err != nil {
					failed.CompareAndSwap(nil, &err)
					break
				}
				end := time.Since(began)
				mine = append(mine, done{end, end - start})
			}
			mu.Lock()
			defer mu.Unlock()
			runs = append(runs, mine...)
		})
	}
	all.Wait()
	l := Load{Runs: len(runs), Unknown: int(unknown.Load()), Took: time.Since(began)}
	if err := failed.Load(); err != nil {
		return l, *err
	}
	if len(runs) == 0 {
		return l, nil
	}
	counted := 0
	for _, r := range runs {
		if r.at > o.For/3 && r.at <= o.For {
			counted++
		}
	}
	l.Rate = float64(counted) / (o.For - o.For/3).Seconds()
	slices.SortFunc(runs, func(a, b done) int { return cmp.Compare(a.took, b.took) })
	l.P50, l.P99 = runs[len(runs)/2].took, runs[len(runs)*99/100].took
	return l, nil
}
