package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"facteur/actions/whatsapp/ledger"
	"facteur/e2e/bench/child"
	"facteur/flow/temporal"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// A message is what the workflow by hand is about.
type message struct{ Sender, To, Queue string }

// numberRate is what a sender number may send a second.
const numberRate = 80

// byHand is a workflow that somebody wrote without us: one activity, which sends. What the
// SDK does by itself is left as it is. One that is limited has a task queue for each sender,
// which lets through what the number may send.
func byHand(s child.Setup) (*child.Subject, error) {
	c, err := client.Dial(client.Options{HostPort: s.Temporal, Namespace: s.As, Logger: quiet()})
	if err != nil {
		return nil, err
	}
	p := newPoster(s)
	send := func(ctx context.Context, m message) (string, error) {
		return p.post(ctx, m.Sender, m.To, "hand")
	}
	notify := func(ctx workflow.Context, m message) (string, error) {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{TaskQueue: m.Queue, StartToCloseTimeout: 30 * time.Second})
		var id string
		err := workflow.ExecuteActivity(ctx, send, m).Get(ctx, &id)
		return id, err
	}
	by := worker.New(c, "hand", worker.Options{})
	by.RegisterWorkflow(notify)
	by.RegisterActivity(send)
	if err := by.Start(); err != nil {
		return nil, err
	}
	limited := s.As == "limited"
	if limited {
		for _, sender := range s.Senders {
			w := worker.New(c, sender, worker.Options{TaskQueueActivitiesPerSecond: numberRate, DisableWorkflowWorker: true})
			w.RegisterActivity(send)
			if err := w.Start(); err != nil {
				return nil, err
			}
		}
	}
	var last atomic.Value
	return &child.Subject{
		Do: func(n int) error {
			m := message{Sender: s.Sender(n), To: s.Recipient(n)}
			if limited {
				m.Queue = m.Sender
			}
			run, err := c.ExecuteWorkflow(context.Background(), client.StartWorkflowOptions{TaskQueue: "hand"}, notify, m)
			if err != nil {
				return err
			}
			var id string
			if err = run.Get(context.Background(), &id); err == nil && n%100 == 0 {
				last.Store(run.GetID())
			}
			return err
		},
		Look:  func(a *child.Answer) error { return history(c, s.As, last.Load(), &a.Sizes) },
		Close: func() error { by.Stop(); c.Close(); return nil },
	}, nil
}

// onTemporal is the host that carries runs as workflows.
func onTemporal(s child.Setup) (*child.Subject, error) {
	w, err := newWorks(s, func(o ledger.Options) (ledger.Ledger, error) {
		if s.Postgres == "" {
			return ledger.OpenSQLite(filepath.Join(s.Dir, "ledger.db"), o)
		}
		return ledger.OpenPostgres(context.Background(), s.Postgres, o)
	})
	if err != nil {
		return nil, err
	}
	h, err := temporal.Open(context.Background(), temporal.Options{
		Address: s.Temporal, Namespace: s.As, Log: w.log,
		Do: w.metrics.Do(w.set.Do), Catalog: w.set, Restore: w.restore, Receipts: true, Seal: w.vault.Seal, Open: w.vault.Open,
		Past: w.ledger.Receipts, Hash: w.hash, Contact: w.contact, Ready: w.ready, OnStep: w.step, OnEnd: w.ended,
	})
	if err != nil {
		return nil, fmt.Errorf("open the host: %w", err)
	}
	w.host = h
	c, err := client.Dial(client.Options{HostPort: s.Temporal, Namespace: s.As, Logger: quiet()})
	if err != nil {
		return nil, err
	}
	var last atomic.Value
	return &child.Subject{
		Do: func(n int) error {
			id, err := w.carry(s, n)
			if n%100 == 0 {
				last.Store(id)
			}
			return err
		},
		Look: func(a *child.Answer) error { return history(c, s.As, last.Load(), &a.Sizes) },
		Close: func() error {
			c.Close()
			return h.Stop(context.Background())
		},
	}, nil
}

// history tells how much the server keeps of a run.
func history(c client.Client, namespace string, run any, sizes *child.Sizes) error {
	id, ok := run.(string)
	if !ok {
		return nil
	}
	d, err := c.WorkflowService().DescribeWorkflowExecution(context.Background(), &workflowservice.DescribeWorkflowExecutionRequest{
		Namespace: namespace, Execution: &common.WorkflowExecution{WorkflowId: id},
	})
	if err != nil {
		return err
	}
	sizes.Events, sizes.HistoryBytes = float64(d.GetWorkflowExecutionInfo().GetHistoryLength()), float64(d.GetWorkflowExecutionInfo().GetHistorySizeBytes())
	return nil
}

// quiet logs nothing.
func quiet() log.Logger { return log.NewStructuredLogger(slog.New(slog.DiscardHandler)) }
