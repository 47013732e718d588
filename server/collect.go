package server

import (
	"context"
	"time"

	"facteur/flow/host"

	"github.com/prometheus/client_golang/prometheus"
)

// A hostCollector reads the metrics of a host at each scrape.
type hostCollector struct {
	host                                    host.Host
	holds, heldCalls, unknownRuns, unknowns *prometheus.Desc
	limitedRuns, limitedFor                 *prometheus.Desc
}

// A backlogged host knows how far behind it is: how many runs queue for a limit, and how long
// the last of them waits if nothing changes.
type backlogged interface {
	Backlog() (runs int, wait time.Duration)
}

func newHostCollector(h host.Host) *hostCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &hostCollector{
		host:        h,
		holds:       desc("facteur_holds", "Holds that keep calls back.", "scope", "set_by"),
		heldCalls:   desc("facteur_held_calls", "Calls held back by holds.", "scope"),
		unknownRuns: desc("facteur_unknown_runs", "Runs with calls whose outcome is unknown; 1000 means 1000 or more."),
		unknowns:    desc("facteur_unknown_calls", "Calls of these runs whose outcome is unknown."),
		limitedRuns: desc("facteur_limited_runs", "Runs that wait for their turn at a limit, such as a sender number's rate."),
		limitedFor:  desc("facteur_limited_seconds", "How long the last of these runs has to wait, if nothing changes."),
	}
}

// Describe implements prometheus.Collector.
func (c *hostCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.holds, c.heldCalls, c.unknownRuns, c.unknowns, c.limitedRuns, c.limitedFor} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *hostCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	gauge := func(d *prometheus.Desc, value int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	if h, ok := c.host.(backlogged); ok {
		runs, wait := h.Backlog()
		gauge(c.limitedRuns, runs)
		gauge(c.limitedFor, int(wait.Round(time.Second).Seconds()))
	}
	holds, err := c.host.Holds(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(c.holds, err)
	}
	for _, scope := range []host.Scope{host.All, host.Connection, host.Flow, host.Limit} {
		auto, people, calls := 0, 0, 0
		for _, h := range holds {
			switch {
			case h.Scope != scope:
				continue
			case h.Auto:
				auto++
			default:
				people++
			}
			calls += h.Calls
		}
		gauge(c.holds, auto, string(scope), "daemon")
		gauge(c.holds, people, string(scope), "people")
		gauge(c.heldCalls, calls, string(scope))
	}
	runs, _, err := c.host.List(ctx, host.Filter{Unknown: true, Limit: 1000})
	if err != nil {
		out <- prometheus.NewInvalidMetric(c.unknownRuns, err)
		return
	}
	calls := 0
	for _, r := range runs {
		calls += r.Unknown
	}
	gauge(c.unknownRuns, len(runs))
	gauge(c.unknowns, calls)
}
