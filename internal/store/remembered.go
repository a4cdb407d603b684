package store

import (
	"fmt"
	"sync"
)

// remembered keeps what queries found out, each for one generation of its
// account. It holds as many as max; then it starts anew.
type remembered[T any] struct {
	max int

	mu sync.Mutex
	m  map[string]finding[T]
}

type finding[T any] struct {
	generation int64
	value      T
}

// keyOf tells a query with its arguments from any other.
func keyOf(query string, args []any) string { return fmt.Sprintf("%s %#v", query, args) }

func (r *remembered[T]) get(key string, generation int64) (value T, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.m[key]; ok && known.generation == generation {
		return known.value, true
	}
	return value, false
}

// put keeps a value, unless there is one of a later generation, or one of the
// same that is better.
func (r *remembered[T]) put(key string, generation int64, value T, better func(known T) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.m[key]
	if ok && (known.generation > generation || known.generation == generation && better(known.value)) {
		return
	}
	if r.m == nil || !ok && len(r.m) >= r.max {
		r.m = map[string]finding[T]{}
	}
	r.m[key] = finding[T]{generation, value}
}
