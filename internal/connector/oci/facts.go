package oci

import (
	"context"
	"sync"

	"portolan"
	"portolan/internal/connector"
)

// maxFacts bounds what is remembered between the reading of a manifest and
// the moment when the engine knows it.
const maxFacts = 4_096

// factsCache holds what was read lately, so that a digest that several
// repositories or tags have is read once, also when they are read at the same
// time.
type factsCache struct {
	mu      sync.Mutex
	known   map[portolan.Digest]connector.Facts
	loading map[portolan.Digest]chan struct{} // closed when the load ends
}

func newFactsCache() *factsCache {
	return &factsCache{known: map[portolan.Digest]connector.Facts{}, loading: map[portolan.Digest]chan struct{}{}}
}

// get answers what is known, without waiting.
func (c *factsCache) get(d portolan.Digest) (connector.Facts, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.known[d]
	return f, ok
}

func (c *factsCache) put(d portolan.Digest, f connector.Facts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxFacts {
		clear(c.known)
	}
	c.known[d] = f
}

// load answers what is known of the digest, or loads it. Who comes while it
// is being loaded waits; if that load fails, the next one tries itself, since
// the failure may be the other's own (its repository is not readable, its
// context ended).
func (c *factsCache) load(ctx context.Context, d portolan.Digest, read func() (connector.Facts, error)) (connector.Facts, error) {
	for {
		c.mu.Lock()
		f, ok := c.known[d]
		busy, isBusy := c.loading[d]
		if !ok && !isBusy {
			c.loading[d] = make(chan struct{})
		}
		c.mu.Unlock()
		switch {
		case ok:
			return f, nil
		case !isBusy:
			return c.read(d, read)
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return connector.Facts{}, context.Cause(ctx)
		}
	}
}

func (c *factsCache) read(d portolan.Digest, read func() (connector.Facts, error)) (connector.Facts, error) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		close(c.loading[d])
		delete(c.loading, d)
	}()
	f, err := read()
	if err == nil {
		c.put(d, f)
	}
	return f, err
}
