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

// report prints what was measured, in Markdown.
func (b *bench) report(w io.Writer) {
	fmt.Fprintf(w, "Runs of one step, which sends one message, on %d processors; %d sender numbers, medians of %d rounds of %v (%v on Temporal).\n\n",
		runtime.NumCPU(), b.senders, b.rounds, b.turn, b.long)
	fmt.Fprintf(w, "| | | at once | runs a second | of the first | of it, by CPU | p50 | p99 | CPU µs a run | + servers | + simulator |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, one := range b.ways {
		for _, at := range b.at {
			server := "–"
			if one.slow {
				server = micros(one.middle(at, func(t turn) float64 { return float64(t.server) }))
			}
			fmt.Fprintf(w, "| %s | %s | %d | %s | %s | %s | %s | %s | %s | %s | %s |\n", one.name, one.what, at,
				number(one.middle(at, func(t turn) float64 { return t.Rate })), b.ratio(one, at, func(mine, first turn) float64 { return mine.Rate / first.Rate }),
				b.ratio(one, at, func(mine, first turn) float64 { return float64(first.all()) / float64(mine.all()) }),
				shown(one.middle(at, func(t turn) float64 { return float64(t.P50) })), shown(one.middle(at, func(t turn) float64 { return float64(t.P99) })),
				micros(one.middle(at, func(t turn) float64 { return float64(t.own) })), server,
				micros(one.middle(at, func(t turn) float64 { return float64(t.simulator) })))
		}
	}
	fmt.Fprintf(w, "\n| | | ready after | memory, idle | memory, after so many runs |\n| --- | --- | ---: | ---: | ---: |\n")
	for _, one := range b.ways {
		fmt.Fprintf(w, "| %s | %s | %v | %s | %s after %d |\n", one.name, one.what, one.startup.Round(time.Millisecond), megabytes(one.idle), megabytes(one.busy), one.runs)
	}
	b.reportServer(w)
}

// ratio compares a way with the first, round by round.
func (b *bench) ratio(one *way, at int, of func(mine, first turn) float64) string {
	var all []float64
	for n, t := range one.turns[at] {
		all = append(all, of(t, b.ways[0].turns[at][n]))
	}
	if m := median(all); m < 0.1 {
		return fmt.Sprintf("%.4f", m)
	}
	return fmt.Sprintf("%.2f", median(all))
}

func number(f float64) string {
	if f < 100 {
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.0f", f)
}

func micros(f float64) string { return fmt.Sprintf("%.0f", f/1000) }

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/(1<<20)) }

func shown(nanos float64) string {
	d := time.Duration(nanos)
	switch {
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// reportServer tells what stays of a run, and of the Temporal server.
func (b *bench) reportServer(w io.Writer) {
	for _, one := range b.ways {
		var kept []string
		if one.kept.Events > 0 {
			kept = append(kept, fmt.Sprintf("%.0f events of history, %.0f bytes by the server's count", one.kept.Events, one.kept.HistoryBytes))
		}
		if one.writes > 0 {
			kept = append(kept, fmt.Sprintf("%.1f writes of its history shard", float64(one.writes)/float64(max(one.runs, 1))))
		}
		for _, name := range slices.Sorted(maps.Keys(one.grew)) {
			if per := float64(one.grew[name]) / float64(max(one.runs, 1)); per >= 1 {
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
