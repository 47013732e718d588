package machine_test

import (
	"fmt"
	"runtime"
	"testing"

	"facteur/flow/call"
	"facteur/flow/machine"
	"facteur/flow/plan"
)

const notify = `
flow: order_shipped
inputs:
  phone: {type: string}
  order_id: {type: string, pattern: "^[0-9]+$"}
  name: {type: string, default: cher client}
steps:
  - id: notify
    action: test.send
    connection: shop
    with:
      to: ${inputs.phone}
      text: "n° ${inputs.order_id}"
      extra:
        name: order_shipped
        language: {code: fr}
        components:
          - type: body
            parameters:
              - {type: text, text: "${inputs.name}"}
              - {type: text, text: "n° ${inputs.order_id}"}
    retry: {attempts: 4}
    timeout: 20s
outputs:
  status_code: ${steps.notify.outputs.status_code}
  message_id: ${steps.notify.outputs.message_id}
`

// run executes a run to its end; every call succeeds at once.
func run(b testing.TB, p *plan.Plan, s machine.Start, output map[string]any) *machine.Machine {
	m := machine.New(p, s)
	at := s.At
	apply := func(e machine.Event) {
		if err := m.Apply(e); err != nil {
			b.Fatal(err)
		}
	}
	for m.Result() == nil {
		for _, c := range m.Next() {
			switch c := c.(type) {
			case *machine.Call:
				apply(machine.Taken{At: at, Key: c.Key, Fingerprint: c.Fingerprint})
				apply(machine.Answered{At: at, Key: c.Key, Outcome: call.Outcome{Status: call.Succeeded, Output: output}})
			case machine.Sleep:
				if m.Wants(c) {
					at = c.Until
					apply(machine.Fired{At: at, Timer: c.Timer})
				}
			}
		}
	}
	if s := m.Result().Status; s != machine.Succeeded {
		b.Fatal(m.Result().Error)
	}
	return m
}

var sent = map[string]any{"status_code": int64(200), "success": true, "message_id": "m1", "body": map[string]any{"messages": []any{map[string]any{"id": "m1"}}}}

// BenchmarkSend executes a run that sends one message, without the sending.
func BenchmarkSend(b *testing.B) {
	p := compile(b, notify)
	s := newStart(p, map[string]any{"phone": "+331", "order_id": "7"})
	b.ReportAllocs()
	for b.Loop() {
		run(b, p, s, sent)
	}
}

// BenchmarkNew is what there is to a run before its first call.
func BenchmarkNew(b *testing.B) {
	p := compile(b, notify)
	s := newStart(p, map[string]any{"phone": "+331", "order_id": "7"})
	b.ReportAllocs()
	for b.Loop() {
		machine.New(p, s).Next()
	}
}

// BenchmarkLoop sends to many, ten at once; kept-B is what a run that ended still
// holds for each of them, its report for the most part.
func BenchmarkLoop(b *testing.B) {
	p := compile(b, `
flow: bulk
inputs:
  people: {type: array, items: {type: integer}}
steps:
  - id: each
    foreach: ${inputs.people}
    as: person
    concurrency: 10
    steps:
      - {id: notify, action: test.send, with: {to: "+33${person}", text: "hello ${person}"}, retry: {attempts: 3}}
      - {set: {last: "${steps.notify.outputs.message_id}"}}
    collect: ${vars.last}
`)
	for _, n := range []int{1_000, 10_000, 100_000} {
		people := make([]any, n)
		for i := range people {
			people[i] = int64(i)
		}
		s := newStart(p, map[string]any{"people": people})
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var before, after runtime.MemStats
			var m *machine.Machine
			for b.Loop() {
				runtime.GC()
				runtime.ReadMemStats(&before)
				m = run(b, p, s, sent)
				runtime.GC()
				runtime.ReadMemStats(&after)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/item")
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "kept-B/item")
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(n), "B/item")
			runtime.KeepAlive(m)
		})
	}
}

// BenchmarkSteps measures steps that make no call.
func BenchmarkSteps(b *testing.B) {
	p := compile(b, `
flow: steps
inputs:
  n: {type: array}
steps:
  - foreach: ${inputs.n}
    as: i
    steps:
      - {set: {a: "${i}"}}
      - {id: b, if: vars.a > 3, set: {b: "${vars.a}"}}
`)
	items := make([]any, 10_000)
	for i := range items {
		items[i] = int64(i)
	}
	s := newStart(p, map[string]any{"n": items})
	b.ReportAllocs()
	for b.Loop() {
		run(b, p, s, nil)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(items)), "ns/item")
}

// BenchmarkResume rebuilds a run of a thousand calls from its journal.
func BenchmarkResume(b *testing.B) {
	p := compile(b, `
flow: bulk
steps:
  - foreach: "${lists.range(1000)}"
    as: i
    steps:
      - {id: notify, action: test.send, with: {to: "+331", text: "hello ${i}"}}
`)
	w := newFakeHost(b, p, newStart(p, nil))
	for w.m.Result() == nil {
		c := w.calls(false)[0]
		w.must(machine.Taken{At: w.now, Key: c.Key, Fingerprint: c.Fingerprint})
		w.must(machine.Answered{At: w.now, Key: c.Key, Outcome: call.Outcome{Status: call.Succeeded, Output: sent}})
	}
	b.ReportAllocs()
	for b.Loop() {
		m := machine.New(p, w.start)
		for _, e := range w.journal {
			if err := m.Apply(e); err != nil {
				b.Fatal(err)
			}
		}
	}
}
