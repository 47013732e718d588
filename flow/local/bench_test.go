package local_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime/debug"
	"testing"

	"facteur/benchtest"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"
	"facteur/flow/plan"

	"github.com/stretchr/testify/require"
)

// besides are the numbers of runs, or requests, in flight at the same time.
var besides = []int{1, 64, 256}

// BenchmarkSends executes durable runs of one step over a journal file, each of which sends one
// request to a server in this process; and then the requests alone, with the same client and
// server. The server barely reads the request, and the action does nothing else, so that this is
// a lower bound on the cost of a run: the whole daemon is measured in cmd/facteur.
func BenchmarkSends(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"messaging_product":"whatsapp","contacts":[{"input":"+33612345678","wa_id":"33612345678"}],"messages":[{"id":"wamid.TEST"}]}`)
	}))
	defer server.Close()
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // a daemon lets more garbage pile up, too
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512, MaxConnsPerHost: 512}}
	p := testCatalog{}.compile(b, sendFlow)
	bare := benchtest.Workload{Do: func(n int) error {
		if o := post(b.Context(), client, server.URL, call.Call{Key: "f1.x.1", Input: map[string]any{"to": phoneNumber(n)}}); o.Status != call.Succeeded {
			return fmt.Errorf("%v", o)
		}
		return nil
	}}
	for _, beside := range besides {
		b.Run(fmt.Sprintf("bare/%d", beside), func(b *testing.B) { bare.Measure(b, beside) })
		b.Run(fmt.Sprintf("runs/%d", beside), func(b *testing.B) {
			j, err := journal.OpenSQLite(filepath.Join(b.TempDir(), "journal.db"))
			require.NoError(b, err)
			h, err := local.Open(b.Context(), local.Options{
				Journal: j, Receipts: true,
				Do:      func(ctx context.Context, c call.Call) call.Outcome { return post(ctx, client, server.URL, c) },
				Restore: func(string, map[string]string) (*plan.Plan, error) { return p, nil },
			})
			require.NoError(b, err)
			runs := benchtest.Workload{Do: func(n int) error {
				run, _, err := h.Start(b.Context(), p, host.Start{Inputs: map[string]any{"to": phoneNumber(n)}})
				if err != nil {
					return err
				}
				r, err := h.Wait(b.Context(), run.ID)
				if err == nil && r.Status != machine.Succeeded {
					err = r.Error
				}
				return err
			}}
			runs.Compare(b, beside, bare, "of-bare")
			require.NoError(b, h.Stop(context.Background()))
			require.NoError(b, j.Close())
		})
	}
}

func phoneNumber(n int) string { return fmt.Sprintf("+336%08d", n) }

// BenchmarkLoop executes one run of a thousand calls, in memory.
func BenchmarkLoop(b *testing.B) {
	p := testCatalog{}.compile(b, sendLoop(1000, "a"))
	b.ReportAllocs()
	for b.Loop() {
		h := local.New(local.Options{Journal: &journal.Memory{}, Clock: newVirtualClock(), Do: func(_ context.Context, c call.Call) call.Outcome { return accepted(c) }})
		if r, err := h.Run(b.Context(), p, testStart()); err != nil || r.Status != machine.Succeeded {
			b.Fatal(r, err)
		}
	}
}
