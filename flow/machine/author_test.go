package machine_test

import (
	"encoding/json"
	"fmt"
	"math/rand"
)

// An author writes flows at random: all that the language has, nested in all ways.
type author struct {
	*rand.Rand
	ids    int
	budget int // of steps
	calls  bool
}

// A place is where steps stand.
type place struct {
	depth      int
	concurrent bool   // no return here
	finally    bool   // it must end by itself, and also runs when the run is cancelled
	id         string // what ids begin with
}

// flows returns the source of a flow, and of one that it calls.
func (a *author) flows() []string {
	a.budget = 4
	inner := a.flow("inner", false)
	a.budget = 12
	return []string{a.flow("outer", true), inner}
}

func (a *author) flow(name string, calls bool) string {
	a.calls = calls
	f := map[string]any{
		"flow":  name,
		"steps": append([]any{map[string]any{"set": map[string]any{"v": 7}}}, a.steps(place{depth: 3, id: "s"})...),
		"outputs": map[string]any{
			"v":  "${vars.?v.orValue(0)}",
			"at": "${now()}",
		},
	}
	if a.Intn(3) == 0 {
		f["timeout"] = "40s"
	}
	if a.Intn(3) == 0 {
		a.budget = 2
		f["on_failure"] = a.steps(place{depth: 1, concurrent: true, id: "late"})
	}
	text, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (a *author) steps(p place) []any {
	out := []any{a.step(p)}
	for a.budget > 0 && a.Intn(3) > 0 {
		out = append(out, a.step(p))
	}
	return out
}

func (a *author) step(p place) map[string]any {
	a.budget--
	a.ids++
	s := map[string]any{"id": fmt.Sprintf("%s%d", p.id, a.ids)}
	a.construct(s, p)
	if a.Intn(5) == 0 {
		s["if"] = "random(0, 2) > 0"
	}
	if a.Intn(5) == 0 {
		s["allow_failure"] = true
	}
	return s
}

func (a *author) construct(s map[string]any, p place) {
	kind := a.Intn(16)
	if p.depth == 0 || a.budget <= 0 {
		kind = a.Intn(9)
	}
	inner := p
	inner.depth--
	switch kind {
	case 0, 1, 2, 3:
		a.send(s)
	case 4:
		s["action"], s["with"] = "test.get", map[string]any{"url": "https://${now()}"}
		if a.Intn(2) == 0 {
			s["idempotent"], s["on_unknown"] = true, "resend"
		}
	case 5:
		s["set"] = map[string]any{"v": fmt.Sprintf("${random(%d, 9)}", a.Intn(9))}
	case 6:
		if a.Intn(2) == 0 {
			s["wait_until"] = `${now() + duration("3s")}`
		} else {
			s["wait"] = fmt.Sprintf("%ds", a.Intn(8))
		}
	case 7:
		a.waitFor(s, p, inner)
	case 8:
		switch {
		case a.Intn(3) == 0 && !p.concurrent:
			s["return"] = map[string]any{"v": "${random(0, 9)}"}
			s["if"] = "random(0, 1) > 0"
		case a.Intn(3) == 0:
			s["fail"] = map[string]any{"code": "oops", "message": "${uuid()}"}
			s["if"] = "random(0, 1) > 0"
		default:
			s["set"] = map[string]any{"v": "${vars.?v.orValue(1) / random(0, 3)}"}
		}
	case 9:
		s["switch"] = []any{
			map[string]any{"when": "random(0, 2) == 0", "steps": a.steps(inner)},
			map[string]any{"when": "1 / random(0, 9) == 0", "steps": a.steps(inner)},
		}
		s["default"] = a.steps(inner)
	case 10, 11:
		n := 1 + a.Intn(3)
		inner.concurrent = p.concurrent || n > 1
		items := make([]any, a.Intn(5))
		for i := range items {
			items[i] = i
		}
		s["foreach"], s["as"], s["concurrency"], s["steps"] = items, "item", n, a.steps(inner)
		s["collect"] = "${vars.?v.orValue(1) / random(0, 9)}"
	case 12, 13:
		inner.concurrent = true
		s["parallel"] = map[string]any{"left": a.steps(inner), "right": a.steps(inner)}
	case 14:
		s["try"] = a.steps(inner)
		if a.Intn(2) == 0 {
			s["catch"] = []any{map[string]any{"when": `error.code != "oops"`, "steps": a.steps(inner)}}
		}
		last := inner
		last.finally, last.id = true, "fin"
		s["finally"] = a.steps(last)
	default:
		if !a.calls || p.finally { // what is called may wait for ever
			a.send(s)
			return
		}
		s["call"] = "inner"
	}
}

func (a *author) send(s map[string]any) {
	s["action"] = "test.send"
	s["with"] = map[string]any{
		"to": []string{"+331", "+332", "0"}[min(a.Intn(12), 2)], "text": "${uuid()}", "extra": "${[random(1, 9), now()]}",
	}
	if s["with"].(map[string]any)["to"] == "0" && a.Intn(3) > 0 {
		s["with"].(map[string]any)["to"] = "+333"
	}
	if s["with"].(map[string]any)["to"] == "0" {
		s["with"].(map[string]any)["to"] = "${random(0, 1) == 0 ? '+331' : 'nobody'}"
	}
	if a.Intn(2) == 0 {
		s["retry"] = map[string]any{"attempts": 2 + a.Intn(2), "when": `error.code != "100"`}
	}
	if a.Intn(3) == 0 {
		s["await"] = map[string]any{"state": []string{"sent", "delivered", "read"}[a.Intn(3)], "timeout": "20s"}
	}
	if a.Intn(3) == 0 {
		s["on_unknown"] = "resend"
	}
	s["timeout"], s["unknown_timeout"] = "5s", "10s"
}

func (a *author) waitFor(s map[string]any, p, inner place) {
	w := map[string]any{"event": "test.message", "from": "+331", "when": `int(event.text) > random(0, 3)`}
	if a.Intn(2) == 0 {
		w = map[string]any{"event": "webhook", "path": "/x"}
	}
	s["wait_for"] = w
	if p.finally || a.Intn(4) > 0 {
		w["timeout"] = "6s"
		switch a.Intn(3) {
		case 0:
			s["on_timeout"] = "continue"
		case 1:
			if p.depth > 0 {
				s["on_timeout"] = a.steps(inner)
			}
		}
	}
}
