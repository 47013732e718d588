package server

import "sync"

// A cache keeps the values of the first maxCached keys; those of others are made each time.
type cache[K comparable, V any] struct {
	mu     sync.RWMutex
	values map[K]V
}

const maxCached = 1000

// get returns the value of a key, and makes it if need be.
func (r *cache[K, V]) get(key K, makeIt func(K) V) V {
	r.mu.RLock()
	v, ok := r.values[key]
	r.mu.RUnlock()
	if ok {
		return v
	}
	v = makeIt(key)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.values == nil {
		r.values = map[K]V{}
	}
	if len(r.values) < maxCached {
		r.values[key] = v
	}
	return v
}
