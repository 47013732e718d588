package main

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report prints the measurements in Markdown.
func (b *bench) report(w io.Writer) {
	fmt.Fprintf(w, "Runs of one step, which sends one message, on %d processors; %d sender numbers, medians of %d rounds of %v (%v on Temporal).\n\n",
		runtime.NumCPU(), b.senders, b.rounds, b.duration, b.temporalDuration)
	fmt.Fprintf(w, "| | | at once | runs a second | of the first | of it, by CPU | p50 | p99 | CPU µs a run | + servers | + simulator |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, one := range b.variants {
		for _, concurrency := range b.concurrencies {
			server := "–"
			if one.onTemporal {
				server = micros(one.median(concurrency, func(t sample) float64 { return float64(t.server) }))
			}
			fmt.Fprintf(w, "| %s | %s | %d | %s | %s | %s | %s | %s | %s | %s | %s |\n", one.name, one.what, concurrency,
				formatRate(one.median(concurrency, func(t sample) float64 { return t.Rate })), b.ratio(one, concurrency, func(mine, first sample) float64 { return mine.Rate / first.Rate }),
				b.ratio(one, concurrency, func(mine, first sample) float64 { return float64(first.totalCPU()) / float64(mine.totalCPU()) }),
				formatNanos(one.median(concurrency, func(t sample) float64 { return float64(t.P50) })), formatNanos(one.median(concurrency, func(t sample) float64 { return float64(t.P99) })),
				micros(one.median(concurrency, func(t sample) float64 { return float64(t.own) })), server,
				micros(one.median(concurrency, func(t sample) float64 { return float64(t.simulator) })))
		}
	}
	fmt.Fprintf(w, "\n| | | ready after | memory, idle | memory, after so many runs |\n| --- | --- | ---: | ---: | ---: |\n")
	for _, one := range b.variants {
		fmt.Fprintf(w, "| %s | %s | %v | %s | %s after %d |\n", one.name, one.what, one.startup.Round(time.Millisecond), megabytes(one.idle), megabytes(one.busy), one.runs)
	}
	b.reportServer(w)
}

// ratio returns the median ratio of a variant to the first one, compared round by round.
func (b *bench) ratio(one *variant, concurrency int, of func(mine, first sample) float64) string {
	var all []float64
	for n, t := range one.samples[concurrency] {
		all = append(all, of(t, b.variants[0].samples[concurrency][n]))
	}
	if m := median(all); m < 0.1 {
		return fmt.Sprintf("%.4f", m)
	}
	return fmt.Sprintf("%.2f", median(all))
}

func formatRate(f float64) string {
	if f < 100 {
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.0f", f)
}

func micros(f float64) string { return fmt.Sprintf("%.0f", f/1000) }

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/(1<<20)) }

func formatNanos(nanos float64) string {
	d := time.Duration(nanos)
	switch {
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// reportServer prints what is stored of a run, and the size of the Temporal server.
func (b *bench) reportServer(w io.Writer) {
	for _, one := range b.variants {
		var kept []string
		if one.stored.Events > 0 {
			kept = append(kept, fmt.Sprintf("%.0f events of history, %.0f bytes by the server's count", one.stored.Events, one.stored.HistoryBytes))
		}
		if one.writes > 0 {
			kept = append(kept, fmt.Sprintf("%.1f writes of its history shard", float64(one.writes)/float64(max(one.runs, 1))))
		}
		for _, name := range slices.Sorted(maps.Keys(one.growth)) {
			if per := float64(one.growth[name]) / float64(max(one.runs, 1)); per >= 1 {
				kept = append(kept, fmt.Sprintf("%s %.0f bytes", name, per))
			}
		}
		if len(kept) > 0 {
			fmt.Fprintf(w, "\nOf each run of %s there stay: %s.\n", one.name, strings.Join(kept, "; "))
		}
		if one.unknown > 0 {
			fmt.Fprintf(w, "\nOf the %d runs of %s there are %d of which nobody knows whether they sent; in truth %d did not.\n", one.runs, one.name, one.unknown, one.unsent)
		}
	}
	for _, f := range b.facts {
		fmt.Fprintf(w, "\n%s. It was ready after %v, and has %s in memory in the end, PostgreSQL %s.\n", f, b.server.Startup.Round(time.Millisecond), megabytes(b.memory), megabytes(b.database))
	}
}
