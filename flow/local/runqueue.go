package local

// A runQueue is a fair queue of the runs that wait for a worker: the flows take turns.
type runQueue struct {
	byFlow map[string]*flowQueue
	queues []*flowQueue // none is empty
	next   int          // index in queues
	len    int          // of all queues
}

// A flowQueue is the queue of one flow.
type flowQueue struct {
	flow string
	runs []*activeRun
	head int
}

func (rq *runQueue) push(run *activeRun) {
	q := rq.byFlow[run.flow]
	if q == nil {
		if rq.byFlow == nil {
			rq.byFlow = map[string]*flowQueue{}
		}
		q = &flowQueue{flow: run.flow}
		rq.byFlow[run.flow] = q
		rq.queues = append(rq.queues, q)
	}
	q.runs = append(q.runs, run)
	rq.len++
}

// pop removes and returns the next run, nil when there is none.
func (rq *runQueue) pop() *activeRun {
	if len(rq.queues) == 0 {
		return nil
	}
	if rq.next >= len(rq.queues) {
		rq.next = 0
	}
	q := rq.queues[rq.next]
	run := q.runs[q.head]
	q.runs[q.head] = nil
	rq.len--
	if q.head++; q.head == len(q.runs) {
		delete(rq.byFlow, q.flow)
		rq.queues = append(rq.queues[:rq.next], rq.queues[rq.next+1:]...) // the next queue moves up
		return run
	}
	if q.head > 1024 && q.head > len(q.runs)/2 {
		q.runs = append(make([]*activeRun, 0, len(q.runs)-q.head), q.runs[q.head:]...)
		q.head = 0
	}
	rq.next++
	return run
}
