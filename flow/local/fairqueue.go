package local

import "slices"

// A fairQueue is a queue in which the flows take turns. Its zero value is ready to use.
type fairQueue[T comparable] struct {
	flows []*flowQueue[T] // in the order of their turns; none is empty
	len   int             // of all
}

// A flowQueue is what one flow has in a fairQueue, in order.
type flowQueue[T comparable] struct {
	flow  string
	items []T
}

// index returns the index of a flow in flows, -1 if it has nothing queued.
func (q *fairQueue[T]) index(flow string) int {
	return slices.IndexFunc(q.flows, func(f *flowQueue[T]) bool { return f.flow == flow })
}

// of returns what a flow has in the queue.
func (q *fairQueue[T]) of(flow string) []T {
	if i := q.index(flow); i >= 0 {
		return q.flows[i].items
	}
	return nil
}

func (q *fairQueue[T]) push(flow string, item T) {
	q.len++
	if i := q.index(flow); i >= 0 {
		q.flows[i].items = append(q.flows[i].items, item)
		return
	}
	q.flows = append(q.flows, &flowQueue[T]{flow, []T{item}})
}

// pop removes and returns the item whose turn it is, the zero value when there is none.
func (q *fairQueue[T]) pop() (item T) {
	if q.len == 0 {
		return item
	}
	q.len--
	first := q.flows[0]
	item = first.items[0]
	clear(first.items[:1])
	first.items = first.items[1:]
	q.flows = slices.Delete(q.flows, 0, 1)
	if len(first.items) > 0 {
		q.flows = append(q.flows, first)
	}
	return item
}

// remove removes an item, and tells whether it was there.
func (q *fairQueue[T]) remove(flow string, item T) bool {
	k := slices.Index(q.of(flow), item)
	if k < 0 {
		return false
	}
	q.len--
	i := q.index(flow)
	if f := q.flows[i]; len(f.items) > 1 {
		f.items = slices.Delete(f.items, k, k+1)
	} else {
		q.flows = slices.Delete(q.flows, i, i+1)
	}
	return true
}

// ahead returns how many items are popped before this one, -1 if it is not queued.
func (q *fairQueue[T]) ahead(flow string, item T) int {
	own := q.index(flow)
	rank := len(q.of(flow)) - 1
	for rank >= 0 && q.flows[own].items[rank] != item { // from the end: it is often the last
		rank--
	}
	if rank < 0 {
		return -1
	}
	n := rank
	for i, f := range q.flows {
		switch {
		case i < own:
			n += min(len(f.items), rank+1)
		case i > own:
			n += min(len(f.items), rank)
		}
	}
	return n
}
