package server

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the daemon's metrics for Prometheus. Their labels are flows, actions, classes
// and the like, never contacts, runs or keys, and the number of values of each label is
// limited; the rest is "other". Its methods are safe for concurrent use, and quick.
type Metrics struct {
	registry *prometheus.Registry
	handler  http.Handler

	runs, steps, calls, webhooks, triggers, requests *prometheus.CounterVec
	latency, answers                                 *prometheus.HistogramVec
	quality                                          *prometheus.GaugeVec

	flows, actions, classes, kinds, senders labelLimit
}

// NewMetrics returns metrics on a registry of their own, with those of the process and the
// version of the build.
func NewMetrics(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), flows: labelLimit{max: 1000}, actions: labelLimit{max: 200}, classes: labelLimit{max: 100}, kinds: labelLimit{max: 100}, senders: labelLimit{max: 1000}}
	m.runs = m.counter("facteur_runs_ended_total", "Runs that ended.", "flow", "status")
	m.steps = m.counter("facteur_steps_total", "Steps that ended, by action, or by kind if they call none.", "action", "status")
	m.calls = m.counter("facteur_calls_total", "Calls of actions, by outcome and the class of its error.", "action", "outcome", "class")
	m.webhooks = m.counter("facteur_webhooks_total", "Webhooks received.", "kind")
	m.triggers = m.counter("facteur_triggers_total", "What became of events and times at the triggers of flows.", "flow", "trigger", "verdict")
	m.requests = m.counter("facteur_http_requests_total", "Requests to the API.", "route", "code")
	m.latency = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "facteur_call_duration_seconds", Help: "How long calls of actions took.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	}, []string{"action"})
	m.answers = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "facteur_webhook_duration_seconds", Help: "How long it took to store and answer webhooks.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"door"})
	m.quality = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "facteur_number_quality", Help: "The quality rating of a sender number, by its phone number ID: 3 green, 2 yellow, 1 red, 0 unknown.",
	}, []string{"sender_phone_id"})
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "facteur_build_info", Help: "The version of this build; always 1.",
		ConstLabels: prometheus.Labels{"version": cmp.Or(version, "unknown"), "go": runtime.Version()},
	}, func() float64 { return 1 })
	m.registry.MustRegister(m.latency, m.answers, m.quality, build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4})
	return m
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

// Watch adds the metrics of a host, whose holds and unknown outcomes are read at each scrape.
// A second host is an error.
func (m *Metrics) Watch(h host.Host) error {
	if err := m.registry.Register(newHostCollector(h)); err != nil {
		return fmt.Errorf("the metrics of the host: %w", err)
	}
	return nil
}

// RunEnded counts a run that ended.
func (m *Metrics) RunEnded(flow string, status machine.Status) {
	m.runs.WithLabelValues(m.flows.label(flow), string(status)).Inc()
}

// Step counts a step that ended; it is local.Options.OnStep.
func (m *Metrics) Step(_ string, s *machine.Step, _ []any) {
	m.steps.WithLabelValues(m.actions.label(cmp.Or(s.Action, s.Kind)), string(s.Status)).Inc()
}

// Do counts the calls of do, and how long they take.
func (m *Metrics) Do(do call.Do) call.Do {
	return func(ctx context.Context, c call.Call) call.Outcome {
		began := time.Now()
		o := do(ctx, c)
		if !o.Held { // something was tried
			m.countCall(c.Action, &o, time.Since(began))
		}
		return o
	}
}

func (m *Metrics) countCall(action string, o *call.Outcome, took time.Duration) {
	action = m.actions.label(action)
	class := ""
	if o.Error != nil {
		class = m.classes.label(cmp.Or(o.Error.Class, "none"))
	}
	m.latency.WithLabelValues(action).Observe(took.Seconds())
	m.calls.WithLabelValues(action, string(o.Status), class).Inc()
}

// Webhook counts one notification of a webhook by its kind, e.g. "message" or "status", or a
// webhook that was "refused" or "unreadable".
func (m *Metrics) Webhook(kind string) { m.webhooks.WithLabelValues(m.kinds.label(kind)).Inc() }

// WebhookAnswered observes how long an accepted webhook took. door is the endpoint: "whatsapp"
// or "hooks".
func (m *Metrics) WebhookAnswered(door string, took time.Duration) {
	m.answers.WithLabelValues(door).Observe(took.Seconds())
}

// Trigger counts an event or a time at a trigger of a flow by its verdict, e.g. "started".
func (m *Metrics) Trigger(flow, trigger, verdict string) {
	m.triggers.WithLabelValues(m.flows.label(flow), trigger, verdict).Inc()
}

// Quality sets the quality rating of a sender number, as Meta writes it.
func (m *Metrics) Quality(senderPhoneID, rating string) {
	value := 0.0
	switch strings.ToUpper(rating) {
	case "GREEN":
		value = 3
	case "YELLOW":
		value = 2
	case "RED":
		value = 1
	}
	m.quality.WithLabelValues(m.senders.label(senderPhoneID)).Set(value)
}

// request counts a request to a route, "" for none.
func (m *Metrics) request(path string, status int) {
	status = cmp.Or(status, http.StatusOK) // 0: the handler wrote the answer itself
	m.requests.WithLabelValues(cmp.Or(path, "none"), strconv.Itoa(status)).Inc()
}

func (a *api) metrics(req *request) (reply, error) {
	a.Metrics.handler.ServeHTTP(req.w, req.Request)
	return reply{}, nil
}

// A labelLimit bounds the number of values of a label.
type labelLimit struct {
	max  int
	mu   sync.Mutex
	seen map[string]bool
}

// label returns the value, or "other" when there are too many.
func (b *labelLimit) label(value string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.seen[value] && len(b.seen) >= b.max {
		return "other"
	}
	if b.seen == nil {
		b.seen = map[string]bool{}
	}
	b.seen[value] = true
	return value
}
