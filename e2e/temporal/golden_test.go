package temporal_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"facteur/e2e/temporal"
	"facteur/flow"
	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	"facteur/flow/plan"
	facteur "facteur/flow/temporal"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the histories that flow/temporal replays")

// historiesDir is the folder of the stored histories.
const historiesDir = "../../flow/temporal/testdata/histories"

// A scenario is a run whose history is stored: every later version must replay it.
type scenario struct {
	name, flow string
	act        func(h *scenarioRun)
}

type scenarioRun struct {
	*testing.T
	host.Host
	world *hosttest.World
	run   string
}

func (h *scenarioRun) waitFor(what func(r *host.Report) bool) {
	h.Helper()
	require.Eventually(h, func() bool {
		r, err := h.Get(h.Context(), h.run)
		return err == nil && what(r)
	}, 30*time.Second, 10*time.Millisecond)
}

func (h *scenarioRun) waitWaiting() {
	h.waitFor(func(r *host.Report) bool { return r.Run.Status == host.Waiting })
}

func (h *scenarioRun) waitEnded() {
	h.waitFor(func(r *host.Report) bool { return !r.Run.Ended.IsZero() })
}

func (h *scenarioRun) reply(id, text string) {
	require.NoError(h, h.Deliver(h.Context(), host.Event{ID: id, Name: "test.reply", Subjects: []string{"a"}, At: time.Now(), Data: map[string]any{"text": text}}))
}

func (h *scenarioRun) receipt(state string) {
	r, err := h.Get(h.Context(), h.run)
	require.NoError(h, err)
	require.NoError(h, h.Receive(h.Context(), h.world.Receipt(r.Calls[len(r.Calls)-1].Key, state)))
}

var scenarios = []scenario{
	{name: "action", flow: "steps:\n  - {id: send, action: test.send, with: {to: a}}\noutputs: {id: '${steps.send.outputs.id}'}\n"},
	{name: "action_limits", flow: "steps:\n  - {id: send, action: test.send, with: {to: slow}}\n"},
	{name: "action_retry", flow: "steps:\n  - {id: send, action: test.send, with: {to: a, text: busy}, retry: {attempts: 3, delay: 10ms}}\n"},
	{name: "action_refused", flow: "steps:\n  - {id: send, action: test.send, with: {to: a, text: refuse}}\non_failure:\n  - {id: sorry, action: test.send, with: {to: b, text: '${error.message}'}}\n"},
	{name: "action_time_out", flow: "steps:\n  - {id: send, action: test.send, timeout: 20ms, unknown_timeout: 20ms, with: {to: a, text: hang}}\n"},
	{name: "action_unknown", flow: "steps:\n  - {id: send, action: test.send, unknown_timeout: 24h, with: {to: a, text: lost}}\n", act: func(h *scenarioRun) { h.waitWaiting(); h.receipt("delivered") }},
	{name: "action_await", flow: "steps:\n  - {id: send, action: test.send, await: {state: delivered, timeout: 24h}, with: {to: a}}\n", act: func(h *scenarioRun) { h.waitWaiting(); h.receipt("sent"); h.receipt("delivered") }},
	{name: "action_resend", flow: "steps:\n  - {id: send, action: test.send, with: {to: a, text: void}, on_unknown: resend, unknown_timeout: 20ms}\n"},
	{name: "set_switch", flow: "steps:\n  - {set: {n: '${random(1, 6)}'}}\n  - switch:\n      - {when: 'vars.n > 6', steps: [{fail: {code: odd, message: 'a die with ${vars.n}'}}]}\n    default:\n      - {id: send, action: test.send, with: {to: a, text: '${string(vars.n)}'}}\n"},
	{name: "foreach", flow: "steps:\n  - id: each\n    foreach: \"${['a', 'b', 'c', 'd']}\"\n    as: to\n    concurrency: 2\n    allow_failure: true\n    steps:\n      - {id: send, action: test.send, with: {to: '${to}', text: \"${to == 'c' ? 'refuse' : 'x'}\"}}\n    collect: ${steps.send.outputs.?id.orValue('none')}\noutputs: {ids: '${steps.each.outputs.items}'}\n"},
	{name: "parallel", flow: "steps:\n  - parallel:\n      a: [{id: one, action: test.send, with: {to: a}}, {wait: 10ms}]\n      b: [{id: two, action: test.get, with: {to: b}}]\n"},
	{name: "try", flow: "steps:\n  - try:\n      - {id: send, action: test.send, with: {to: a, text: refuse}}\n    catch:\n      - steps: [{id: caught, action: test.send, with: {to: b}}]\n    finally:\n      - {id: last, action: test.send, with: {to: c}}\n"},
	{name: "waits", flow: "steps:\n  - {wait: 10ms}\n  - {wait_until: '2020-01-01T00:00:00Z'}\n"},
	{name: "wait_for", flow: "steps:\n  - {id: ask, action: test.send, with: {to: a}}\n  - {id: reply, wait_for: {event: test.reply, from: a, when: 'event.text == \"yes\"', timeout: 24h}}\noutputs: {text: '${steps.reply.outputs.text}'}\n", act: func(h *scenarioRun) { h.waitWaiting(); h.reply("1", "no"); h.reply("2", "yes") }},
	{name: "wait_for_in_vain", flow: "steps:\n  - {id: reply, wait_for: {event: test.reply, from: a, timeout: 20ms}, on_timeout: [{id: sorry, action: test.send, with: {to: a}}]}\n"},
	{name: "call", flow: "steps:\n  - {id: other, call: other, with: {to: a}}\noutputs: {id: '${steps.other.outputs.id}'}\n"},
	{name: "return", flow: "steps:\n  - {return: {text: done}}\n  - {id: never, action: test.send, with: {to: a}}\noutputs: {text: never}\n"},
	{name: "fail", flow: "steps:\n  - {fail: {code: broken, message: on purpose}}\n"},
	{name: "timeout", flow: "timeout: 30ms\nsteps:\n  - {wait: 24h}\n"},
	{name: "cancelled", flow: "steps:\n  - try: [{wait: 24h}]\n    finally: [{id: last, action: test.send, with: {to: a}}]\n", act: func(h *scenarioRun) {
		h.waitWaiting()
		require.NoError(h, h.Cancel(h.Context(), h.run, "changed my mind"))
	}},
	{name: "held", flow: "steps:\n  - {id: send, action: test.send, connection: shop, with: {to: a}}\n", act: func(h *scenarioRun) {
		h.waitFor(func(r *host.Report) bool { return len(r.Holds) == 1 })
		require.Eventually(h, func() bool { l, err := h.Holds(h.Context()); return err == nil && len(l) == 1 && l[0].Calls == 1 }, 10*time.Second, 20*time.Millisecond)
		require.NoError(h, h.Resume(h.Context(), host.Connection, "shop"))
	}},
	{name: "retried", flow: "steps:\n  - {id: send, action: test.send, with: {to: a, text: busy}}\n", act: func(h *scenarioRun) {
		h.waitEnded()
		require.NoError(h, h.Retry(h.Context(), h.run, false))
	}},
	{name: "settled", flow: "steps:\n  - {id: send, action: test.send, unknown_timeout: 24h, with: {to: a, text: lost}}\n", act: func(h *scenarioRun) {
		h.waitWaiting()
		require.NoError(h, h.Settle(h.Context(), h.run, "send", host.Settlement{Happened: true, ID: "wamid"}))
	}},
	{name: "continued", flow: "steps:\n  - foreach: '${lists.range(120)}'\n    as: n\n    concurrency: 10\n    steps: [{id: send, action: test.get, with: {to: '${string(n)}'}}]\n  - {wait: 10ms}\n"},
	{name: "filed", flow: "steps:\n  - {set: {text: '${lists.range(2000).map(i, \"0123456789\").join(\"\")}'}}\n  - foreach: '${lists.range(60)}'\n    as: n\n    concurrency: 10\n    steps: [{id: send, action: test.send, with: {to: '${string(n)}', text: 'echo:${vars.text}'}}]\n"},
	{name: "paged", flow: "steps:\n  - {set: {text: '${lists.range(2000).map(i, \"0123456789\").join(\"\")}'}}\n  - foreach: '${lists.range(130)}'\n    as: n\n    concurrency: 10\n    steps: [{id: send, action: test.send, with: {to: '${string(n)}', text: 'echo:${vars.text}'}}]\n  - {wait: 10ms}\n"},
	{name: "concurrency", flow: "concurrency: {limit: 1, on_conflict: queue}\nsteps:\n  - {id: send, action: test.send, with: {to: a}}\n"},
	{name: "turn", flow: "concurrency: {limit: 1, on_conflict: queue}\nsteps:\n  - {id: reply, wait_for: {event: test.reply, from: a, timeout: 24h}}\n", act: func(h *scenarioRun) {
		h.waitWaiting()
		require.NoError(h, h.Cancel(h.Context(), h.run, "not now"))
		h.waitEnded()
		r, err := h.Get(h.Context(), h.run)
		require.NoError(h, err)
		p, err := h.world.Restore(r.Run.Flow, r.Sources)
		require.NoError(h, err)
		holder, _, err := h.Start(h.Context(), p, host.Start{Inputs: map[string]any{}})
		require.NoError(h, err)
		require.NoError(h, h.Retry(h.Context(), h.run, false))
		h.waitFor(func(r *host.Report) bool { return r.Run.Status == host.Queued })
		require.NoError(h, h.Cancel(h.Context(), holder.ID, ""))
		h.waitWaiting()
		h.reply("1", "go on")
	}},
}

// TestHistories replays the histories of each step kind, of operations on runs and of crashes.
// With -update it stores them, and flow/temporal replays the stored ones from then on.
func TestHistories(t *testing.T) {
	n := temporal.Start(t).Namespace(t, "golden")
	for _, tale := range scenarios {
		t.Run(tale.name, func(t *testing.T) {
			w := hosttest.NewWorld()
			o := withoutSealing(options(n, w))
			o.Queue, o.Lost = "golden-"+tale.name, 10*time.Second
			o.Restore = func(name string, sources map[string]string) (*plan.Plan, error) {
				p, diags := plan.Restore(name, sources, plan.Library{Catalog: w})
				return p, diags.Err()
			}
			h := openHost(t, o)
			if tale.name == "held" {
				require.NoError(t, h.Pause(t.Context(), host.Connection, "shop", "too loud"))
			}
			run, _, err := h.Start(t.Context(), compileScenario(t, w, tale), host.Start{Inputs: map[string]any{}, By: "test"})
			require.NoError(t, err)
			r := &scenarioRun{t, h, w, run.ID}
			if tale.act != nil {
				tale.act(r)
			}
			r.waitEnded()
			_, err = h.Wait(t.Context(), run.ID)
			require.NoError(t, err)
			history := []byte(n.Dump(t, run.ID))
			require.NoError(t, facteur.Replay(o, history))
			if *update {
				require.NoError(t, os.MkdirAll(historiesDir, 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(historiesDir, tale.name+".json"), history, 0o644))
			}
		})
	}
}

// TestHistoryOfSchedule replays, and with -update stores, the history of a schedule that fired
// once and was removed.
func TestHistoryOfSchedule(t *testing.T) {
	n := temporal.Start(t).Namespace(t, "golden")
	w := hosttest.NewWorld()
	o := withoutSealing(options(n, w))
	met := make(chan host.DueSchedule, 1)
	o.Meet = func(_ context.Context, due host.DueSchedule) error { met <- due; return nil }
	h := openHost(t, o)
	p := w.Compile(t, "flow: clock\ntriggers: [{schedule: {cron: '* * * * *', timezone: Europe/Paris, missed: once}}]\nsteps: [{wait: 1s}]\n")
	n.Begin(t, "clock", "facteur", "facteur.schedule", map[string]any{
		"name": "clock", "flow": p.Name, "digest": p.Digest, "sources": p.Texts, "cron": "* * * * *", "timezone": "Europe/Paris", "missed": "once",
		"last": time.Now().Add(-time.Minute),
	})
	require.False(t, (<-met).At.IsZero())
	require.NoError(t, h.Schedule(t.Context(), time.Now(), nil))
	require.Eventually(t, func() bool { return len(n.Open(t, "facteur.schedule")) == 0 }, 30*time.Second, 20*time.Millisecond)
	history := []byte(n.Dump(t, "clock"))
	require.NoError(t, facteur.Replay(o, history))
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join(historiesDir, "schedule.json"), history, 0o644))
	}
}

// withoutSealing removes what would make a history depend on a key.
func withoutSealing(o facteur.Options) facteur.Options {
	o.Seal, o.Open, o.Hash = nil, nil, nil
	return o
}

func compileScenario(t *testing.T, w *hosttest.World, one scenario) *plan.Plan {
	t.Helper()
	parse := func(text string) *flow.Flow {
		f, diags := flow.Parse("test.flow.yaml", []byte(text))
		require.False(t, diags.HasErrors(), diags)
		return f
	}
	other := parse("flow: other\ninputs: {to: {type: string}}\nsteps:\n  - {id: send, action: test.send, with: {to: '${inputs.to}'}}\noutputs: {id: '${steps.send.outputs.id}'}\n")
	lib := plan.Library{Catalog: w, FlowNames: []string{"other"}, Flow: func(name string) *flow.Flow {
		if name == "other" {
			return other
		}
		return nil
	}}
	p, diags := plan.Compile(parse("flow: tale_"+one.name+"\n"+one.flow), lib)
	require.False(t, diags.HasErrors(), diags)
	return p
}
