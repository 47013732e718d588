package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/ledger"
	"facteur/cmd/facteur/simulation"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/plan"
	"facteur/flow/record"
	"facteur/flow/suite"
	"facteur/project"
	"facteur/vault"
)

// An environment is what a run works against: the real API, a recording, a simulator, or nothing
// in a dry run.
type environment struct {
	do         call.Do
	journal    journal.Journal
	clock      host.Clock
	virtual    bool // time is virtual, and calls are made one at a time
	feed       []local.Feed
	seal, open func(plain, context []byte) ([]byte, error)
	player     *record.Player         // of a recording
	simulation *simulation.Simulation // of --simulate
	dryRun     *dryRun                // of a dry run
	closers    []func()
}

func (w *environment) close() {
	for _, end := range slices.Backward(w.closers) {
		end()
	}
}

// options are those of a host in the environment. Calls under way end with hard; on a virtual
// clock, only with their time-out.
func (w *environment) options(hard context.Context) local.Options {
	do := w.do
	if !w.virtual {
		do = host.WithoutCancel(hard, w.do)
	}
	return local.Options{
		Journal: w.journal, Do: do, Clock: w.clock, Seal: w.seal, Open: w.open, Hard: hard,
		Feed: w.feed, Receipts: w.simulation != nil || slices.ContainsFunc(w.feed, func(f local.Feed) bool { return f.Receipt != nil }),
	}
}

func (a *app) newEnvironment(ctx context.Context, p *project.Project, compiled *plan.Plan, f runFlags) (*environment, error) {
	w := &environment{journal: &journal.Memory{}, clock: host.System{}}
	var transport http.RoundTripper
	var fixed map[string]vault.Connection
	var err error
	switch {
	case f.recording != "":
		transport, err = a.replay(w, f.recording)
		if err == nil {
			fixed, err = p.TestConnections(compiled, compiled.Connections, nil, project.TestToken)
		}
	case f.simulate:
		fixed, err = w.simulate(p, compiled)
	case f.dryRun:
		w.clock, w.virtual = host.NewVirtual(time.Now()), true
		w.dryRun = newDryRun()
		transport = w.dryRun
		fixed, err = p.TestConnections(compiled, compiled.Connections, nil, w.dryRun.token)
	}
	if err != nil {
		return nil, err
	}
	if f.events != "" {
		if w.feed, err = a.feed(f.events, compiled, w.clock.Now()); err != nil {
			return nil, err
		}
	}
	v, err := p.OpenVault(fixed)
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, func() { _ = v.Close() })
	var known whatsapp.Options
	switch {
	case w.simulation != nil:
		known = w.simulation.Known
	case w.virtual: // a dry run knows only what it sent itself
		known = ledger.Wire(&ledger.Memory{Options: ledger.Options{Now: w.clock.Now}}, whatsapp.Options{}, nil)
	default:
		if known, err = w.openStores(ctx, p, v); err != nil {
			return nil, err
		}
	}
	set, err := project.NewCatalog(v, transport, p.Policy(), known)
	if err != nil {
		return nil, err
	}
	switch {
	case w.player != nil:
		w.do = failOnMismatch(set, w.player)
	case w.simulation != nil:
		w.do = w.simulation.Wrap(set.Do)
	case w.dryRun != nil:
		w.do = w.dryRun.wrap(set.Do)
	default:
		w.do = set.Do
	}
	return w, nil
}

// replay puts a recording in the place of the network.
func (a *app) replay(w *environment, file string) (http.RoundTripper, error) {
	text, err := a.readFile(file)
	if err != nil {
		return nil, err
	}
	exchanges, found := record.Parse(project.RelPath(file), text)
	if err := a.diagnose(found); err != nil {
		return nil, err
	}
	clock := host.NewVirtual(time.Now())
	w.clock, w.virtual = clock, true
	w.player = record.NewPlayer(exchanges, record.PlayerOptions{Sleep: clock.Sleep})
	return w.player, nil
}

// feed reads events that come by themselves.
func (a *app) feed(file string, compiled *plan.Plan, now time.Time) ([]local.Feed, error) {
	text, err := a.readFile(file)
	if err != nil {
		return nil, err
	}
	catalog, err := project.Descriptions()
	if err != nil {
		return nil, err
	}
	feed, found := suite.Events(project.RelPath(file), text, compiled, catalog, now)
	return feed, a.diagnose(found)
}

// failOnMismatch makes calls against a recording. A request that no exchange matches is an error
// of the recording, not of the API.
func failOnMismatch(set *actions.Set, player *record.Player) call.Do {
	do := record.WithCallInfo(set, set.Do)
	return func(ctx context.Context, c call.Call) call.Outcome {
		before := len(player.Mismatches())
		o := do(ctx, c)
		if bad := player.Mismatches(); len(bad) > before {
			o.Status, o.Retryable = call.Failed, false
			o.Error = &call.Error{Code: "not_recorded", Class: "recording", Message: bad[before].String()}
		}
		return o
	}
}

// openStores opens a journal and the ledger in the project's data folder, sealed, and returns the
// options of the actions that use the ledger.
func (w *environment) openStores(ctx context.Context, p *project.Project, v *vault.Vault) (whatsapp.Options, error) {
	dir := p.Abs(p.Data)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return whatsapp.Options{}, project.SystemError(fmt.Errorf("the data folder: %w", err), "nothing was sent; see data: in "+project.FileName)
	}
	j, err := project.OpenForeground(dir)
	if err != nil {
		return whatsapp.Options{}, project.SystemError(err, "nothing was sent")
	}
	w.journal, w.seal, w.open = j, v.Seal, v.Open
	w.closers = append(w.closers, func() { _ = j.Close() })
	l, err := p.OpenLedger(ctx, v)
	if err != nil {
		return whatsapp.Options{}, project.SystemError(err, "nothing was sent")
	}
	w.closers = append(w.closers, func() { _ = l.Close() })
	return ledger.Wire(l, whatsapp.Options{Templates: p.Templates.Templates, Rate: p.Rate, Recipients: p.Recipients}, nil), nil
}
