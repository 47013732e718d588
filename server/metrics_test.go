package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// scrape returns the lines of the metrics of ours.
func (d *daemon) scrape() string {
	d.Helper()
	resp := d.do("GET", "/metrics", "")
	require.Equal(d, 200, resp.Code)
	var ours []string
	for line := range strings.Lines(resp.Body.String()) {
		if strings.HasPrefix(line, "facteur_") {
			ours = append(ours, strings.TrimSpace(line))
		}
	}
	return strings.Join(ours, "\n")
}

func TestMetrics(t *testing.T) {
	h := newFakeHost()
	var m *server.Metrics
	d := newDaemon(t, func(o *server.Options) {
		m = server.NewMetrics("1.2.3")
		o.Metrics = m
	})
	require.NoError(t, m.Watch(h))
	assert.ErrorContains(t, m.Watch(h), "the metrics of the host")
	h.held = []host.Hold{{Scope: host.Connection, Name: "shop", Auto: true, Calls: 3}, {Scope: host.Connection, Name: "b", Calls: 1}, {Scope: host.All}, {Scope: host.Limit, Name: "number 1", Auto: true, Calls: 7}}
	h.runs = []host.Run{{ID: "a", Unknown: 2}, {ID: "b", Unknown: 1}}
	m.RunEnded("order_shipped", machine.Succeeded)
	m.Step("run1", &machine.Step{Flow: "order_shipped", Place: "notify", Kind: "action", Action: "test.send", Status: machine.Succeeded}, nil)
	m.Step("run1", &machine.Step{Flow: "order_shipped", Place: "gone", Kind: "action", Status: machine.Failed}, nil)
	m.Step("run1", &machine.Step{Flow: "gone", Place: "steps[1]", Kind: "wait", Status: machine.Skipped}, nil)
	outcomes := []call.Outcome{{Status: call.Succeeded}, {Status: call.Failed, Error: &call.Error{Class: "throttle-pair"}}, {Status: call.Unknown, Error: &call.Error{}}, {Status: call.Failed, Held: true}}
	do := m.Do(func(context.Context, call.Call) (o call.Outcome) {
		o, outcomes = outcomes[0], outcomes[1:]
		return o
	})
	for range 4 {
		do(t.Context(), call.Call{Action: "test.send"})
	}
	m.Webhook("status")
	m.Quality("106540352242922", "YELLOW")
	d.do("GET", "/v1/flows", "")
	d.do("GET", "/v1/runs/nothing", "")
	d.do("GET", "/nothing/+33612345678", "")

	got := d.scrape()
	for _, line := range []string{
		`facteur_runs_ended_total{flow="order_shipped",status="succeeded"} 1`,
		`facteur_steps_total{action="test.send",status="succeeded"} 1`,
		`facteur_steps_total{action="action",status="failed"} 1`,
		`facteur_steps_total{action="wait",status="skipped"} 1`,
		`facteur_calls_total{action="test.send",class="",outcome="succeeded"} 1`,
		`facteur_calls_total{action="test.send",class="throttle-pair",outcome="failed"} 1`,
		`facteur_calls_total{action="test.send",class="none",outcome="unknown"} 1`,
		`facteur_call_duration_seconds_count{action="test.send"} 3`,
		`facteur_webhooks_total{kind="status"} 1`,
		`facteur_number_quality{sender_phone_id="106540352242922"} 2`,
		`facteur_holds{scope="connection",set_by="daemon"} 1`,
		`facteur_holds{scope="connection",set_by="people"} 1`,
		`facteur_holds{scope="all",set_by="people"} 1`,
		`facteur_held_calls{scope="connection"} 4`,
		`facteur_holds{scope="limit",set_by="daemon"} 1`,
		`facteur_held_calls{scope="limit"} 7`,
		`facteur_limited_runs 3`,
		`facteur_limited_seconds 90`,
		`facteur_unknown_runs 2`,
		`facteur_unknown_calls 3`,
		`facteur_http_requests_total{code="200",route="/v1/flows"} 1`,
		`facteur_http_requests_total{code="404",route="/v1/runs/{run}"} 1`,
		`facteur_http_requests_total{code="404",route="none"} 1`,
	} {
		assert.Contains(t, got, line)
	}
	assert.Contains(t, got, `version="1.2.3"`)
	assert.NotContains(t, got, "3361234")

	h.fail = errors.New("the journal is gone")
	assert.Contains(t, d.scrape(), `facteur_webhooks_total{kind="status"} 1`, "the rest is told all the same")
	assert.Contains(t, d.scrape(), `facteur_http_requests_total{code="200",route="/metrics"} 2`)
}

// The operators' page names each metric with its labels, and no other.
func TestMetricsAreDocumented(t *testing.T) {
	m := server.NewMetrics("")
	require.NoError(t, m.Watch(newFakeHost()))
	d := newDaemon(t, func(o *server.Options) { o.Metrics = m })
	m.RunEnded("f", machine.Succeeded)
	m.Step("r", &machine.Step{Kind: "wait"}, nil)
	m.Do(func(context.Context, call.Call) call.Outcome { return call.Outcome{} })(t.Context(), call.Call{})
	m.Webhook("status")
	m.WebhookAnswered("hooks", time.Millisecond)
	m.Trigger("f", "schedule", "missed")
	m.Quality("1", "GREEN")
	d.scrape()
	told := map[string]string{}
	for line := range strings.Lines(d.scrape()) {
		name, rest, _ := strings.Cut(strings.Fields(line)[0], "{")
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, part)
		}
		labels := map[string]bool{}
		for _, one := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(rest, -1) {
			if one[1] != "le" {
				labels[one[1]] = true
			}
		}
		told[name] = strings.Join(slices.Sorted(maps.Keys(labels)), ",")
	}
	page, err := os.ReadFile("../examples/deploy/README.md")
	require.NoError(t, err)
	documented := map[string]string{}
	for line := range strings.Lines(string(page)) {
		row, isRow := strings.CutPrefix(line, "| ")
		if !isRow {
			continue
		}
		cell, _, _ := strings.Cut(row, " | ")
		for _, one := range regexp.MustCompile("`(facteur_\\w+)(?:\\{([a-z_,]+)\\})?`").FindAllStringSubmatch(cell, -1) {
			labels := strings.Split(one[2], ",")
			slices.Sort(labels)
			documented[one[1]] = strings.Join(labels, ",")
		}
	}
	assert.Equal(t, told, documented)

	// Its alerts are about them, and say what is to be the same on both sides: all labels are
	// otherwise, which no two metrics share.
	_, rules, _ := strings.Cut(string(page), "\ngroups:\n")
	rules, _, _ = strings.Cut(rules, "```")
	rules = regexp.MustCompile(`#.*`).ReplaceAllString(rules, "")
	assert.Contains(t, rules, "FacteurNoWebhooks")
	for _, name := range regexp.MustCompile(`facteur_\w+`).FindAllString(rules, -1) {
		assert.Contains(t, documented, name)
	}
	for _, both := range regexp.MustCompile(`\b(?:and|or|unless)\b.{0,5}`).FindAllString(rules, -1) {
		assert.Contains(t, both, " on (")
	}
}

func TestLabelsAreBounded(t *testing.T) {
	m := server.NewMetrics("")
	d := newDaemon(t, func(o *server.Options) { o.Metrics = m })
	for i := range 5000 {
		m.RunEnded(fmt.Sprintf("flow%d", i), machine.Failed)
		m.Webhook(fmt.Sprintf("kind%d", i))
	}
	got := d.scrape()
	assert.Less(t, strings.Count(got, "facteur_runs_ended_total"), 1002)
	assert.Contains(t, got, `facteur_runs_ended_total{flow="other",status="failed"} 4000`)
	assert.Contains(t, got, `facteur_webhooks_total{kind="other"} 4900`)
}

func TestOneLineForEachStep(t *testing.T) {
	log := &bytes.Buffer{}
	logger := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "time" {
			return slog.Attr{}
		}
		return a
	}}))
	tell := server.View{}.StepLog(logger)
	tell("r1", &machine.Step{
		Path: "notify", ID: "notify", Flow: "order_shipped", Place: "notify", Kind: "action", Action: "test.send", Status: machine.Succeeded, Attempts: 2, Started: began, Ended: began.Add(1500 * time.Microsecond),
		Outputs: map[string]any{"text": "hello"},
	}, nil)
	tell("r1", &machine.Step{
		Path: "each[3].notify", Flow: "order_shipped", Place: "notify", Kind: "action", Action: "test.send", Status: machine.Failed, Attempts: 1, Started: began, Ended: began.Add(time.Second), Unknown: true,
		Error: &call.Error{Code: "131026", MetaCode: 131026, Class: "recipient", Message: "+33612345678 with 4711-secret"},
	}, []any{"4711-secret"})
	tell("r1", &machine.Step{Path: "steps[0]", Flow: "gone", Kind: "wait", Status: machine.Succeeded, Started: began, Ended: began}, nil)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	require.Len(t, lines, 3)
	assert.JSONEq(t, `{"level":"INFO","msg":"step","run":"r1","flow":"order_shipped","step":"notify","kind":"action","status":"succeeded","action":"test.send","attempts":2,"took":1500000}`, lines[0])
	assert.JSONEq(t, `{"level":"WARN","msg":"step","run":"r1","flow":"order_shipped","step":"each[3].notify","kind":"action","status":"failed","action":"test.send","attempts":1,"took":1000000000,
		"unknown":true,"code":"131026","class":"recipient","error":"+*********78 with [secret]","meta_code":131026}`, lines[1])
	assert.JSONEq(t, `{"level":"INFO","msg":"step","run":"r1","flow":"gone","step":"steps[0]","kind":"wait","status":"succeeded","took":0}`, lines[2])

	log.Reset()
	server.View{Numbers: true}.StepLog(logger)("r1", &machine.Step{Kind: "action", Status: machine.Failed, Error: &call.Error{Message: "+33612345678"}}, nil)
	assert.Contains(t, log.String(), "+33612345678")
	log.Reset()
	quiet := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelError}))
	server.View{}.StepLog(quiet)("r1", &machine.Step{}, nil)
	assert.Empty(t, log.String())
}

func TestNumbersInLines(t *testing.T) {
	var out bytes.Buffer
	log := func(v server.View) *slog.Logger { return slog.New(v.Handler(slog.NewTextHandler(&out, nil))) }
	hidden := log(server.View{}).With("who", "+33612345678").WithGroup("g")
	hidden.Warn("no +33612345678", "error", errors.New("33612345678 has no plus: +33612345678"), "n", 7, slog.Group("in", "to", "+33612345679", "at", began),
		"id", "106540352242922", "order", "2026000070", "zone", "12:00+0100", "name", slog.AnyValue(struct{ To string }{"+33612345671"}))
	got := out.String()
	assert.NotContains(t, got, "3361234567")
	assert.Contains(t, got, `msg="no +*********78" who=+*********78 g.error="*********78 has no plus: +*********78" g.n=7 g.in.to=+*********79`)
	assert.Contains(t, got, `g.id=106540352242922`)
	assert.Contains(t, got, `g.zone=12:00+0100 g.name={+*********71}`)
	for text, want := range map[string]string{
		"+33612345678 106540352242922":               "+*********78 106540352242922",
		"+33 6 12 34 56 78, +1 (425) 555-0123":       "+*********78, +*********23",
		`"0612345678" has no +, 33612345678`:         `"********78" has no +, 33612345678`,
		`number "106540352242922", code "131047"`:    `number "106540352242922", code "131047"`,
		"+33612345678901234 is too long":             "+***************34 is too long",
		"at 09:00:00 +0100 CET, +12, 1+1, +, +1 - 2": "at 09:00:00 +0100 CET, +12, 1+1, +, +1 - 2",
	} {
		out.Reset()
		log(server.View{}).Info("x", "text", slog.AnyValue(errors.New(text)))
		assert.Contains(t, strings.ReplaceAll(out.String(), `\"`, `"`), strings.ReplaceAll(want, `\"`, `"`))
	}
	out.Reset()
	log(server.View{Numbers: true}).Info("to +33612345678")
	assert.Contains(t, out.String(), "+33612345678")
	out.Reset()
	log(server.View{}).Info("nothing", "error", errors.New("plain"))
	assert.Contains(t, out.String(), "msg=nothing error=plain")
}

func TestARequestIsLoggedAtDebug(t *testing.T) {
	d := newDaemon(t)
	d.do("GET", "/v1/runs?recipient=%2B33612345678", "")
	var line map[string]any
	require.NoError(t, json.Unmarshal(d.log.Bytes(), &line))
	delete(line, "time")
	delete(line, "took")
	assert.Equal(t, map[string]any{"level": "DEBUG", "msg": "request", "method": "GET", "path": "/v1/runs", "status": 200.0, "key": ""}, line)
	d.do("GET", "/v1/flows/+33612345678", "")
	assert.NotContains(t, d.log.String(), "3361234")
}

// A load balancer sends nobody to a daemon that stops.
func TestReadinessWhileStopping(t *testing.T) {
	stopping, stop := context.WithCancel(t.Context())
	d := newDaemon(t, func(o *server.Options) { o.Stopping = stopping })
	assert.Equal(t, 200, d.do("GET", "/readyz", "").Code)
	stop()
	resp := d.do("GET", "/readyz", "")
	assert.Equal(t, 503, resp.Code)
	assert.JSONEq(t, `{"ready":false,"checks":[{"name":"stopping","ok":false,"error":"the daemon is stopping and accepts nothing new"}]}`, resp.Body.String())
	assert.Equal(t, 200, d.do("GET", "/healthz", "").Code)
}

func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fails error
		asked := 0
		d := newDaemon(t, func(o *server.Options) {
			o.Checks = []server.Check{
				{Name: "journal", Do: func(context.Context) error { return nil }},
				{Name: "vault", Do: func(context.Context) error { asked++; return fails }},
				{Name: "slow", Do: func(ctx context.Context) error {
					if fails == nil {
						return nil
					}
					<-ctx.Done()
					return ctx.Err()
				}},
			}
		})
		for range 3 {
			assert.JSONEq(t, `{"ready":true,"checks":[{"name":"journal","ok":true},{"name":"vault","ok":true},{"name":"slow","ok":true}]}`, d.do("GET", "/readyz", "").Body.String())
		}
		assert.Equal(t, 1, asked, "a result stands for a second")
		time.Sleep(time.Second) // of the bubble
		fails = errors.New("it is sealed")
		resp := d.do("GET", "/readyz", "")
		assert.Equal(t, 503, resp.Code)
		assert.JSONEq(t, `{"ready":false,"checks":[{"name":"journal","ok":true},{"name":"vault","ok":false,"error":"it is sealed"},{"name":"slow","ok":false,"error":"context deadline exceeded"}]}`, resp.Body.String())

		_, key, err := d.keys.Create("probe", server.ScopeRead, time.Time{})
		require.NoError(t, err)
		resp = d.do("GET", "/readyz", "")
		assert.Equal(t, 503, resp.Code)
		assert.NotContains(t, resp.Body.String(), "sealed", "who may not read is not told why")
		assert.Contains(t, d.do("GET", "/readyz", "", "Authorization: Bearer "+key).Body.String(), "sealed")
	})
}
