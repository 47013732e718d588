// Command bench measures what a run of one step costs, one that sends one message, in Facteur
// and in what people would write instead. All of it is on this machine, in one go, and sends
// to the same simulator of the Cloud API. What it prints is a report in Markdown:
//
//	cd e2e && go run -mod=mod ./bench
//
// Ways to send the same message, each in a process of its own:
//
//	a   a bare net/http loop                       the limit: nothing is kept of what was sent
//	b   facteur, durable, in its own process       the host of the daemon, journal and ledger in files that are synced
//	b2  facteur serve, started through its API     the command itself; each run is stored before the API answers
//	c   facteur in memory                          the same host as b over nothing that lasts
//	d   a Temporal workflow by hand                one activity, in Go, as the SDK's guides show it
//	d2  the same, with a queue for each sender     which keeps what a number may send a second, as e and the local hosts do
//	e   facteur on Temporal                        the same flow as a workflow, with the ledger
//
// The simulator has no webhooks and no limits here; there are 200 sender numbers, 100 of them on
// Temporal, and each message has another recipient. b, c, d and e start runs and wait for their
// end in the process that carries them. Of b2 the process that asks is another one, and not
// counted.
//
// The ways take turns, in rounds, because machines are noisy; what is printed is the median of
// the rounds. Where others work at the same time, processor time says more than time does:
// "by CPU" compares all that a run needs, the simulator included.
//
// Temporal keeps what it knows in PostgreSQL where that is installed, and else in memory.
//
// It takes ten minutes; "-at 64" takes four, "-temporal none" two. The first build of the
// Temporal server takes some more. Flags make it longer, and so steadier: see -help. It runs
// on Linux.
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
	flag.DurationVar(&o.turn, "for", 2*time.Second, "how long a turn is")
	flag.DurationVar(&o.long, "temporal-for", 8*time.Second, "how long a turn is on Temporal")
	flag.IntVar(&o.senders, "senders", 200, "how many sender numbers there are")
	flag.StringVar(&o.store, "temporal", "", "where the Temporal server keeps what it knows: postgres, memory, or none for no server (default postgres where it is installed, else memory)")
	at := flag.String("at", "1,64,256", "how many runs are under way at the same time")
	flag.StringVar(&o.only, "only", "", "the ways to measure, e.g. a,b; all if it is empty. The first is what the others are compared with")
	flag.Parse()
	for part := range strings.SplitSeq(*at, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 {
			fail(fmt.Errorf("-at: %q is no number of runs", part))
		}
		o.at = append(o.at, n)
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
	rounds, senders int
	turn, long      time.Duration
	at              []int
	store, only     string
}
