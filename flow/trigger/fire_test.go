package trigger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"facteur/flow/host"
	"facteur/flow/plan"
	"facteur/flow/trigger"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const shop = `flow: shop
inputs:
  phone: {type: string, format: e164}
  name: {type: string, default: cher client}
  at: {type: string, format: date-time}
triggers:
  - webhook: {path: /orders/, connection: hook, inputs: {phone: "${event.body.phone}", at: "${now()}"}}
  - webhook: {path: /open, connection: none, inputs: {phone: "${event.body.phone}", name: "${settings.shop}", at: "${now()}"}}
steps: [{set: {x: "${inputs.phone + inputs.name + string(inputs.at)}"}}]
`

const once = `flow: once
inputs: {id: {type: string}}
triggers: [{webhook: {path: /orders, connection: hook, dedupe: "${event.body.?id}", inputs: {id: "${string(event.body.phone)}"}, always: true}}]
steps: [{set: {x: "${inputs.id}"}}]
`

const answer = `flow: answer
inputs: {text: {type: string}, at: {type: string, format: date-time}}
triggers:
  - whatsapp_message: {sender_phone_id: "1", when: event.text == "hi", inputs: {text: "${event.text}", at: "${event.timestamp}"}}
  - whatsapp_message: {when: 'event.text.startsWith("h")', inputs: {text: "second", at: "${event.timestamp}"}}
steps: [{set: {x: "${inputs.text + string(inputs.at)}"}}]
`

const always = `flow: always
triggers: [{whatsapp_message: {sender_phone_id: "2", always: true}}]
steps: [{wait: 1s}]
`

const paid = `flow: paid
triggers: [{webhook: {path: /payments, connection: hook, when: 'event.body.id == "7"'}}]
steps: [{wait: 1s}]
`

func order(id string) map[string]any { return map[string]any{"id": id, "phone": "+33612345678"} }

func TestFire(t *testing.T) {
	for _, tt := range []struct {
		name    string
		event   host.Event
		claimed bool
		want    []string
	}{
		{"a webhook", request("e1", "/orders", "hook", order("7")), false, []string{"shop", "once"}},
		{"a webhook through another connection", request("e1", "/orders", "other", order("7")), false, nil},
		{"a webhook that proved nothing", request("e1", "/orders", "none", order("7")), false, nil},
		{"a webhook by hand", request("e1", "/orders", "", order("7")), false, []string{"shop", "once"}},
		{"a webhook of anybody", request("e1", "/open", "none", order("7")), false, []string{"shop"}},
		{"a webhook of somebody, where anybody may", request("e1", "/open", "hook", order("7")), false, []string{"shop"}},
		{"a webhook that a run waited for", request("e1", "/orders", "hook", order("7")), true, []string{"once"}},
		{"a webhook of another path", request("e1", "/orders/7", "hook", order("7")), false, nil},
		{"a webhook for which when holds", request("e1", "/payments", "hook", order("7")), false, []string{"paid"}},
		{"a webhook for which it does not", request("e1", "/payments", "hook", order("8")), false, nil},
		{"a message", message("m1", "1", "hi"), false, []string{"answer"}},
		{"a message for the second trigger", message("m1", "1", "hello"), false, []string{"answer"}},
		{"a message to another number", message("m1", "3", "hi"), false, []string{"answer"}},
		{"a message for both", message("m1", "2", "hi"), false, []string{"answer", "always"}},
		{"a message that a run waited for", message("m1", "2", "hi"), true, []string{"always"}},
		{"a message that says something else", message("m1", "1", "non"), false, nil},
		{"another kind", host.Event{ID: "x", Name: "order.paid"}, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newFixture(t, trigger.Options{}, shop, once, answer, always, paid)
			for range 3 {
				require.NoError(t, k.Fire(t.Context(), tt.event, tt.claimed))
			}
			assert.ElementsMatch(t, tt.want, k.host.flows(), "each once")
			told := strings.Split(strings.TrimSuffix(k.log.String(), "\n"), "\n")
			for i, flow := range k.host.flows() {
				require.Len(t, told, len(tt.want), "who knows the event finds the run")
				assert.Regexp(t, fmt.Sprintf(`msg="a trigger started a run" flow=%s .*event=%s run=%d$`, flow, tt.event.ID, i), told[i])
			}
			if len(tt.want) == 0 {
				assert.Empty(t, k.log.String())
			}
		})
	}
}

func TestInputs(t *testing.T) {
	k := newFixture(t, trigger.Options{}, shop, once, answer, always)
	require.NoError(t, k.Fire(t.Context(), request("e1", "/open", "none", order("7")), false))
	require.NoError(t, k.Fire(t.Context(), message("m1", "1", "hi"), false))
	require.NoError(t, k.Fire(t.Context(), message("m2", "7", "hello"), false))
	require.Len(t, k.host.runs, 3)
	assert.Equal(t, map[string]any{"phone": "+33612345678", "name": "Chez Nous", "at": noon()}, k.host.runs[0].inputs)
	assert.Equal(t, "webhook /open", k.host.runs[0].by)
	assert.Equal(t, map[string]any{"text": "hi", "at": noon().Add(-2e9)}, k.host.runs[1].inputs)
	assert.Equal(t, "message to 1", k.host.runs[1].by)
	assert.Equal(t, "second", k.host.runs[2].inputs["text"])
	assert.Equal(t, "message", k.host.runs[2].by)
}

// TestDedupe: two events with the same dedupe value start one run, whatever else they hold;
// events without a value each start one.
func TestDedupe(t *testing.T) {
	k := newFixture(t, trigger.Options{}, once)
	for i, body := range []any{order("7"), map[string]any{"id": "7", "phone": "+33600000002"}, order("8"), map[string]any{"phone": "a"}, map[string]any{"phone": "b"}, map[string]any{"id": int64(7), "phone": "c"}} {
		require.NoError(t, k.Fire(t.Context(), request(fmt.Sprint("e", i), "/orders", "hook", body), false))
	}
	var ids []any
	for _, r := range k.host.runs {
		ids = append(ids, r.inputs["id"])
	}
	assert.Equal(t, []any{"+33612345678", "+33612345678", "a", "b", "c"}, ids)
	assert.Equal(t, map[string]int{"once webhook started": 5, "once webhook repeated": 1}, k.counts)
}

// TestFailures: an expression that fails starts nothing, and is logged and counted.
func TestFailures(t *testing.T) {
	const broken = `flow: broken
inputs: {phone: {type: string, format: e164}}
triggers:
  - whatsapp_message: {sender_phone_id: "1", when: event.text.substring(5) == "x", inputs: {phone: "${event.from}"}}
  - whatsapp_message: {sender_phone_id: "2", inputs: {phone: "${event.text}"}}
  - webhook: {path: /inputs, connection: hook, inputs: {phone: "${event.body.phone}"}}
  - webhook: {path: /dedupe, connection: hook, dedupe: "${event.body.id}", inputs: {phone: "+33612345678"}}
  - webhook: {path: /random, connection: hook, inputs: {phone: "${'+336' + string(random(10000000, 99999999))}"}}
steps: [{set: {x: "${inputs.phone}"}}]
`
	for _, tt := range []struct {
		name  string
		event host.Event
		log   []string
	}{
		{"when", message("m1", "1", "hi"), []string{"flow=broken", "event=m1", "key=when", "at=broken.flow.yaml:4:63"}},
		{"inputs that do not fit", message("m1", "2", "private words"), []string{"event=m1", "key=inputs", "phone: the value is not a phone number"}},
		{"inputs that are not there", request("e1", "/inputs", "hook", map[string]any{}), []string{"event=e1", `trigger="webhook /inputs"`, "no such key: phone", "at=broken.flow.yaml:6:"}},
		{"a body that is a text", request("e1", "/inputs", "hook", "bonjour"), []string{"event=e1", "not a JSON object, so event.body is text"}},
		{"dedupe", request("e1", "/dedupe", "hook", map[string]any{}), []string{"key=dedupe", "no such key: id"}},
		{"what only a run has", request("e1", "/random", "hook", nil), []string{"key=inputs", "is not available here"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newFixture(t, trigger.Options{}, broken, strings.Replace(always, `"2"`, `"1"`, 1))
			require.NoError(t, k.Fire(t.Context(), tt.event, false), "it would fail again")
			assert.NotContains(t, k.host.flows(), "broken")
			if tt.event.Name == "whatsapp.message" && tt.name == "when" {
				assert.Equal(t, []string{"always"}, k.host.flows(), "others are not held up")
			}
			assert.Equal(t, 1, k.counts["broken webhook failed"]+k.counts["broken whatsapp_message failed"])
			assert.Contains(t, k.log.String(), "level=ERROR")
			assert.NotContains(t, k.log.String(), "private")
			for _, part := range tt.log {
				assert.Contains(t, k.log.String(), part)
			}
		})
	}
}

// TestRefusedStart: an event is delivered again if the host refused one of its starts; its other
// flows are then not started twice.
func TestRefusedStart(t *testing.T) {
	k := newFixture(t, trigger.Options{}, shop, once)
	k.host.err = errors.New("the disk is full")
	event := request("e1", "/orders", "hook", order("7"))
	err := k.Fire(t.Context(), event, false)
	require.ErrorContains(t, err, "start shop: the disk is full")
	require.ErrorContains(t, err, "start once: the disk is full")
	assert.Equal(t, map[string]int{"shop webhook refused": 1, "once webhook refused": 1}, k.counts)
	k.host.err = nil
	require.NoError(t, k.Fire(t.Context(), event, false))
	require.NoError(t, k.Fire(t.Context(), event, false))
	assert.Equal(t, []string{"shop", "once"}, k.host.flows())
}

// TestReload: Set replaces all flows atomically, while events arrive.
func TestReload(t *testing.T) {
	k := newFixture(t, trigger.Options{}, answer, always)
	other := compile(t, strings.Replace(answer, "flow: answer", "flow: renewed", 1), strings.Replace(always, "flow: always", "flow: forever", 1))
	before := compile(t, answer, always)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 200 {
				assert.NoError(t, k.Fire(t.Context(), message(fmt.Sprint("m", worker, " ", i), "2", "hi"), false))
			}
		})
	}
	for i := range 100 {
		k.Set([][]*plan.Plan{other, before}[i%2])
	}
	all.Wait()
	pairs := map[string]int{}
	for _, r := range k.host.runs {
		pairs[r.flow]++
	}
	assert.Equal(t, pairs["answer"], pairs["always"], "an event meets the old flows or the new ones, never some of both")
	assert.Equal(t, pairs["renewed"], pairs["forever"])
	assert.Equal(t, 800, pairs["answer"]+pairs["renewed"])
}

// TestEventsBeforeFlowsAreSet: events that arrive before the flows or the host are set wait for them.
func TestEventsBeforeFlowsAreSet(t *testing.T) {
	h := &fakeHost{}
	s := trigger.New(nil, trigger.Options{})
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.ErrorIs(t, s.Fire(ctx, message("m1", "2", "hi"), false), context.Canceled)
	fired := make(chan error)
	go func() { fired <- s.Fire(t.Context(), message("m1", "2", "hi"), false) }()
	s.Set(compile(t, always))
	require.ErrorIs(t, s.Fire(ctx, message("m1", "2", "hi"), false), context.Canceled)
	s.Serve(h)
	require.NoError(t, <-fired)
	assert.Equal(t, []string{"always"}, h.flows())
}

func TestHook(t *testing.T) {
	const waits = `flow: waits
inputs: {id: {type: string}}
steps:
  - {wait_for: {event: webhook, path: paid, connection: bank, timeout: 1h}}
  - {wait_for: {event: webhook, path: "/paid/${inputs.id}", connection: bank, timeout: 1h}}
  - foreach: [1, 2]
    as: n
    steps:
      - {wait_for: {event: webhook, path: "/public/${inputs.id}", connection: none, timeout: 1h}}
  - call: called
`
	const called = "flow: called\nsteps: [{wait_for: {event: webhook, path: /called, connection: hook, timeout: 1h}}]\n"
	k := newFixture(t, trigger.Options{}, shop, once, waits, called)
	check := func(path string, open bool, connections ...string) {
		t.Helper()
		names, anybody := k.WebhookSenders(path)
		assert.ElementsMatch(t, connections, names, path)
		assert.Equal(t, open, anybody, path)
	}
	check("/orders", false, "hook")
	check("/open", true)
	check("/paid", false, "bank")
	check("/paid/7", false, "bank")
	check("/paid/", false, "bank")
	check("/payments", false)
	check("/public/7", true)
	check("/public", false)
	check("/called", false, "hook")
	check("/", false)
	assert.Equal(t, []string{"/called", "/open", "/orders", "/paid", "/paid/…", "/public/…"}, k.WebhookPaths())

	k.Set(compile(t, always))
	check("/orders", false)
	check("/paid/7", false, "bank") // runs may wait for it still
	k.KeepWebhooks(compile(t, strings.Replace(called, "path: /called", "path: /older", 1))...)
	check("/older", false, "hook")
}

func BenchmarkFire(b *testing.B) {
	var texts []string
	for i := range 1000 {
		texts = append(texts, strings.NewReplacer("flow: answer", fmt.Sprintf("flow: answer%d", i), `sender_phone_id: "1"`, fmt.Sprintf(`sender_phone_id: "%d"`, i),
			`  - whatsapp_message: {when: 'event.text.startsWith("h")', inputs: {text: "second", at: "${event.timestamp}"}}`+"\n", "").Replace(answer))
	}
	k := newFixture(b, trigger.Options{}, texts...)
	event := message("m1", "7", "hi")
	b.ReportAllocs()
	for b.Loop() {
		if err := k.Fire(b.Context(), event, false); err != nil {
			b.Fatal(err)
		}
	}
}
