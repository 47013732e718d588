package powerloss_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"facteur/e2e"
	"facteur/e2e/powerloss"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { e2e.Main(m) }

// cutsEnv sets the number of power losses, e.g. 100.
const cutsEnv = "FACTEUR_TEST_MOMENTS"

const twoMessages = `
flow: two
inputs: {n: {type: integer}, sender: {type: string}}
steps:
  - id: first
    action: whatsapp.send_message
    connection: shop
    with: {sender_phone_id: "${inputs.sender}", recipient: "${'+336' + pad(inputs.n, 8)}", message_type: text, message: {body: "${inputs.n} first"}}
    await: {state: delivered, timeout: 1h}
    unknown_timeout: 1s
  - id: then
    action: whatsapp.send_message
    connection: shop
    with: {sender_phone_id: "${inputs.sender}", recipient: "${'+336' + pad(inputs.n, 8)}", message_type: text, message: {body: "${inputs.n} then"}}
    unknown_timeout: 1s
`

// TestPowerLoss simulates power losses just after a daemon acknowledged a run or a webhook. The
// next daemon knows everything acknowledged by then, and nothing is sent twice although clients
// repeat their requests.
func TestPowerLoss(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"facteur.yaml": "connections: {shop: {app: WHATSAPP}}\ndata: data\n", "two.flow.yaml": twoMessages} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	data, before, prefix := filepath.Join(dir, "data"), filepath.Join(dir, "before"), filepath.Join(t.TempDir(), "calls")
	known := newRecorder(t)
	start(t, dir, known, "").SignalAndWait(syscall.SIGTERM)
	require.NoError(t, powerloss.Copy(before, data))

	d := start(t, dir, known, prefix)
	known.subscribe(t, d)
	began := time.Now()
	const runs = 2000
	known.startRuns(t, d, 24, runs)
	require.Eventually(t, func() bool { return len(known.acknowledgements()) > runs+runs/2 }, time.Minute, 10*time.Millisecond, "receipts come")
	d.SignalAndWait(syscall.SIGKILL)
	calls, err := powerloss.ReadTrace(prefix)
	require.NoError(t, err)
	disk := &powerloss.Disk{Before: before, Folder: data, Syscalls: calls}

	times, seed := 8, rand.Uint64()
	if n, err := strconv.Atoi(os.Getenv(cutsEnv)); err == nil {
		times = n
	}
	rng, acks := rand.New(rand.NewPCG(seed, 0)), known.acknowledgements()
	for range times {
		cutoff := acks[rng.IntN(len(acks))].Add(1)
		require.NoError(t, os.RemoveAll(data))
		writes, err := disk.RestoreAt(cutoff, rng, data)
		require.NoError(t, err)
		after := newRecorder(t)
		d := start(t, dir, after, "")
		s := known.snapshotAt(cutoff)
		s.check(t, d, after)
		d.SignalAndWait(syscall.SIGKILL)
		t.Logf("after %v, writes %+v: acknowledged %d, accepted %d, receipts %d; then accepted %d, unknown %d, waiting %d",
			cutoff.Sub(began).Round(time.Millisecond), writes, len(s.runs), len(s.accepted), len(s.delivered), len(after.accepted), s.unknown, s.waiting)
		if t.Failed() {
			t.Fatalf("the seed was %d", seed)
		}
	}
}

// A snapshot is what clients and simulator knew at the power loss.
type snapshot struct {
	runs                map[string]string // ids of acknowledged runs, by number
	accepted, delivered map[string]bool   // texts of messages that the API accepted, and whose receipt the daemon acknowledged

	unknown, waiting int // runs, afterwards
}

// check compares the behaviour of a daemon on the restored data with the snapshot.
func (s *snapshot) check(t *testing.T, d *daemon, after *recorder) {
	t.Helper()
	numbers := map[string]bool{} // clients repeat every start, answered or not
	for n := range s.runs {
		numbers[n] = true
	}
	for text := range s.accepted {
		n, _, _ := strings.Cut(text, " ")
		numbers[n] = true
	}
	for n := range numbers {
		again, err := d.startRun(n)
		require.NoError(t, err)
		if run, ok := s.runs[n]; ok {
			assert.Equal(t, run, again.RunID, "the run of %s was acknowledged", n)
		}
	}
	for n, run := range s.runs {
		sent := func(which string) bool { return s.accepted[n+which] || after.isAccepted(n+which) }
		acks := s.delivered[n+" first"]
		detail := d.waitFor(t, run, func(r *server.Detail) bool { return !acks && sent(" first") || !r.EndedAt.IsZero() })
		switch inDoubt := detail.Error != nil && detail.Error.Code == "outcome_unknown"; {
		case inDoubt:
			s.unknown++
		case acks:
			assert.EqualValues(t, "succeeded", detail.Status, "%s: the receipt of its message was taken", n)
			assert.True(t, sent(" then"), "%s: its second message", n)
		default:
			s.waiting++
			assert.True(t, sent(" first"), "%s: its message was not sent, and nobody was told", n)
		}
	}
	for text, times := range after.acceptedCounts() {
		assert.Equal(t, 1, times, "%s was sent again after the power came back", text)
		assert.False(t, s.accepted[text], "%s was sent before the power went, and again", text)
	}
}
