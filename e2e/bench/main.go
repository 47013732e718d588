// Command bench measures the cost of a run of one step, which sends one message, in Facteur and
// in its alternatives. All processes run on this machine and send to the same simulator of the
// Cloud API. It prints a report in Markdown:
//
//	cd e2e && go run -mod=mod ./bench
//
// The variants send the same message, each in a process of its own:
//
//	a   a bare net/http loop                       the upper limit: nothing is stored
//	b   facteur, durable, in its own process       the daemon's host, with journal and ledger in synced files
//	b2  facteur serve, started through its API     the command itself; each run is stored before the API answers
//	c   facteur in memory                          the same host as b, with nothing stored
//	d   a Temporal workflow by hand                one activity, in Go, as the SDK's guides show it
//	d2  the same, with a queue for each sender     enforces each number's rate limit, as e and the local hosts do
//	e   facteur on Temporal                        the same flow as a workflow, with the ledger
//
// The simulator has no webhooks and no limits here; there are 200 sender numbers, 100 of them on
// Temporal, and each message has another recipient. b, c, d and e start runs and wait for their
// end in the process that executes them. In b2 the client is another process, which is not
// measured.
//
// The variants take turns, in rounds, because machines are noisy; the report shows medians of
// the rounds. On a busy machine processor time is more reliable than elapsed time: "by CPU"
// compares the processor time of all processes, the simulator included.
//
// Temporal stores its data in PostgreSQL where that is installed, otherwise in memory.
//
// A run takes ten minutes, "-at 64" four, "-temporal none" two, plus the first build of the
// Temporal server. Flags make it longer, and so steadier: see -help. It needs Linux.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 3, "how often each way has its turn")
	flag.DurationVar(&o.duration, "for", 2*time.Second, "how long a turn is")
	flag.DurationVar(&o.temporalDuration, "temporal-for", 8*time.Second, "how long a turn is on Temporal")
	flag.IntVar(&o.senders, "senders", 200, "how many sender numbers there are")
	flag.StringVar(&o.store, "temporal", "", "where the Temporal server keeps what it knows: postgres, memory, or none for no server (default postgres where it is installed, else memory)")
	concurrency := flag.String("at", "1,64,256", "how many runs are under way at the same time")
	flag.StringVar(&o.only, "only", "", "the ways to measure, e.g. a,b; all if it is empty. The first is what the others are compared with")
	flag.Parse()
	for part := range strings.SplitSeq(*concurrency, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 {
			fail(fmt.Errorf("-at: %q is no number of runs", part))
		}
		o.concurrencies = append(o.concurrencies, n)
	}
	if flag.NArg() > 0 || o.rounds < 1 || o.senders < 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		stop()
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(1)
}

type options struct {
	rounds, senders            int
	duration, temporalDuration time.Duration
	concurrencies              []int
	store, only                string
}
