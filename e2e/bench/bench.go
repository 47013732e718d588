package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"facteur/e2e/bench/child"
)

// A bench is the measured processes, and the measurements so far.
type bench struct {
	options
	dir       string // for the built programs and the processes' folders
	setup     child.Setup
	processes []*child.Process
	simulator *child.Process
	server    *child.Process // Temporal; nil: none
	daemon    *daemon
	variants  []*variant
	facts     []string
	memory    int64 // of the Temporal server, in bytes …
	database  int64 // … and of its database
}

// A variant is one of the ways to send a message.
type variant struct {
	name, what string
	onTemporal bool // on Temporal
	load       *child.Process
	pid        int // the process whose costs are measured: load, or the daemon
	startup    time.Duration
	idle, busy int64 // memory, in bytes, before any run and after all of them
	runs       int
	unknown    int              // of the runs …
	unsent     int              // … and how many of these sent nothing, as the simulator counts
	samples    map[int][]sample // by concurrency
	growth     map[string]int64 // bytes added to files and databases, by name
	writes     int64            // of history shards
	stored     child.Sizes      // what the Temporal server stores of one run
}

// A sample is one measurement. Processor times are per run.
type sample struct {
	child.LoadResult
	own, server, simulator time.Duration
}

// totalCPU is the processor time of all processes that take part in a run.
func (t sample) totalCPU() time.Duration { return t.own + t.server + t.simulator }

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "facteur-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir}
	defer b.close()
	defer context.AfterFunc(ctx, func() { // an interrupt does not wait for runs in progress
		b.close()
		os.RemoveAll(dir)
		os.Exit(1)
	})()
	for _, step := range []func() error{b.build, b.startAll, b.warmUp, b.measure, b.collectSizes} {
		if err := step(); err != nil {
			return err
		}
	}
	b.report(os.Stdout)
	return nil
}

// start starts a child process with a folder of its own.
func (b *bench) start(program, as string) (*child.Process, error) {
	s := b.setup
	s.As, s.Dir = as, filepath.Join(b.dir, as)
	if err := os.Mkdir(s.Dir, 0o700); err != nil {
		return nil, err
	}
	p, err := child.Start(filepath.Join(b.dir, program), s)
	if err != nil {
		return nil, err
	}
	b.processes = append(b.processes, p)
	return p, nil
}

func (b *bench) close() {
	for _, p := range slices.Backward(b.processes) {
		_ = p.Stop()
	}
	b.processes = nil
	if b.daemon != nil {
		b.daemon.stop()
		b.daemon = nil
	}
}

// startAll starts all processes.
func (b *bench) startAll() (err error) {
	say("starting")
	if b.simulator, err = b.start("subject", "simulator"); err != nil {
		return err
	}
	b.setup.API = b.simulator.Address
	ways := []struct {
		name, as   string
		prefix     int
		onTemporal bool
		what       string
	}{
		{"a", "bare", 0, false, "a bare net/http loop"},
		{"b", "durable", 1, false, "facteur, durable"},
		{"b2", "stored", 2, false, "`facteur serve` through its API, answered once the run is stored"},
		{"b2", "ended", 4, false, "the same, answered once the run has ended"},
		{"c", "memory", 5, false, "facteur in memory"},
		{"d", "hand", 6, true, "a Temporal workflow by hand"},
		{"d2", "limited", 7, true, "the same, with a task queue for each sender, which keeps its rate"},
		{"e", "temporal", 8, true, "facteur on Temporal, which keeps the rate of each sender"},
	}
	for _, w := range ways {
		if b.only != "" && !slices.Contains(strings.Split(b.only, ","), w.name) || w.onTemporal && b.store == "none" {
			continue
		}
		one := &variant{name: w.name, what: w.what, onTemporal: w.onTemporal, samples: map[int][]sample{}, growth: map[string]int64{}}
		b.setup.Prefix = w.prefix
		switch {
		case one.onTemporal && b.server == nil:
			err = b.startTemporal()
		case w.name == "b2" && b.daemon == nil:
			b.daemon, err = startDaemon(b.dir, b.setup.API)
		}
		if err != nil {
			return err
		}
		if b.daemon != nil {
			b.setup.Daemon = b.daemon.url
		}
		b.setup.Senders = b.sendersOf(one)
		if one.load, err = b.start("subject", w.as); err != nil {
			return err
		}
		one.pid, one.startup = one.load.PID, one.load.Startup
		if w.name == "b2" {
			one.pid, one.startup = b.daemon.PID(), b.daemon.startup
		}
		if one.idle, err = child.Memory(one.pid); err != nil {
			return err
		}
		b.variants = append(b.variants, one)
	}
	if len(b.variants) == 0 {
		return errors.New("-only names no way: they are a, b, b2, c, d, d2, e")
	}
	return nil
}

// sendersOf returns the numbers that a variant sends from: on Temporal at most a hundred.
func (b *bench) sendersOf(w *variant) (ids []string) {
	count := b.senders
	if w.onTemporal {
		count = min(count, 100)
	}
	for n := range count {
		ids = append(ids, fmt.Sprintf("1065403522%05d", n))
	}
	return ids
}

func (b *bench) startTemporal() (err error) {
	if b.server, err = b.start("server", "temporal over "+b.store); err != nil {
		return err
	}
	b.setup.Temporal = b.server.Address
	for _, fact := range b.server.Facts {
		if address, ok := strings.CutPrefix(fact, "ledger "); ok {
			b.setup.Postgres = address
			continue
		}
		b.facts = append(b.facts, fact)
	}
	return nil
}

// warmUp lets each variant send at least once from each sender, so that one-time costs are not
// measured.
func (b *bench) warmUp() error {
	say("warming up")
	for _, w := range b.variants {
		o := child.Request{Concurrency: min(64, b.senders), Duration: time.Second}
		if w.onTemporal {
			o = child.Request{Concurrency: 8, Duration: b.temporalDuration}
		}
		for sent := 0; sent < len(b.sendersOf(w)); {
			answer, err := w.load.Send(o)
			if err != nil {
				return fmt.Errorf("%s: %w", w.what, err)
			}
			sent += answer.Runs
		}
	}
	return nil
}

// measure runs the variants in turns, those on Temporal separately: its server is busy for a
// while after it has answered.
func (b *bench) measure() error {
	for _, slow := range []bool{false, true} {
		var group []*variant
		for _, w := range b.variants {
			if w.onTemporal == slow {
				group = append(group, w)
			}
		}
		for round := range b.rounds * min(len(group), 1) {
			say(fmt.Sprintf("round %d of %d%s", round+1, b.rounds, map[bool]string{true: ", on Temporal"}[slow]))
			for _, concurrency := range b.concurrencies {
				for n := range group {
					if err := b.runSample(group[(n+round)%len(group)], concurrency); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// runSample measures a variant once.
func (b *bench) runSample(w *variant, concurrency int) error {
	o := child.Request{Concurrency: concurrency, Duration: b.duration}
	if w.onTemporal {
		o.Duration = b.temporalDuration
	}
	before, err := b.usage(w)
	if err != nil {
		return err
	}
	answer, err := w.load.Send(o)
	if err != nil {
		return fmt.Errorf("%s, %d at once: %w", w.what, concurrency, err)
	}
	after, err := b.usage(w)
	if err != nil {
		return err
	}
	sent := after.accepted - before.accepted
	if sent > answer.Runs || sent < answer.Runs-answer.Unknown {
		return fmt.Errorf("%s, %d at once: %d runs, but the simulator accepted %d messages", w.what, concurrency, answer.Runs, sent)
	}
	for name, size := range after.files {
		w.growth[name] += size - before.files[name]
	}
	w.writes += after.writes - before.writes
	n := time.Duration(max(answer.Runs, 1))
	w.runs += answer.Runs
	w.unknown += answer.Unknown
	w.unsent += answer.Runs - sent
	w.samples[concurrency] = append(w.samples[concurrency], sample{answer.LoadResult, (after.own - before.own) / n, (after.server - before.server) / n, (after.simulator - before.simulator) / n})
	return nil
}

// A usage holds the cumulative counters at one moment.
type usage struct {
	own, server, simulator time.Duration
	accepted               int              // messages
	files                  map[string]int64 // sizes in bytes
	writes                 int64
}

func (b *bench) usage(w *variant) (u usage, err error) {
	var problems [5]error
	var state, stores child.Response
	u.own, problems[0] = child.CPU(w.pid)
	u.simulator, problems[1] = child.CPU(b.simulator.PID)
	state, problems[2] = b.simulator.Send(child.Request{})
	u.accepted = state.Runs
	if w.onTemporal {
		u.server, problems[3] = child.CPU(b.server.PID)
		stores, problems[4] = b.server.Send(child.Request{})
		u.server += stores.CPU
	} else {
		stores, problems[4] = w.load.Send(child.Request{})
	}
	u.files, u.writes = stores.Sizes.Files, stores.Sizes.Writes
	return u, errors.Join(problems[:]...)
}

// collectSizes reads the processes' memory at the end, and what is stored of a run.
func (b *bench) collectSizes() (err error) {
	for _, w := range b.variants {
		if w.busy, err = child.Memory(w.pid); err != nil {
			return err
		}
		if !w.onTemporal {
			continue
		}
		answer, err := w.load.Send(child.Request{})
		if err != nil {
			return err
		}
		w.stored = answer.Sizes
	}
	if b.server != nil {
		answer, err := b.server.Send(child.Request{})
		if err != nil {
			return err
		}
		b.database = answer.Memory
		b.memory, err = child.Memory(b.server.PID)
		return err
	}
	return nil
}

// median returns the median of a value over the samples of a variant.
func (w *variant) median(concurrency int, of func(sample) float64) float64 {
	var all []float64
	for _, t := range w.samples[concurrency] {
		all = append(all, of(t))
	}
	return median(all)
}

func median(all []float64) float64 {
	slices.SortFunc(all, cmp.Compare)
	n := len(all)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return all[n/2]
	}
	return (all[n/2-1] + all[n/2]) / 2
}

func say(what string) { fmt.Fprintln(os.Stderr, what) }
