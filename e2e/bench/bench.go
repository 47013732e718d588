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

// A bench is the processes that are measured, and what was measured so far.
type bench struct {
	options
	dir       string // for what is built and stored
	setup     child.Setup
	processes []*child.Process
	simulator *child.Process
	server    *child.Process // Temporal; nil: none
	daemon    *daemon
	ways      []*way
	facts     []string
	memory    int64 // of the Temporal server, in bytes …
	database  int64 // … and of its database
}

// A way is one of those to send a message.
type way struct {
	name, what string
	slow       bool // on Temporal
	load       *child.Process
	counts     int // the process whose costs count: load, or the daemon
	startup    time.Duration
	idle, busy int64 // memory, in bytes, before any run and after all of them
	runs       int
	unknown    int              // of the runs …
	unsent     int              // … and those of these that sent nothing, which the simulator alone knows
	turns      map[int][]turn   // by how many at once
	grew       map[string]int64 // files and databases, in bytes, by name
	writes     int64            // of history shards
	kept       child.Sizes      // what the Temporal server says of one run
}

// A turn is one measurement. What it cost is per run.
type turn struct {
	child.Load
	own, server, simulator time.Duration
}

// all is the processor time of all that a run needs.
func (t turn) all() time.Duration { return t.own + t.server + t.simulator }

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "facteur-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir}
	defer b.close()
	defer context.AfterFunc(ctx, func() { // what is under way need not end
		b.close()
		os.RemoveAll(dir)
		os.Exit(1)
	})()
	for _, step := range []func() error{b.build, b.begin, b.warm, b.measure, b.look} {
		if err := step(); err != nil {
			return err
		}
	}
	b.report(os.Stdout)
	return nil
}

// start starts a child with a folder of its own.
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

// begin starts all processes.
func (b *bench) begin() (err error) {
	say("starting")
	if b.simulator, err = b.start("subject", "simulator"); err != nil {
		return err
	}
	b.setup.API = b.simulator.Address
	ways := []struct{ name, as, what string }{
		{"a", "bare", "a bare net/http loop"},
		{"b", "durable", "facteur, durable"},
		{"b2", "stored", "`facteur serve` through its API, answered once the run is stored"},
		{"b2", "ended", "the same, answered once the run has ended"},
		{"c", "memory", "facteur in memory"},
		{"d", "hand", "a Temporal workflow by hand"},
		{"d2", "limited", "the same, with a task queue for each sender, which keeps its rate"},
		{"e", "temporal", "facteur on Temporal, which keeps the rate of each sender"},
	}
	for n, w := range ways {
		one := &way{name: w.name, what: w.what, slow: slices.Contains([]string{"d", "d2", "e"}, w.name), turns: map[int][]turn{}, grew: map[string]int64{}}
		if b.only != "" && !slices.Contains(strings.Split(b.only, ","), w.name) || one.slow && b.store == "none" {
			continue
		}
		b.setup.Prefix = []int{0, 1, 2, 4, 5, 6, 7, 8}[n]
		switch {
		case one.slow && b.server == nil:
			err = b.beginTemporal()
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
		one.counts, one.startup = one.load.PID, one.load.Startup
		if w.name == "b2" {
			one.counts, one.startup = b.daemon.PID(), b.daemon.startup
		}
		if one.idle, err = child.Memory(one.counts); err != nil {
			return err
		}
		b.ways = append(b.ways, one)
	}
	if len(b.ways) == 0 {
		return errors.New("-only names no way: they are a, b, b2, c, d, d2, e")
	}
	return nil
}

// sendersOf are the numbers that a way sends from: on Temporal no more than a hundred.
func (b *bench) sendersOf(w *way) (ids []string) {
	count := b.senders
	if w.slow {
		count = min(count, 100)
	}
	for n := range count {
		ids = append(ids, fmt.Sprintf("1065403522%05d", n))
	}
	return ids
}

func (b *bench) beginTemporal() (err error) {
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

// warm lets each way send once through each sender, and more: what is made once is made then.
func (b *bench) warm() error {
	say("warming up")
	for _, w := range b.ways {
		o := child.Order{At: min(64, b.senders), For: time.Second}
		if w.slow {
			o = child.Order{At: 8, For: b.long}
		}
		for sent := 0; sent < len(b.sendersOf(w)); {
			answer, err := w.load.Order(o)
			if err != nil {
				return fmt.Errorf("%s: %w", w.what, err)
			}
			sent += answer.Runs
		}
	}
	return nil
}

// measure lets the ways take turns, those on Temporal apart: its server is busy for a while
// after it has answered.
func (b *bench) measure() error {
	for _, slow := range []bool{false, true} {
		var group []*way
		for _, w := range b.ways {
			if w.slow == slow {
				group = append(group, w)
			}
		}
		for round := range b.rounds * min(len(group), 1) {
			say(fmt.Sprintf("round %d of %d%s", round+1, b.rounds, map[bool]string{true: ", on Temporal"}[slow]))
			for _, at := range b.at {
				for n := range group {
					if err := b.take(group[(n+round)%len(group)], at); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// take gives a way its turn.
func (b *bench) take(w *way, at int) error {
	o := child.Order{At: at, For: b.turn}
	if w.slow {
		o.For = b.long
	}
	before, err := b.used(w)
	if err != nil {
		return err
	}
	answer, err := w.load.Order(o)
	if err != nil {
		return fmt.Errorf("%s, %d at once: %w", w.what, at, err)
	}
	after, err := b.used(w)
	if err != nil {
		return err
	}
	sent := after.accepted - before.accepted
	if sent > answer.Runs || sent < answer.Runs-answer.Unknown {
		return fmt.Errorf("%s, %d at once: %d runs, but the simulator accepted %d messages", w.what, at, answer.Runs, sent)
	}
	for name, size := range after.files {
		w.grew[name] += size - before.files[name]
	}
	w.writes += after.writes - before.writes
	n := time.Duration(max(answer.Runs, 1))
	w.runs += answer.Runs
	w.unknown += answer.Unknown
	w.unsent += answer.Runs - sent
	w.turns[at] = append(w.turns[at], turn{answer.Load, (after.own - before.own) / n, (after.server - before.server) / n, (after.simulator - before.simulator) / n})
	return nil
}

// A use is what was used up to a moment.
type use struct {
	own, server, simulator time.Duration
	accepted               int              // messages
	files                  map[string]int64 // how large they are
	writes                 int64
}

func (b *bench) used(w *way) (u use, err error) {
	var problems [5]error
	var state, stores child.Answer
	u.own, problems[0] = child.CPU(w.counts)
	u.simulator, problems[1] = child.CPU(b.simulator.PID)
	state, problems[2] = b.simulator.Order(child.Order{})
	u.accepted = state.Runs
	if w.slow {
		u.server, problems[3] = child.CPU(b.server.PID)
		stores, problems[4] = b.server.Order(child.Order{})
		u.server += stores.CPU
	} else {
		stores, problems[4] = w.load.Order(child.Order{})
	}
	u.files, u.writes = stores.Sizes.Files, stores.Sizes.Writes
	return u, errors.Join(problems[:]...)
}

// look sees how large the processes are now, and what is kept of a run.
func (b *bench) look() (err error) {
	for _, w := range b.ways {
		if w.busy, err = child.Memory(w.counts); err != nil {
			return err
		}
		if !w.slow {
			continue
		}
		answer, err := w.load.Order(child.Order{})
		if err != nil {
			return err
		}
		w.kept = answer.Sizes
	}
	if b.server != nil {
		answer, err := b.server.Order(child.Order{})
		if err != nil {
			return err
		}
		b.database = answer.Memory
		b.memory, err = child.Memory(b.server.PID)
		return err
	}
	return nil
}

// middle is the median of what the turns of a way say.
func (w *way) middle(at int, of func(turn) float64) float64 {
	var all []float64
	for _, t := range w.turns[at] {
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
