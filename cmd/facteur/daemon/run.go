package daemon

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"facteur/flow/host"
	"facteur/project"
	"facteur/server"
)

// SoftStop is for how long what is under way may take to finish.
const SoftStop = 30 * time.Second

// Run answers and works until soft ends, or until the daemon cannot go on, and then comes to
// an orderly end. It calls cut once what was under way has had SoftStop to finish: cut ends the
// two contexts that the daemon was opened with. An error is why it could not go on; that
// something was cut off is none.
func (d *Daemon) Run(soft context.Context, cut func()) error {
	d.tellHeld(soft)
	work, end := context.WithCancel(context.WithoutCancel(soft)) // of what goes on while it stops
	defer end()
	var all sync.WaitGroup
	failed := make(chan error, 4)
	all.Go(func() {
		failed <- server.Serve(work, d.door.tcp, d.Handler(soft), server.ServeOptions{TLS: d.door.tls, Log: d.log, Drain: 5 * time.Second})
	})
	all.Go(func() {
		failed <- server.Serve(work, d.door.socket, d.inside(soft), server.ServeOptions{Log: d.log, Drain: 5 * time.Second})
	})
	all.Go(func() {
		if err := d.Schedules(soft); err != nil {
			failed <- err
		}
	})
	all.Go(func() {
		if err := d.sick(soft); err != nil {
			failed <- err
		}
	})
	all.Go(func() { d.upkeep(soft) })
	all.Go(func() { d.reloads(soft) })
	if d.config.PublicURL != "" {
		all.Go(func() { d.selfTest(soft) })
	}
	if len(d.flows.Plans()) == 0 {
		d.log.Warn("there are no flows", "hint", "they end in "+project.FlowSuffix+", in the folders that flows: in "+project.FileName+" names; a reload finds new ones")
	}
	if soft.Err() == nil {
		d.log.Info("ready", "url", d.door.url, "flows", len(d.flows.Plans()), "pid", os.Getpid(), "took", time.Since(d.opts.Began).Round(time.Millisecond))
		notify("READY=1")
	}

	var broken error
	select {
	case <-soft.Done():
	case broken = <-failed:
		d.log.Error("stopping: the daemon cannot go on", "error", broken)
	}
	notify("STOPPING=1")
	cutOff := d.Stop(soft)
	cut() // what did not finish in time; and whoever waits for soft
	end()
	all.Wait()
	if broken != nil {
		return project.Surroundings(broken, "")
	}
	if cutOff != nil {
		d.log.Warn("stopped: something was cut off, and is taken up by the next start", "error", cutOff)
		return nil
	}
	d.log.Info("stopped")
	return nil
}

// tellHeld says that runs wait for somebody since a backup was restored.
func (d *Daemon) tellHeld(ctx context.Context) {
	if _, here := d.engine.(*localEngine); !here {
		return
	}
	const most = 1000
	held, _, err := d.host.List(ctx, host.Filter{Status: host.Held, Limit: most})
	if err != nil || len(held) == 0 {
		return // what is wrong with the journal shows by itself
	}
	d.log.Warn("runs are held since a backup was restored, until each is released or cancelled", "runs", len(held), "more", len(held) == most,
		"hint", "facteur runs list --status held; see facteur runs release --help")
}

// Schedules starts the flows whose time has come, until ctx ends. An error is why it starts
// none any more. Run does so itself.
func (d *Daemon) Schedules(ctx context.Context) error {
	if err := d.starter.Run(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("schedules: %w", err)
	}
	return nil
}

// Stop takes up nothing new, and lets what runs finish, for SoftStop at most, whether ctx ends
// or not. An error is that something did not. Run does so itself.
func (d *Daemon) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), SoftStop)
	defer cancel()
	return d.host.Stop(ctx)
}

// reloads reads the flows again whenever somebody hangs up, until ctx ends.
func (d *Daemon) reloads(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.opts.Hangups:
			d.reload(ctx)
		}
	}
}

// reload swaps the flows if all are valid, and says what is wrong otherwise.
func (d *Daemon) reload(ctx context.Context) {
	notify("RELOADING=1")
	defer notify("READY=1")
	found, err := d.flows.Reload(ctx)
	switch {
	case err != nil:
		text, hint := project.Explain(err)
		d.log.Error("reload failed; the flows stay as they were", "error", text, "hint", hint)
	case found.HasErrors():
		d.log.Error("the flows have mistakes; they stay as they were", "errors", found.CountErrors())
		d.opts.Show(found)
	default:
		d.opts.Show(found)
	}
}
