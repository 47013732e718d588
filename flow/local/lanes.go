package local

// lanes are the runs that wait for a worker, flow by flow; the flows take turns.
type lanes struct {
	byFlow  map[string]*queue
	turns   []*queue // none empty
	turn    int
	waiting int
}

// A queue is the runs of one flow, in order.
type queue struct {
	flow string
	runs []*ward
	head int
}

func (l *lanes) push(w *ward) {
	q := l.byFlow[w.flow]
	if q == nil {
		if l.byFlow == nil {
			l.byFlow = map[string]*queue{}
		}
		q = &queue{flow: w.flow}
		l.byFlow[w.flow] = q
		l.turns = append(l.turns, q)
	}
	q.runs = append(q.runs, w)
	l.waiting++
}

// pop returns the run whose turn it is, nil when nobody waits.
func (l *lanes) pop() *ward {
	if len(l.turns) == 0 {
		return nil
	}
	if l.turn >= len(l.turns) {
		l.turn = 0
	}
	q := l.turns[l.turn]
	w := q.runs[q.head]
	q.runs[q.head] = nil
	l.waiting--
	if q.head++; q.head == len(q.runs) {
		delete(l.byFlow, q.flow)
		l.turns = append(l.turns[:l.turn], l.turns[l.turn+1:]...) // the next one moves up
		return w
	}
	if q.head > 1024 && q.head > len(q.runs)/2 {
		q.runs = append(make([]*ward, 0, len(q.runs)-q.head), q.runs[q.head:]...)
		q.head = 0
	}
	l.turn++
	return w
}
