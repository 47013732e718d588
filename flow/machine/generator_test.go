package machine_test

import (
	"encoding/json"
	"fmt"
	"math/rand"
)

// A generator writes random flows: every construct of the language, nested in any way.
type generator struct {
	*rand.Rand
	ids    int
	budget int  // steps that may still be written
	calls  bool // the flow may call another
}

// A place says what the steps there may be.
type place struct {
	depth      int
	concurrent bool   // no return here
	finally    bool   // it must end by itself, and also runs when the run is cancelled
	id         string // what ids begin with
}

// flows returns the source of a flow, and of one that it calls.
func (g *generator) flows() []string {
	g.budget = 4
	inner := g.flow("inner", false)
	g.budget = 12
	return []string{g.flow("outer", true), inner}
}

func (g *generator) flow(name string, calls bool) string {
	g.calls = calls
	f := map[string]any{
		"flow":  name,
		"steps": append([]any{map[string]any{"set": map[string]any{"v": 7}}}, g.steps(place{depth: 3, id: "s"})...),
		"outputs": map[string]any{
			"v":  "${vars.?v.orValue(0)}",
			"at": "${now()}",
		},
	}
	if g.Intn(3) == 0 {
		f["timeout"] = "40s"
	}
	if g.Intn(3) == 0 {
		g.budget = 2
		f["on_failure"] = g.steps(place{depth: 1, concurrent: true, id: "late"})
	}
	text, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (g *generator) steps(p place) []any {
	out := []any{g.step(p)}
	for g.budget > 0 && g.Intn(3) > 0 {
		out = append(out, g.step(p))
	}
	return out
}

func (g *generator) step(p place) map[string]any {
	g.budget--
	g.ids++
	s := map[string]any{"id": fmt.Sprintf("%s%d", p.id, g.ids)}
	g.construct(s, p)
	if g.Intn(5) == 0 {
		s["if"] = "random(0, 2) > 0"
	}
	if g.Intn(5) == 0 {
		s["allow_failure"] = true
	}
	return s
}

func (g *generator) construct(s map[string]any, p place) {
	kind := g.Intn(16)
	if p.depth == 0 || g.budget <= 0 {
		kind = g.Intn(9)
	}
	inner := p
	inner.depth--
	switch kind {
	case 0, 1, 2, 3:
		g.send(s)
	case 4:
		s["action"], s["with"] = "test.get", map[string]any{"url": "https://${now()}"}
		if g.Intn(2) == 0 {
			s["idempotent"], s["on_unknown"] = true, "resend"
		}
	case 5:
		s["set"] = map[string]any{"v": fmt.Sprintf("${random(%d, 9)}", g.Intn(9))}
	case 6:
		if g.Intn(2) == 0 {
			s["wait_until"] = `${now() + duration("3s")}`
		} else {
			s["wait"] = fmt.Sprintf("%ds", g.Intn(8))
		}
	case 7:
		g.waitFor(s, p, inner)
	case 8:
		switch {
		case g.Intn(3) == 0 && !p.concurrent:
			s["return"] = map[string]any{"v": "${random(0, 9)}"}
			s["if"] = "random(0, 1) > 0"
		case g.Intn(3) == 0:
			s["fail"] = map[string]any{"code": "oops", "message": "${uuid()}"}
			s["if"] = "random(0, 1) > 0"
		default:
			s["set"] = map[string]any{"v": "${vars.?v.orValue(1) / random(0, 3)}"}
		}
	case 9:
		s["switch"] = []any{
			map[string]any{"when": "random(0, 2) == 0", "steps": g.steps(inner)},
			map[string]any{"when": "1 / random(0, 9) == 0", "steps": g.steps(inner)},
		}
		s["default"] = g.steps(inner)
	case 10, 11:
		n := 1 + g.Intn(3)
		inner.concurrent = p.concurrent || n > 1
		items := make([]any, g.Intn(5))
		for i := range items {
			items[i] = i
		}
		s["foreach"], s["as"], s["concurrency"], s["steps"] = items, "item", n, g.steps(inner)
		s["collect"] = "${vars.?v.orValue(1) / random(0, 9)}"
	case 12, 13:
		inner.concurrent = true
		s["parallel"] = map[string]any{"left": g.steps(inner), "right": g.steps(inner)}
	case 14:
		s["try"] = g.steps(inner)
		if g.Intn(2) == 0 {
			s["catch"] = []any{map[string]any{"when": `error.code != "oops"`, "steps": g.steps(inner)}}
		}
		last := inner
		last.finally, last.id = true, "fin"
		s["finally"] = g.steps(last)
	default:
		if !g.calls || p.finally { // what is called may wait for ever
			g.send(s)
			return
		}
		s["call"] = "inner"
	}
}

func (g *generator) send(s map[string]any) {
	s["action"] = "test.send"
	s["with"] = map[string]any{
		"to": []string{"+331", "+332", "0"}[min(g.Intn(12), 2)], "text": "${uuid()}", "extra": "${[random(1, 9), now()]}",
	}
	if s["with"].(map[string]any)["to"] == "0" && g.Intn(3) > 0 {
		s["with"].(map[string]any)["to"] = "+333"
	}
	if s["with"].(map[string]any)["to"] == "0" {
		s["with"].(map[string]any)["to"] = "${random(0, 1) == 0 ? '+331' : 'nobody'}"
	}
	if g.Intn(2) == 0 {
		s["retry"] = map[string]any{"attempts": 2 + g.Intn(2), "when": `error.code != "100"`}
	}
	if g.Intn(3) == 0 {
		s["await"] = map[string]any{"state": []string{"sent", "delivered", "read"}[g.Intn(3)], "timeout": "20s"}
	}
	if g.Intn(3) == 0 {
		s["on_unknown"] = "resend"
	}
	s["timeout"], s["unknown_timeout"] = "5s", "10s"
}

func (g *generator) waitFor(s map[string]any, p, inner place) {
	w := map[string]any{"event": "test.message", "from": "+331", "when": `int(event.text) > random(0, 3)`}
	if g.Intn(2) == 0 {
		w = map[string]any{"event": "webhook", "path": "/x"}
	}
	s["wait_for"] = w
	if p.finally || g.Intn(4) > 0 {
		w["timeout"] = "6s"
		switch g.Intn(3) {
		case 0:
			s["on_timeout"] = "continue"
		case 1:
			if p.depth > 0 {
				s["on_timeout"] = g.steps(inner)
			}
		}
	}
}
