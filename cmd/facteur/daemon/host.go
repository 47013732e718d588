package daemon

import (
	"context"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/plan"
	"facteur/flow/trigger"
	"facteur/server"
)

// A carrier is a host that works until it is stopped.
type carrier interface {
	host.Host
	Stop(ctx context.Context) error
}

// work is what a host does for a daemon, besides what the daemon itself has.
type work struct {
	do     call.Do
	hard   context.Context // ends calls that are under way
	onStep func(run string, s *machine.Step, sensitive []any)
	onEnd  func(*host.Result)
}

func (d *Daemon) openHost(ctx, hard context.Context) (err error) {
	d.metrics = server.NewMetrics(d.opts.Version)
	d.starter = trigger.New(nil, trigger.Options{Log: d.log, Count: func(flow, kind string, v trigger.Verdict) {
		d.metrics.Trigger(flow, kind, string(v))
		if d.opts.Candid && v == trigger.Repeated {
			d.log.Info("a trigger started no run: there is one of the same dedupe, or of the same event", "flow", flow, "trigger", kind)
		}
	}})
	d.flows.swapped = func(plans []*plan.Plan) {
		d.starter.Set(plans)
		d.log.Info("reloaded", "flows", len(plans))
		d.usable(ctx)
	}
	d.starter.Set(d.flows.Plans())
	steps, runs := d.view.StepLog(d.log), server.RunLog(d.log)
	d.host, err = d.engine.open(ctx, d, work{
		do: server.UnknownLog(d.log, d.metrics.Do(host.WithoutCancel(hard, d.actions.Do))), hard: hard,
		onStep: func(run string, s *machine.Step, sensitive []any) {
			steps(run, s, sensitive)
			d.metrics.Step(run, s, sensitive)
		},
		onEnd: func(r *host.Result) {
			d.metrics.RunEnded(r.Flow, r.Status)
			runs(r)
		},
	})
	if err != nil {
		return err
	}
	close(d.carries)
	d.starter.Notes = d.engine.notes()
	d.starter.Serve(d.host)
	return d.metrics.Watch(d.host)
}

// receive takes a receipt that came before it was known whose it is.
func (d *Daemon) receive(r call.Receipt) {
	<-d.carries
	if err := d.host.Receive(context.Background(), r); err != nil {
		d.log.Error("a receipt could not be stored; it is in the ledger", "call", r.Key, "error", err)
	}
}

func (d *Daemon) panicked(c call.Call, _ any, stack []byte) {
	d.log.Error("a fault of the program; please report it", "run", c.Run, "step", c.Step, "action", c.Action, "stack", string(stack))
}

func (d *Daemon) stuck(run string, why error) {
	d.log.Error("a run goes no further until somebody has looked at it", "run", run, "error", why)
}

func (d *Daemon) restore(name string, sources map[string]string) (*plan.Plan, error) {
	p, err := d.flows.restore(name, sources)
	if err == nil {
		d.starter.Keep(p) // what its runs wait for goes on to reach them
	}
	return p, err
}

func (d *Daemon) held(h host.Hold, lifted bool) {
	attrs := []any{"scope", string(h.Scope), "name", h.Name, "reason", d.view.Hold(h).Reason}
	if lifted {
		d.log.Info("calls go on", attrs...)
		return
	}
	message := "calls are held back"
	if h.Scope == host.Limit {
		message = "calls are slowed down"
	}
	d.log.Warn(message, attrs...)
}
