package ledgertest

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"

	"facteur/actions/whatsapp/ledger"

	"github.com/stretchr/testify/require"
)

// WriteRandom writes claims, answers and webhooks concurrently until more returns false, and calls
// acked for each that is durable.
func WriteRandom(l ledger.Ledger, more func() bool, acked func(kind, id string)) {
	ctx, worker := context.Background(), rand.Text()
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var all sync.WaitGroup
	for caller := range 8 {
		all.Go(func() {
			for n := 0; more(); n++ {
				id := fmt.Sprintf("f1.%s_%d.%d", worker, caller, n)
				_, err := l.Claim(ctx, Claim(id, id))
				must(err)
				acked("claim", id)
				_, err = l.RecordAnswer(ctx, Accepted(id, "wamid."+id))
				must(err)
				_, err = l.Apply(ctx, Message(id, "oui"), Status("wamid."+id, "read", id))
				must(err)
				acked("told", id)
			}
		})
	}
	all.Wait()
}

// CheckWritten checks that what WriteRandom acknowledged is there: whole webhooks, and all claims.
// acked holds the last kind of each id.
func CheckWritten(t *testing.T, l ledger.Ledger, acked map[string]string) {
	t.Helper()
	for id, kind := range acked {
		repeats, err := l.Claim(t.Context(), Claim("another", id))
		if kind == "claim" {
			require.True(t, err != nil || repeats == "wamid."+id, "claim %s is lost", id)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, "wamid."+id, repeats)
		require.Empty(t, Fresh(must(l.Apply(t.Context(), Message(id, "oui"), Status("wamid."+id, "read", id)))(t)), "webhook %s is lost", id)
		m, _, err := l.Message(t.Context(), "wamid."+id)
		require.NoError(t, err)
		require.EqualValues(t, "read", m.State)
		require.Len(t, m.Statuses, 1)
	}
}

// placeVariable is the environment variable with the ledger that a WriterProcess writes.
const placeVariable = "FACTEUR_TEST_LEDGER"

// WriterProcess is to be called by TestWriterProcess, which is no test but the process that Killed
// starts and kills. open opens the ledger at the place that Killed was given.
func WriterProcess(t *testing.T, open func(place string) (ledger.Ledger, error)) {
	at := os.Getenv(placeVariable)
	if at == "" {
		t.Skip("this is the process that other tests start")
	}
	l, err := open(at)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println("open", "")
	var out sync.Mutex
	WriteRandom(l, func() bool { return true }, func(kind, id string) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(kind, id)
	})
}

// Killed starts and kills processes that write the ledger at a place, while this process has it
// open, too, and checks that all that they acknowledged is there. It returns what they acknowledged,
// for CheckWritten.
func Killed(t *testing.T, at string, beside ledger.Ledger) (acked map[string]string) {
	t.Helper()
	acked = map[string]string{}
	for range 8 {
		child := exec.Command(os.Args[0], "-test.run=^TestWriterProcess$")
		child.Env = append(os.Environ(), placeVariable+"="+at)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewScanner(out)
		require.True(t, lines.Scan())
		require.Equal(t, "open ", lines.Text())
		for left := mathrand.IntN(300); lines.Scan(); left-- {
			if left == 0 {
				require.NoError(t, child.Process.Kill())
			}
			var kind, id string
			_, err := fmt.Sscan(lines.Text(), &kind, &id)
			require.NoError(t, err)
			acked[id] = kind
		}
		_ = child.Wait() // it was killed
		CheckWritten(t, beside, acked)
	}
	t.Logf("%d sends were acknowledged", len(acked))
	return acked
}
