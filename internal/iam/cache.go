package iam

import (
	"context"
	"fmt"
	"sync"
	"time"

	"portolan"
	"portolan/internal/policy"
	"portolan/internal/store"
)

const (
	// checkEvery is how often a cached key is held against the account's
	// generation, so that a change elsewhere acts within two seconds.
	checkEvery = time.Second
	maxCached  = 10_000
)

// bearer is a key with its secret and everything that its bearer may do.
type bearer struct {
	principal  portolan.Principal
	secret     string
	active     bool
	suspended  bool
	policies   []policy.Named
	generation int64
	checked    time.Time
}

// keyCache keeps bearers by access key id. An epoch ends with every change on
// this server: what was read in an earlier one may be older than the change,
// and is not kept.
type keyCache struct {
	mu      sync.Mutex
	epoch   int
	bearers map[string]bearer
}

func (c *keyCache) get(id string) (b bearer, epoch int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok = c.bearers[id]
	return b, c.epoch, ok
}

func (c *keyCache) put(id string, b bearer, epoch int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch != c.epoch {
		return
	}
	if c.bearers == nil || len(c.bearers) >= maxCached {
		c.bearers = make(map[string]bearer)
	}
	c.bearers[id] = b
}

func (c *keyCache) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.bearers, id)
}

func (c *keyCache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	c.bearers = nil
}

// bearer answers who has a key; store.ErrNotFound for an unknown one.
func (s *Service) bearer(ctx context.Context, id string) (bearer, error) {
	b, epoch, ok := s.keys.get(id)
	now := s.Now()
	if age := now.Sub(b.checked); ok && 0 <= age && age < checkEvery {
		return b, nil
	}
	if ok {
		generation, err := s.DB.AccessGeneration(ctx, b.principal.AccountID)
		if err == nil && generation == b.generation {
			b.checked = now
			s.keys.put(id, b, epoch)
			return b, nil
		}
	}
	b, err := s.load(ctx, id)
	if err != nil {
		s.keys.forget(id)
		return b, err
	}
	b.checked = now
	s.keys.put(id, b, epoch)
	return b, nil
}

func (s *Service) load(ctx context.Context, id string) (bearer, error) {
	a, err := s.DB.Access(ctx, id)
	if err != nil {
		return bearer{}, fmt.Errorf("load access key: %w", err)
	}
	secret, err := s.Box.Open(a.Key.Secret, keyContext(id))
	if err != nil {
		return bearer{}, fmt.Errorf("unseal the secret of access key %s: %w", id, err)
	}
	b := bearer{
		principal: portolan.Principal{AccountID: a.Key.AccountID, AccessKeyID: id, UserID: a.Key.UserID, UserName: a.UserName},
		secret:    string(secret), active: a.Key.Active, suspended: a.Suspended, generation: a.Generation,
	}
	b.policies, err = compile(a.Attachments)
	return b, err
}

// keyContext binds a sealed secret to its key.
func keyContext(id string) string { return "access_key/" + id }

// compile compiles what is attached. A policy that cannot be read refuses
// everything: it might hold a Deny.
func compile(list []store.Attachment) ([]policy.Named, error) {
	var compiled []policy.Named
	for _, a := range list {
		document := a.Document
		if a.Type == store.PolicySystem {
			system, ok := policy.LookupSystem(a.Name)
			if !ok {
				continue // it was withdrawn
			}
			document = system.Document
		}
		p, err := policy.Parse(document)
		if err != nil {
			return nil, fmt.Errorf("compile policy %s: %w", a.Name, err)
		}
		compiled = append(compiled, policy.Named{Name: a.Name, Origin: a.Type, Policy: p})
	}
	return compiled, nil
}
