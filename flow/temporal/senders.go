package temporal

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"sync"

	"facteur/flow/call"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
)

// isShared tells whether a limit is kept by a task queue of its own, which all daemons
// share: those that let several calls a second through, such as that of a sender. There
// are few of them; of the narrower ones there are as many as there are recipients.
func isShared(l call.Limit) bool { return l.Rate >= 1 }

// senderQueue is the task queue of a limit. Its rate is part of the name: another one is
// another queue.
func (h *Host) senderQueue(queue string, l call.Limit) string {
	sum := sha256.Sum256([]byte(h.hash(l.Key)))
	name := queue + "/" + hex.EncodeToString(sum[:8]) + "/" + strconv.FormatFloat(l.Rate, 'g', 6, 64)
	h.senders.ensure(h, name, l.Rate)
	return name
}

// senders are the task queues of limits that this process works on. It begins with one
// when it first meets a call of it, as any process does that carries such a run. That is
// beside what the workflow does, and changes nothing in it.
type senders struct {
	mu      sync.Mutex
	workers map[string]worker.Worker
	stopped bool
}

func (s *senders) ensure(h *Host, queue string, rate float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.workers[queue] != nil || s.stopped {
		return
	}
	w := newSender(h.client, queue, rate, h)
	if s.workers == nil {
		s.workers = map[string]worker.Worker{}
	}
	s.workers[queue] = w
	h.launch(func() {
		if err := w.Start(); err != nil {
			h.opts.Log.Error("this daemon cannot work for a sender", "queue", queue, "error", err)
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.workers, queue)
		}
	})
}

func newSender(c client.Client, queue string, rate float64, h *Host) worker.Worker {
	w := worker.New(c, queue, worker.Options{
		TaskQueueActivitiesPerSecond:       rate,
		MaxConcurrentActivityExecutionSize: h.opts.Workers,
		MaxConcurrentActivityTaskPollers:   2,
		MaxHeartbeatThrottleInterval:       h.opts.Lost / 4,
		BackgroundActivityContext:          h.opts.Hard,
		WorkerStopTimeout:                  stopTime,
		DisableWorkflowWorker:              true,
		DisableRegistrationAliasing:        true,
	})
	for _, name := range []string{callActivity, beginActivity} {
		w.RegisterActivityWithOptions(h.call, activity.RegisterOptions{Name: name})
	}
	return w
}

func (s *senders) stop() {
	s.mu.Lock()
	s.stopped = true
	workers := s.workers
	s.workers = nil
	s.mu.Unlock()
	var all sync.WaitGroup
	for _, w := range workers {
		all.Go(w.Stop)
	}
	all.Wait()
}
