package connectortest

import (
	"context"
	"sync"

	"portolan"
	"portolan/internal/connector"
)

// Memory implements connector.Known with what it was told. The zero value knows
// nothing.
type Memory struct {
	mu       sync.Mutex
	facts    map[portolan.Digest]connector.Facts
	resolved map[string]portolan.Digest
}

// Facts implements connector.Known.
func (m *Memory) Facts(_ context.Context, digests []portolan.Digest) (map[portolan.Digest]connector.Facts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := map[portolan.Digest]connector.Facts{}
	for _, d := range digests {
		if f, ok := m.facts[d]; ok {
			known[d] = f
		}
	}
	return known, nil
}

// Resolved implements connector.Known.
func (m *Memory) Resolved(tag string) (portolan.Digest, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.resolved[tag]
	return d, ok
}

// Learn keeps the facts of rows that come from manifests.
func (m *Memory) Learn(rows ...connector.Row) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.facts == nil {
		m.facts = map[portolan.Digest]connector.Facts{}
	}
	for i := range rows {
		if rows[i].Complete() {
			m.facts[rows[i].Digest] = rows[i].Facts
		}
	}
}

// LearnManifest keeps the facts of a manifest that is no index.
func (m *Memory) LearnManifest(body []byte) error {
	parsed, err := connector.ParseManifest("", body)
	if err != nil {
		return err
	}
	m.Learn(connector.Row{Digest: connector.DigestManifest("", body), Facts: connector.Classify(parsed)})
	return nil
}

// Interrupted keeps the digests of the tags of the rows: of a listing that was
// interrupted after them.
func (m *Memory) Interrupted(rows ...connector.Row) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.resolved == nil {
		m.resolved = map[string]portolan.Digest{}
	}
	for i := range rows {
		for _, t := range rows[i].Tags {
			m.resolved[t.Name] = rows[i].Digest
		}
	}
}
