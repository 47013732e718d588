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

// moments sets how often the power goes, e.g. 100.
const moments = "FACTEUR_TEST_MOMENTS"

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

// TestPowerLoss lets the power go just after a daemon has told somebody something. What was
// acknowledged until then, runs and webhooks, the next daemon knows, and nothing goes out
// twice, whatever clients repeat.
func TestPowerLoss(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"facteur.yaml": "connections: {shop: {app: WHATSAPP}}\ndata: data\n", "two.flow.yaml": twoMessages} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	data, before, prefix := filepath.Join(dir, "data"), filepath.Join(dir, "before"), filepath.Join(t.TempDir(), "calls")
	known := newWorld(t)
	start(t, dir, known, "").End(syscall.SIGTERM)
	require.NoError(t, powerloss.Copy(before, data))

	d := start(t, dir, known, prefix)
	known.hooksTo(t, d)
	began := time.Now()
	const runs = 2000
	known.load(t, d, 24, runs)
	require.Eventually(t, func() bool { return len(known.told()) > runs+runs/2 }, time.Minute, 10*time.Millisecond, "receipts come")
	d.End(syscall.SIGKILL)
	calls, err := powerloss.Read(prefix)
	require.NoError(t, err)
	disk := &powerloss.Disk{Before: before, Folder: data, Calls: calls}

	times, seed := 8, rand.Uint64()
	if n, err := strconv.Atoi(os.Getenv(moments)); err == nil {
		times = n
	}
	luck, told := rand.New(rand.NewPCG(seed, 0)), known.told()
	for range times {
		went := told[luck.IntN(len(told))].Add(1)
		require.NoError(t, os.RemoveAll(data))
		fate, err := disk.After(went, luck, data)
		require.NoError(t, err)
		after := newWorld(t)
		d := start(t, dir, after, "")
		s := known.until(went)
		s.check(t, d, after)
		d.End(syscall.SIGKILL)
		t.Logf("after %v, writes %+v: acknowledged %d, accepted %d, receipts %d; then accepted %d, unknown %d, waiting %d",
			went.Sub(began).Round(time.Millisecond), fate, len(s.runs), len(s.accepted), len(s.delivered), len(after.accepted), s.unknown, s.waiting)
		if t.Failed() {
			t.Fatalf("the seed was %d", seed)
		}
	}
}

// A state is what the world knew when the power went.
type state struct {
	runs                map[string]string // that were acknowledged, by number
	accepted, delivered map[string]bool   // texts of messages; the daemon took the receipts of the latter

	unknown, waiting int // runs, afterwards
}

// check holds what a daemon does after the power came back against what was known before.
func (s *state) check(t *testing.T, d *daemon, after *world) {
	t.Helper()
	numbers := map[string]bool{} // clients ask again for all that they began, with an answer or without
	for n := range s.runs {
		numbers[n] = true
	}
	for text := range s.accepted {
		n, _, _ := strings.Cut(text, " ")
		numbers[n] = true
	}
	for n := range numbers {
		again, err := d.begin(n)
		require.NoError(t, err)
		if run, ok := s.runs[n]; ok {
			assert.Equal(t, run, again.RunID, "the run of %s was acknowledged", n)
		}
	}
	for n, run := range s.runs {
		sent := func(which string) bool { return s.accepted[n+which] || after.has(n+which) }
		told := s.delivered[n+" first"]
		detail := d.until(t, run, func(r *server.Detail) bool { return !told && sent(" first") || !r.EndedAt.IsZero() })
		switch inDoubt := detail.Error != nil && detail.Error.Code == "outcome_unknown"; {
		case inDoubt:
			s.unknown++
		case told:
			assert.EqualValues(t, "succeeded", detail.Status, "%s: the receipt of its message was taken", n)
			assert.True(t, sent(" then"), "%s: its second message", n)
		default:
			s.waiting++
			assert.True(t, sent(" first"), "%s: its message was not sent, and nobody was told", n)
		}
	}
	for text, times := range after.counts() {
		assert.Equal(t, 1, times, "%s was sent again after the power came back", text)
		assert.False(t, s.accepted[text], "%s was sent before the power went, and again", text)
	}
}
