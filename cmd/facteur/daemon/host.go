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

// A stoppableHost is a host that runs until it is stopped.
type stoppableHost interface {
	host.Host
	Stop(ctx context.Context) error
}

// hooks are what a daemon gives to its host besides itself.
type hooks struct {
	do     call.Do
	hard   context.Context // ends calls that are under way
	onStep func(run string, s *machine.Step, sensitive []any)
	onEnd  func(*host.Result)
}

func (d *Daemon) openHost(ctx, hard context.Context) (err error) {
	d.metrics = server.NewMetrics(d.opts.Version)
	d.starter = trigger.New(nil, trigger.Options{Log: d.log, Count: func(flow, kind string, r trigger.Result) {
		d.metrics.Trigger(flow, kind, string(r))
		if d.opts.Development && r == trigger.Repeated {
			d.log.Info("a trigger started no run: a run with the same dedupe value, or of the same event, already exists", "flow", flow, "trigger", kind)
		}
	}})
	d.flows.onChange = func(plans []*plan.Plan) {
		d.starter.Set(plans)
		if !d.opts.Development { // facteur dev logs it with what is wrong
			d.log.Info("reloaded", "flows", len(plans))
		}
		d.resolveUnchecked(ctx)
	}
	d.starter.Set(d.flows.Plans())
	steps, runs := d.view.StepLog(d.log), server.RunLog(d.log)
	d.host, err = d.engine.open(ctx, d, hooks{
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
	close(d.hostReady)
	d.starter.Notes = d.engine.notes()
	d.starter.Serve(d.host)
	return d.metrics.Watch(d.host)
}

// receive hands the host a receipt that came before the ledger knew which call it is about.
func (d *Daemon) receive(r call.Receipt) {
	<-d.hostReady
	if err := d.host.Receive(context.Background(), r); err != nil {
		d.log.Error("a receipt could not be stored; it is in the ledger", "call", r.Key, "error", err)
	}
}

func (d *Daemon) panicked(c call.Call, _ any, stack []byte) {
	d.log.Error("this is a bug in facteur; please report it", "run", c.Run, "step", c.Step, "action", c.Action, "stack", string(stack))
}

func (d *Daemon) stuck(run string, why error) {
	d.log.Error("a run cannot continue until a person has checked it", "run", run, "error", why)
}

func (d *Daemon) restore(name string, sources map[string]string) (*plan.Plan, error) {
	p, err := d.flows.restore(name, sources)
	if err == nil {
		d.starter.KeepWebhooks(p) // so that webhooks for waits of its runs are still accepted
	}
	return p, err
}

func (d *Daemon) held(h host.Hold, lifted bool) {
	attrs := []any{"scope", string(h.Scope), "name", h.Name, "reason", d.view.Hold(h).Reason}
	if lifted {
		d.log.Info("calls continue", attrs...)
		return
	}
	message := "calls are held back"
	if h.Scope == host.Limit {
		message = "calls are slowed down"
	}
	d.log.Warn(message, attrs...)
}
