package temporal

import (
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// register registers our workflows and activities with a worker.
func (h *Host) register(w worker.Worker) {
	for name, f := range h.workflows() {
		w.RegisterWorkflowWithOptions(f, workflow.RegisterOptions{Name: name})
	}
	for name, f := range h.activities() {
		w.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
}

func (h *Host) workflows() map[string]any {
	return map[string]any{
		runType: h.run, holdType: holdWorkflow, mailboxType: h.mailbox, eventType: h.event, lockType: h.lock,
		secretType: holdWorkflow, scheduleType: h.schedule, pageType: pageWorkflow, runLockType: holdWorkflow,
	}
}

func (h *Host) activities() map[string]any {
	return map[string]any{
		callActivity: h.call, beginActivity: h.call, pastActivity: h.loadReceipts, recallActivity: h.readPage, knownActivity: h.isKnown,
		subscribeActivity: h.signalSubscription, offerActivity: h.deliverToMailboxes, fireActivity: h.fire, aliveActivity: h.checkRuns, claimActivity: h.claim, meetActivity: h.meet,
	}
}
