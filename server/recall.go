package server

import "sync"

// A recall keeps what was made for a key, for so many keys at most: for others it is made
// each time.
type recall[K comparable, V any] struct {
	most int
	mu   sync.RWMutex
	kept map[K]V
}

func (r *recall[K, V]) get(key K) (v V, kept bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	v, kept = r.kept[key]
	return v, kept
}

// keep keeps what was made, if there is room for it, and returns it.
func (r *recall[K, V]) keep(key K, made V) V {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept == nil {
		r.kept = map[K]V{}
	}
	if len(r.kept) < r.most {
		r.kept[key] = made
	}
	return made
}
