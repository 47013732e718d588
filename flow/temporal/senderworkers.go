package temporal

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"sync"

	"facteur/flow/call"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
)

// isShared reports whether a limit has a task queue of its own, whose rate all daemons share:
// those of one call a second or more, such as that of a sender. There are few of them; of the
// narrower ones there are as many as recipients.
func isShared(l call.Limit) bool { return l.Rate >= 1 }

// senderQueue returns the task queue of a limit, and makes sure that this process works on it.
// The rate is part of its name, so that another rate has another queue.
func (h *Host) senderQueue(queue string, l call.Limit) string {
	sum := sha256.Sum256([]byte(h.hash(l.Key)))
	name := queue + "/" + hex.EncodeToString(sum[:8]) + "/" + strconv.FormatFloat(l.Rate, 'g', 6, 64)
	h.senders.ensure(h, name, l.Rate)
	return name
}

// senderWorkers are this process's workers on the task queues of limits. Each is started at the
// first call with that limit, by every process that executes such a run. Though workflow code
// starts them, they do not affect what the workflow does.
type senderWorkers struct {
	mu      sync.Mutex
	workers map[string]worker.Worker
	stopped bool
}

func (s *senderWorkers) ensure(h *Host, queue string, rate float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.workers[queue] != nil || s.stopped {
		return
	}
	w := worker.New(h.client, queue, worker.Options{
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
	s.workers[queue] = w
	h.background.Go(func() {
		if err := w.Start(); err != nil {
			h.opts.Log.Error("this daemon cannot work for a sender", "queue", queue, "error", err)
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.workers, queue)
		}
	})
}

func (s *senderWorkers) stop() {
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
