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

// SoftStop is how long a stopping daemon waits for what is under way.
const SoftStop = 30 * time.Second

// Run serves until soft ends, or until the daemon cannot go on, and then stops in order. When what
// was under way has finished, or SoftStop has passed, it calls cut, which ends the two contexts that
// the daemon was opened with. It returns why the daemon could not go on; work that was cut off is
// only logged.
func (d *Daemon) Run(soft context.Context, cut func()) error {
	d.logHeldRuns(soft)
	work, end := context.WithCancel(context.WithoutCancel(soft)) // of what continues while the daemon stops
	defer end()
	var all sync.WaitGroup
	failed := make(chan error, 4)
	all.Go(func() {
		failed <- server.Serve(work, d.listeners.tcp, d.Handler(soft), server.ServeOptions{TLS: d.listeners.tls, Log: d.log, Drain: 5 * time.Second})
	})
	all.Go(func() {
		failed <- server.Serve(work, d.listeners.socket, d.socketHandler(soft), server.ServeOptions{Log: d.log, Drain: 5 * time.Second})
	})
	all.Go(func() {
		if err := d.Schedules(soft); err != nil {
			failed <- err
		}
	})
	all.Go(func() {
		if err := d.waitBroken(soft); err != nil {
			failed <- err
		}
	})
	all.Go(func() { d.upkeep(soft) })
	all.Go(func() { d.handleHangups(soft) })
	if d.config.PublicURL != "" {
		all.Go(func() { d.selfTest(soft) })
	}
	if len(d.flows.Plans()) == 0 {
		d.log.Warn("there are no flows", "hint", "they end in "+project.FlowSuffix+", in the folders that flows: in "+project.FileName+" names; a reload finds new ones")
	}
	if soft.Err() == nil {
		d.log.Info("ready", "url", d.listeners.url, "flows", len(d.flows.Plans()), "pid", os.Getpid(), "took", time.Since(d.opts.Began).Round(time.Millisecond))
		notify("READY=1")
	}

	var broken error
	select {
	case <-soft.Done():
	case broken = <-failed:
		d.log.Error("stopping: the daemon cannot continue", "error", broken)
	}
	notify("STOPPING=1")
	cutOff := d.Stop(soft)
	cut() // what did not finish in time, and the goroutines that wait for soft
	end()
	all.Wait()
	if broken != nil {
		return project.SystemError(broken, "")
	}
	if cutOff != nil {
		d.log.Warn("stopped: some work was cut off, and the next start resumes it", "error", cutOff)
		return nil
	}
	d.log.Info("stopped")
	return nil
}

// logHeldRuns warns of runs that are held since a backup was restored.
func (d *Daemon) logHeldRuns(ctx context.Context) {
	if _, here := d.engine.(*localEngine); !here {
		return
	}
	const most = 1000
	held, _, err := d.host.List(ctx, host.Filter{Status: host.Held, Limit: most})
	if err != nil || len(held) == 0 {
		return // errors of the journal are reported elsewhere
	}
	d.log.Warn("runs have been held since a backup was restored, until each is released or cancelled", "runs", len(held), "more", len(held) == most,
		"hint", "facteur runs list --status held; see facteur runs release --help")
}

// Schedules starts flows by their schedules until ctx ends. It returns why it can start no more.
// Run calls it itself.
func (d *Daemon) Schedules(ctx context.Context) error {
	if err := d.starter.Run(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("schedules: %w", err)
	}
	return nil
}

// Stop starts nothing new, and waits up to SoftStop for what is under way, whether ctx ends or not.
// An error says that something did not finish. Run calls it itself.
func (d *Daemon) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), SoftStop)
	defer cancel()
	return d.host.Stop(ctx)
}

// handleHangups reloads the flows at each hang-up signal, until ctx ends.
func (d *Daemon) handleHangups(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.opts.Hangups:
			d.reload(ctx)
		}
	}
}

// reload replaces the flows if all are valid, and reports the mistakes otherwise.
func (d *Daemon) reload(ctx context.Context) {
	notify("RELOADING=1")
	defer notify("READY=1")
	found, err := d.flows.Reload(ctx)
	switch {
	case err != nil:
		text, hint := project.Explain(err)
		d.log.Error("the reload failed; the flows stay as they were", "error", text, "hint", hint)
	case found.HasErrors():
		d.log.Error("the flows have mistakes; they stay as they were", "errors", found.CountErrors())
		d.opts.Show(found)
	default:
		d.opts.Show(found)
	}
}
