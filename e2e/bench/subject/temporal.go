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

// A message is the input of the hand-written workflow.
type message struct{ Sender, To, Queue string }

// numberRate is the rate limit of a sender number, in messages a second.
const numberRate = 80

// byHand is a hand-written workflow of one activity, which sends, with the SDK's defaults. The
// limited one has a task queue for each sender, rate-limited as the number is.
func byHand(s child.Setup) (*child.Subject, error) {
	c, err := client.Dial(client.Options{HostPort: s.Temporal, Namespace: s.As, Logger: discardLogger()})
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
		Stats: func(a *child.Response) error { return history(c, s.As, last.Load(), &a.Sizes) },
		Close: func() error { by.Stop(); c.Close(); return nil },
	}, nil
}

// onTemporal is the host that executes runs as workflows.
func onTemporal(s child.Setup) (*child.Subject, error) {
	w, err := newEngine(s, func(o ledger.Options) (ledger.Ledger, error) {
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
		Past: w.ledger.Receipts, Hash: w.hash, Contact: w.contact, Ready: w.connectionVersion, OnStep: w.step, OnEnd: w.logRun,
	})
	if err != nil {
		return nil, fmt.Errorf("open the host: %w", err)
	}
	w.host = h
	c, err := client.Dial(client.Options{HostPort: s.Temporal, Namespace: s.As, Logger: discardLogger()})
	if err != nil {
		return nil, err
	}
	var last atomic.Value
	return &child.Subject{
		Do: func(n int) error {
			id, err := w.runOnce(s, n)
			if n%100 == 0 {
				last.Store(id)
			}
			return err
		},
		Stats: func(a *child.Response) error { return history(c, s.As, last.Load(), &a.Sizes) },
		Close: func() error {
			c.Close()
			return h.Stop(context.Background())
		},
	}, nil
}

// history adds the size of a run's history on the server.
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

// discardLogger logs nothing.
func discardLogger() log.Logger { return log.NewStructuredLogger(slog.New(slog.DiscardHandler)) }
