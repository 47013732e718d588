package child

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A LoadResult is the result of a load.
type LoadResult struct {
	Runs    int           `json:"runs,omitempty"`
	Unknown int           `json:"unknown,omitempty"` // runs with an unknown outcome
	Took    time.Duration `json:"took,omitempty"`    // from the first start to the last end
	Rate    float64       `json:"rate,omitempty"`    // completed runs per second; see RunLoad
	P50     time.Duration `json:"p50,omitempty"`
	P99     time.Duration `json:"p99,omitempty"`
}

// ErrUnknown is the error of a run whose outcome is unknown.
var ErrUnknown = errors.New("what became of the message is not known")

// RunLoad calls do from o.Concurrency goroutines until o.Duration has passed, and waits for the
// calls in progress. The calls are numbered from first on. It stops at the first error.
//
// The rate counts the calls that ended in the last two thirds of that time, when the load is
// steady.
func RunLoad(o Request, first int, do func(n int) error) (LoadResult, error) {
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
	for range o.Concurrency {
		all.Go(func() {
			var mine []done
			for failed.Load() == nil {
				start := time.Since(began)
				if start >= o.Duration {
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
	l := LoadResult{Runs: len(runs), Unknown: int(unknown.Load()), Took: time.Since(began)}
	if err := failed.Load(); err != nil {
		return l, *err
	}
	if len(runs) == 0 {
		return l, nil
	}
	counted := 0
	for _, r := range runs {
		if r.at > o.Duration/3 && r.at <= o.Duration {
			counted++
		}
	}
	l.Rate = float64(counted) / (o.Duration - o.Duration/3).Seconds()
	slices.SortFunc(runs, func(a, b done) int { return cmp.Compare(a.took, b.took) })
	l.P50, l.P99 = runs[len(runs)/2].took, runs[len(runs)*99/100].took
	return l, nil
}
