package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/ledger"
	"facteur/e2e/bench/child"
	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/plan"
	"facteur/server"
	"facteur/vault"
)

// An engine is what a daemon has around its host: the action, its credentials, the ledger, the
// log and the metrics.
type engine struct {
	plan    *plan.Plan
	set     *actions.Set
	vault   *vault.Vault
	ledger  ledger.Ledger
	metrics *server.Metrics
	log     *slog.Logger
	step    func(run string, s *machine.Step, sensitive []any)
	host    host.Host
}

func newEngine(s child.Setup, open func(ledger.Options) (ledger.Ledger, error)) (*engine, error) {
	silence, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	w := &engine{log: slog.New(slog.NewJSONHandler(silence, nil))}
	w.vault, err = vault.New(vault.Config{Dir: s.Dir, Fixed: map[string]vault.Connection{child.Connection: {
		Name: child.Connection, App: vault.WhatsApp, Version: "1",
		Setup: map[string]string{"base_url": s.API}, Secrets: map[string]vault.Secret{"token": vault.NewSecret(child.Token)},
	}}})
	if err != nil {
		return nil, err
	}
	if w.ledger, err = open(ledger.Options{Seal: w.vault.Seal, Open: w.vault.Open}); err != nil {
		return nil, err
	}
	receive := func(r call.Receipt) {
		if err := w.host.Receive(context.Background(), r); err != nil {
			w.log.Error("a receipt could not be stored", "error", err)
		}
	}
	if w.set, err = actions.NewSet(w.vault, whatsapp.SendMessage(ledger.Wire(w.ledger, whatsapp.Options{}, receive))); err != nil {
		return nil, err
	}
	if err := w.set.Events(whatsapp.Events()...); err != nil {
		return nil, err
	}
	parsed, found := flow.Parse("send.flow.yaml", []byte(child.Flow))
	compiled, more := plan.Compile(parsed, plan.Library{Catalog: w.set})
	if err := errors.Join(found.Err(), more.Err()); err != nil {
		return nil, err
	}
	w.plan = compiled
	w.metrics = server.NewMetrics("bench")
	logged := server.View{}.StepLog(w.log)
	w.step = func(run string, s *machine.Step, sensitive []any) {
		logged(run, s, sensitive)
		w.metrics.Step(run, s, sensitive)
	}
	return w, nil
}

// logRun logs and counts an ended run.
func (w *engine) logRun(r *host.Result) {
	w.metrics.RunEnded(r.Flow, r.Status)
	w.log.Info("run", "run", r.Run, "flow", r.Flow, "status", string(r.Status))
}

func (w *engine) restore(string, map[string]string) (*plan.Plan, error) { return w.plan, nil }

func (w *engine) connectionVersion(ctx context.Context, connection string) (version string, err error) {
	c, err := w.vault.Resolve(ctx, connection)
	return c.Version, err
}

// contact returns the key by which runs of a recipient are found.
func (w *engine) contact(name string) string {
	if subject, err := w.set.Event("whatsapp.message").Subject(name); err == nil {
		return subject
	}
	return name
}

// hash replaces phone numbers at rest.
func (w *engine) hash(text string) string {
	mac := hmac.New(sha256.New, []byte("the key of the hashes of a benchmark"))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// runOnce starts the n-th run, waits for its end, and returns its id.
func (w *engine) runOnce(s child.Setup, n int) (id string, err error) {
	inputs, found := w.plan.Inputs.Coerce(s.Inputs(n))
	if err := found.Err(); err != nil {
		return "", err
	}
	run, _, err := w.host.Start(context.Background(), w.plan, host.Start{Inputs: inputs.(map[string]any), By: "bench"})
	if err != nil {
		return "", err
	}
	r, err := w.host.Wait(context.Background(), run.ID)
	switch {
	case err != nil || r.Status == machine.Succeeded:
	case r.Error.Code == "outcome_unknown":
		err = child.ErrUnknown
	default:
		err = errors.New(r.Error.Message)
	}
	return run.ID, err
}
