package connectortest

import "sync"

// counter counts requests and those that are under way.
type counter struct {
	mu           sync.Mutex
	sent, active int
}

func (c *counter) enter() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent++
	c.active++
	return c.sent
}

func (c *counter) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active--
}

func (c *counter) now() (sent, active int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent, c.active
}
