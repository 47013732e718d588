package server

import "sync"

// A recall keeps what was made for a key, for so many keys at most: for others it is made
// each time.
type recall[K comparable, V any] struct {
	mu   sync.RWMutex
	kept map[K]V
}

const mostKeptKeys = 1000

// of returns what was made for a key.
func (r *recall[K, V]) of(key K, makeIt func(K) V) V {
	r.mu.RLock()
	v, kept := r.kept[key]
	r.mu.RUnlock()
	if kept {
		return v
	}
	v = makeIt(key)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept == nil {
		r.kept = map[K]V{}
	}
	if len(r.kept) < mostKeptKeys {
		r.kept[key] = v
	}
	return v
}
