package local_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"
	"facteur/flow/plan"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A run whose unknown call was in fact made does nothing while the receipts that say so cannot be
// read.
func TestReceiptsThatCannotBeRead(t *testing.T) {
	for _, end := range []string{"it is read later", "it is told", "the host stops", "the run is cancelled"} {
		t.Run(end, func(t *testing.T) {
			j, clock := &journal.Memory{}, newManualClock(time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC))
			var made, asked atomic.Int32
			last := machine.Succeeded
			deaf, came := atomic.Bool{}, atomic.Bool{}
			o := local.Options{
				Journal: j, Clock: clock,
				Do: func(context.Context, call.Call) call.Outcome { made.Add(1); return lost() },
				Past: hosttest.PastByKey(func(key string) ([]call.Receipt, error) {
					asked.Add(1)
					switch {
					case deaf.Load():
						return nil, errors.New("the ledger does not answer")
					case came.Load():
						return []call.Receipt{{ID: "1", State: "sent"}}, nil
					}
					return nil, nil
				}),
			}
			h := openHost(t, o)
			run, _, err := h.Start(t.Context(), testCatalog{}.compile(t, "flow: f\nsteps:\n  - {id: send, action: test.send, with: {to: a}, retry: {attempts: 2, delay: 1h}}\n"), host.Start{})
			require.NoError(t, err)
			eventually(t, "nobody knows whether it was sent", func() bool {
				r, err := h.Get(t.Context(), run.ID)
				return err == nil && r.Run.Unknown == 1
			})
			require.NoError(t, h.Settle(t.Context(), run.ID, "send", host.Settlement{}))
			require.NoError(t, h.Stop(t.Context()))

			came.Store(true)
			deaf.Store(true)
			asked.Store(0)
			clock.advance(2 * time.Hour) // it would be time to send it again
			h = openHost(t, o)
			for n := int32(1); n <= 3; n++ {
				eventually(t, "it asks again and again", func() bool { clock.advance(10 * time.Second); return asked.Load() >= n })
			}
			switch end {
			case "the host stops":
				require.NoError(t, h.Stop(t.Context()))
				h = openHost(t, o)
			case "the run is cancelled":
				require.NoError(t, h.Cancel(t.Context(), run.ID, "enough"))
				last = machine.Cancelled
			case "it is told":
				require.NoError(t, h.Receive(t.Context(), call.Receipt{Key: "f1." + run.ID + ".1", ID: "1", State: "sent"}))
			}
			assert.EqualValues(t, 1, made.Load())
			deaf.Store(false)
			eventually(t, "it knows", func() bool { clock.advance(10 * time.Second); return statusOf(t, h, run.ID) == last })
			assert.EqualValues(t, 1, made.Load())
		})
	}
}

// Before a call of unknown outcome is made again its receipts are asked for: the run may not have
// been given one that was stored just before a crash.
func TestReceiptsThatARunHasMissed(t *testing.T) {
	for name, flow := range map[string]string{
		"it is sent again":  "flow: f\nsteps:\n  - {id: send, action: test.send, with: {to: a}, on_unknown: resend, unknown_timeout: 10m}\n",
		"it prepares":       "flow: f\nsteps:\n  - {id: send, action: test.prepared, with: {to: a}, on_unknown: resend, unknown_timeout: 10m}\n",
		"somebody is wrong": "flow: f\nsteps:\n  - {id: send, action: test.send, with: {to: a}, retry: {attempts: 2, delay: 10m}, unknown_timeout: 1h}\n",
	} {
		for _, deaf := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", and the ledger is away"}[deaf], func(t *testing.T) {
				clock := newManualClock(time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC))
				var made, asked atomic.Int32
				var came, away atomic.Bool
				h := openHost(t, local.Options{
					Clock: clock,
					Do: func(ctx context.Context, c call.Call) call.Outcome {
						made.Add(1)
						if c.Begin != nil {
							assert.NoError(t, c.Begin(ctx))
						}
						return lost()
					},
					Past: hosttest.PastByKey(func(_ string) ([]call.Receipt, error) {
						asked.Add(1)
						switch {
						case away.Load():
							return nil, errors.New("the ledger does not answer")
						case came.Load():
							return []call.Receipt{{ID: "1", State: "sent"}}, nil
						}
						return nil, nil
					}),
				})
				run := startRun(t, h, testCatalog{}.compile(t, flow), nil)
				eventually(t, "nobody knows whether it was sent", func() bool {
					r, err := h.Get(t.Context(), run)
					return err == nil && r.Run.Unknown == 1
				})
				if name == "somebody is wrong" {
					require.NoError(t, h.Settle(t.Context(), run, "send", host.Settlement{}))
				}
				came.Store(true)
				away.Store(deaf)
				asked.Store(0)
				clock.advance(11 * time.Minute)
				for n := int32(1); deaf && n <= 3; n++ {
					eventually(t, "it asks again and again", func() bool { clock.advance(10 * time.Second); return asked.Load() >= n })
				}
				away.Store(false)
				eventually(t, "it knows", func() bool { clock.advance(10 * time.Second); return statusOf(t, h, run) == machine.Succeeded })
				assert.EqualValues(t, 1, made.Load())
			})
		}
	}
}

// After a restore the ledger may be newer than the journal, and more receipts come before a run is
// released: a call that they show to have happened is not made, once they can be read.
func TestReceiptsOfACallThatABackupDoesNotHave(t *testing.T) {
	for name, flow := range map[string]string{
		"it was held":  "flow: f\nsteps:\n  - {id: send, action: test.send, with: {to: a}}\n",
		"it prepares":  prepares,
		"its run came": "flow: f\nsteps:\n  - {id: pause, wait: 10ms}\n  - {id: send, action: test.send, with: {to: a}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			j, clock := &journal.Memory{}, newManualClock(time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC))
			var came, asked atomic.Int32
			o := local.Options{
				Journal: j, Clock: clock,
				Do: func(_ context.Context, c call.Call) call.Outcome {
					assert.Equal(t, "b", c.Input["to"])
					return accepted(c)
				},
				Past: hosttest.PastByKey(func(key string) ([]call.Receipt, error) {
					switch {
					case came.Load() == 0 || call.RunOf(key) == "":
						return nil, nil
					case asked.Add(1) == 1:
						return nil, errors.New("the ledger does not answer")
					}
					return []call.Receipt{{ID: "1", State: "sent"}}, nil
				}),
			}
			h := openHost(t, o)
			require.NoError(t, h.Pause(t.Context(), host.All, "", ""))
			run := startRun(t, h, testCatalog{}.compile(t, flow), nil)
			require.NoError(t, h.Stop(t.Context()))
			o.Restored = true
			h = openHost(t, o)
			require.NoError(t, h.Stop(t.Context()))
			o.Restored, o.Backups = false, []local.Backup{{At: clock.Now()}}
			h = openHost(t, o)
			require.NoError(t, h.Resume(t.Context(), host.All, ""))
			came.Store(1)
			require.NoError(t, h.Release(t.Context(), run))
			eventually(t, "it knows", func() bool { clock.advance(time.Second); return statusOf(t, h, run) == machine.Succeeded })
			report, err := h.Get(t.Context(), run)
			require.NoError(t, err)
			assert.Empty(t, report.Calls)
			came.Store(0)
		})
	}
}

// A start repeated with its idempotency key, of which the backup has no run, gives the new run the
// same id and call keys: what receipts show to have happened is not made again.
func TestReceiptsOfAStartThatABackupDoesNotHave(t *testing.T) {
	for _, restored := range []bool{true, false} {
		var made, asked atomic.Int32
		h := openHost(t, local.Options{
			Restored: restored,
			Do:       func(_ context.Context, c call.Call) call.Outcome { made.Add(1); return accepted(c) },
			Past: hosttest.PastByKey(func(key string) ([]call.Receipt, error) {
				asked.Add(1)
				return []call.Receipt{{ID: "1", State: "sent"}}, nil
			}),
		})
		run, _, err := h.Start(t.Context(), testCatalog{}.compile(t, one), host.Start{Key: "order 7"})
		require.NoError(t, err)
		assert.Equal(t, machine.Succeeded, waitResult(t, h, run.ID).Status)
		if restored {
			assert.Zero(t, made.Load())
		} else {
			assert.Zero(t, asked.Load(), "nobody is asked where the journal knows all")
		}
	}
}

// A start with the idempotency key of a pruned run reuses its id and call keys. Receipts of the
// earlier calls are not asked for, unless they may be from after a backup; then one look-up
// covers all calls.
func TestReceiptsOfAPrunedRun(t *testing.T) {
	clock := newManualClock(time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC))
	ago := func(days int) time.Time { return clock.Now().Add(time.Duration(-days) * 24 * time.Hour) }
	for name, test := range map[string]struct {
		backups []local.Backup
		since   time.Time // by a clock that was put back meanwhile, what came of a run is older than it
		looks   int
	}{
		"no backup":                 {since: ago(1), looks: 1},
		"a backup":                  {backups: []local.Backup{{Until: ago(9), At: ago(2)}}, since: ago(10), looks: 2},
		"an older one":              {backups: []local.Backup{{At: ago(2)}}, looks: 2},
		"one, and what was made of": {backups: []local.Backup{{Until: ago(9), At: ago(7)}, {Until: ago(3), At: ago(2)}}, since: ago(10), looks: 2},
	} {
		t.Run(name, func(t *testing.T) {
			looks := make(chan time.Time, 128)
			h := openHost(t, local.Options{
				Clock: clock, Backups: test.backups,
				Do: func(context.Context, call.Call) call.Outcome { return lost() },
				Past: func(_ context.Context, since time.Time, _ ...string) ([]call.Receipt, error) {
					looks <- since
					return nil, nil
				},
			})
			_, _, err := h.Start(t.Context(), testCatalog{}.compile(t, one), host.Start{Key: "order 7"})
			require.NoError(t, err)
			for range test.looks {
				since := <-looks
				assert.True(t, since.Equal(test.since), "%s", since)
			}
			require.NoError(t, h.Stop(t.Context()))
			assert.Empty(t, looks)
		})
	}
}

// Calls that a backup does not have stay unknown to the journal: also in later hosts, and when a
// run that had ended is retried.
func TestReceiptsThatABackupDoesNotHaveLater(t *testing.T) {
	const waits = "flow: f\nsteps:\n  - {id: pause, wait: 1h}\n  - {id: send, action: test.send, with: {to: a}}\n"
	for name, goesOn := range map[string]func(h *local.Host, reopen func() *local.Host, run string) (string, error){
		"a run that waited": func(h *local.Host, reopen func() *local.Host, run string) (string, error) {
			if err := h.Release(t.Context(), run); err != nil {
				return "", err
			}
			reopen()
			return run, nil
		},
		"a run that is retried": func(h *local.Host, _ func() *local.Host, run string) (string, error) {
			if err := errors.Join(h.Release(t.Context(), run), h.Cancel(t.Context(), run, "")); err != nil {
				return "", err
			}
			waitResult(t, h, run)
			return run, h.Retry(t.Context(), run, false)
		},
		"a start with a key": func(_ *local.Host, reopen func() *local.Host, _ string) (string, error) {
			run, _, err := reopen().Start(t.Context(), testCatalog{}.compile(t, one), host.Start{Key: "order 7"})
			return run.ID, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newManualClock(time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC))
			p := testCatalog{}.compile(t, waits)
			var made atomic.Int32
			o := local.Options{
				Journal: &journal.Memory{}, Clock: clock,
				Restore: func(string, map[string]string) (*plan.Plan, error) { return p, nil },
				Do:      func(_ context.Context, c call.Call) call.Outcome { made.Add(1); return accepted(c) },
				Past: hosttest.PastByKey(func(_ string) ([]call.Receipt, error) {
					return []call.Receipt{{ID: "1", State: "sent"}}, nil
				}),
			}
			h := openHost(t, o)
			run := startRun(t, h, p, nil)
			reopen := func() *local.Host {
				require.NoError(t, h.Stop(t.Context()))
				h = openHost(t, o)
				return h
			}
			o.Restored = true
			reopen()
			o.Restored, o.Backups = false, []local.Backup{{At: clock.Now()}}
			clock.advance(time.Minute)
			run, err := goesOn(h, reopen, run)
			require.NoError(t, err)
			eventually(t, "it ends", func() bool { clock.advance(time.Hour); return statusOf(t, h, run) == machine.Succeeded })
			assert.Zero(t, made.Load())
		})
	}
}

// After a restore the ledger may be newer than the journal: what its receipts say of an ended run
// is applied when the host is opened.
func TestReceiptsForAnEndedRunOfABackup(t *testing.T) {
	j := &journal.Memory{}
	var came atomic.Bool
	o := local.Options{
		Journal: j, Restored: true,
		Do: func(context.Context, call.Call) call.Outcome { return lost() },
		Past: hosttest.PastByKey(func(_ string) ([]call.Receipt, error) {
			if came.Load() {
				return []call.Receipt{{ID: "1", State: "sent"}}, nil
			}
			return nil, nil
		}),
	}
	h := openHost(t, o)
	run := startRun(t, h, testCatalog{}.compile(t, "flow: f\nsteps:\n  - {id: send, action: test.send, with: {to: a}, unknown_timeout: 1ms}\n"), nil)
	assert.Equal(t, machine.Failed, waitResult(t, h, run).Status)
	require.NoError(t, h.Stop(t.Context()))
	came.Store(true)
	h = openHost(t, o)
	eventually(t, "it is unknown no more", func() bool {
		list, _, err := h.List(t.Context(), host.Filter{Unknown: true})
		return err == nil && len(list) == 0
	})
	assert.Equal(t, machine.Failed, statusOf(t, h, run))
}
