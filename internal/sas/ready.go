package sas

import (
	"bytes"
	"encoding/json"
	"sync"

	"portolan"
)

// maxReady is how many rows are kept ready, about 10 MB.
const maxReady = 10_000

// readyRows keeps the rows of registries that were answered lately, since the
// same pages are asked for again and again. A registry's value never changes,
// a changed registry is another value: so a row stays true as long as it is
// kept, and the rows of values that are no longer listed go with the rest.
type readyRows struct {
	mu   sync.RWMutex
	rows map[*portolan.Registry]*registryRow
}

// of answers the rows of registries; row makes one that is not ready.
func (c *readyRows) of(list []*portolan.Registry, row func(*portolan.Registry) registryRow) []*registryRow {
	rows := make([]*registryRow, len(list))
	missing := false
	c.mu.RLock()
	for i, r := range list {
		rows[i] = c.rows[r]
		missing = missing || rows[i] == nil
	}
	c.mu.RUnlock()
	if !missing {
		return rows
	}
	for i, r := range list {
		if rows[i] == nil {
			made := row(r)
			made.json = encoded(&made)
			rows[i] = &made
		}
	}
	c.put(list, rows)
	return rows
}

func (c *readyRows) put(list []*portolan.Registry, rows []*registryRow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rows == nil || len(c.rows)+len(list) > maxReady {
		c.rows = make(map[*portolan.Registry]*registryRow, len(list))
	}
	for i, r := range list {
		c.rows[r] = rows[i]
	}
}

// AppendJSON appends the row as it was when it was made.
func (r *registryRow) AppendJSON(dst []byte) []byte { return append(dst, r.json...) }

// encoded is the JSON of a row by the same rules as all other answers.
func encoded(row *registryRow) []byte {
	type plain registryRow // without AppendJSON
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode((*plain)(row)) //nolint:gosec // texts and numbers always encode, and the password is masked
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
