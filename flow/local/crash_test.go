package local_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"facteur/flow/journal"
	"facteur/flow/machine"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// crashesWanted sets how many processes TestCrash kills at random moments, and a tenth of
// it how many at each point. Each is to send ten messages.
const crashesWanted = "FACTEUR_TEST_CRASHES"

func crashesOf(t *testing.T) int {
	if n, err := strconv.Atoi(os.Getenv(crashesWanted)); err == nil {
		return n
	}
	if testing.Short() {
		return 20
	}
	return 200
}

// A daemon that is killed again and again, at any moment, loses no run that it accepted and
// sends nothing twice: calls whose outcome it cannot know are listed as unknown until a receipt
// comes. A server in this process accepts and counts the messages; some of its answers get lost.
func TestCrash(t *testing.T) {
	crashes := crashesOf(t)
	t.Run("at any moment", func(t *testing.T) {
		killAtRandom(t, newDaemonTest(t, false), crashes, 10)
	})
	t.Run("at any moment, and no news come", func(t *testing.T) {
		killAtRandom(t, newDaemonTest(t, true), crashes/5, 10)
	})
	t.Run("at any moment, of calls that prepare themselves", func(t *testing.T) {
		d := newDaemonTest(t, false)
		d.action = "test.prepared"
		killAtRandom(t, d, crashes/2, 10)
	})
	for _, point := range []string{preparing, scheduled, written, received, answered, recorded} {
		t.Run(point, func(t *testing.T) {
			d := newDaemonTest(t, false)
			if point == preparing {
				d.action = "test.prepared"
			}
			for died := 0; died < crashes/10; {
				d.order(3)
				if d.runDaemon(t, killPoint{point: point, call: 1 + rand.IntN(3)}) {
					died++
				}
			}
			d.verify(t, crashes/10)
		})
	}
}

func killAtRandom(t *testing.T, d *daemonTest, crashes, messages int) {
	for range crashes {
		d.order(messages)
		d.runDaemon(t, killPoint{after: rand.IntN(50_000)})
	}
	d.verify(t, crashes)
}

// verify lets a last daemon finish all runs, and compares its journal with what the server has
// accepted.
func (d *daemonTest) verify(t *testing.T, crashes int) {
	t.Helper()
	d.runDaemon(t, killPoint{})
	d.Close() // what is on its way arrives
	d.mu.Lock()
	defer d.mu.Unlock()

	j, err := journal.OpenReadOnly(d.file)
	require.NoError(t, err)
	defer j.Close()
	runs, err := j.List(t.Context(), journal.Filter{Limit: -1})
	require.NoError(t, err)
	var sent, unknown, settled, lost, duplicated, waiting int
	stored := map[string]bool{}
	for _, run := range runs {
		stored[run.ID] = true
		_, records, err := j.Load(t.Context(), run.ID)
		require.NoError(t, err)
		taken, answers := callsIn(t, records)
		for key := range taken {
			accepted := d.accepted[key] > 0
			switch {
			case run.Status == string(machine.Succeeded):
				if sent++; answers[key] == "unknown" {
					settled++
				}
				if !accepted {
					lost++
					t.Errorf("the journal says that %s was sent, and the server does not have it", key)
				}
			case run.Unknown > 0:
				unknown++
				if accepted && !d.noReceipts {
					lost++
					t.Errorf("%s was accepted, news said so, and still it is unknown", key)
				}
			default:
				lost++
				t.Errorf("the run of %s is %s", key, run.Status)
			}
			if run.Status == "waiting" {
				waiting++
			}
		}
		assert.LessOrEqual(t, len(taken), 1)
		assert.Contains(t, []string{"succeeded", "failed", "waiting"}, run.Status, "every run has ended, or waits visibly")
	}
	for run := range d.acknowledged {
		if !stored[run] {
			lost++
			t.Errorf("the run %s was acknowledged, and is gone", run)
		}
	}
	accepted := 0
	for key, n := range d.accepted {
		accepted++
		duplicated += n - 1
		if !stored[runOf(key)] {
			lost++
			t.Errorf("%s was accepted of a run that nobody knows", key)
		}
	}
	for to, n := range d.byRecipient {
		if n > 1 {
			duplicated += n - 1
			t.Errorf("%s got %d messages", to, n)
		}
	}
	t.Logf("crashes: %d, acknowledged: %d, accepted by the server: %d, sent by the journal: %d, unknown: %d (waiting: %d), settled: %d, lost: %d, duplicated: %d",
		crashes, len(d.acknowledged), accepted, sent, unknown, waiting, settled, lost, duplicated)
	assert.Len(t, d.acknowledged, d.ordered, "every start is acknowledged in the end")
	assert.Zero(t, lost)
	assert.Zero(t, duplicated)
	if d.noReceipts {
		assert.Positive(t, unknown, "nobody can know of all")
	}
}
