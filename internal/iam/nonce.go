package iam

import (
	"crypto/sha256"
	"hash/maphash"
	"strconv"
	"sync"
)

// maxNonces bounds the nonces of reads that a server remembers; the oldest
// minute goes first.
const maxNonces = 2_000_000

// nonces remembers the nonces of reads, as keyed hashes in buckets by the
// minute of the request's own time: a replay has the same.
type nonces struct {
	mu      sync.Mutex
	seeds   [2]maphash.Seed
	buckets map[int64]map[[2]uint64]struct{}
	count   int
	max     int // of nonces
}

// use remembers a nonce and reports whether it is new. oldest is the first
// minute that requests can still come from.
func (n *nonces) use(key, nonce string, minute, oldest int64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.buckets == nil {
		n.buckets = map[int64]map[[2]uint64]struct{}{}
		n.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	}
	text := strconv.Itoa(len(key)) + key + nonce // no two pairs have the same
	hash := [2]uint64{maphash.String(n.seeds[0], text), maphash.String(n.seeds[1], text)}
	bucket := n.buckets[minute]
	if _, used := bucket[hash]; used {
		return false
	}
	if bucket == nil {
		n.forget(oldest)
		bucket = map[[2]uint64]struct{}{}
		n.buckets[minute] = bucket
	}
	if n.count >= n.max {
		n.forgetOldest()
		bucket = n.buckets[minute]
		if bucket == nil {
			bucket = map[[2]uint64]struct{}{}
			n.buckets[minute] = bucket
		}
	}
	bucket[hash] = struct{}{}
	n.count++
	return true
}

// forget drops the buckets before a minute.
func (n *nonces) forget(oldest int64) {
	for minute, bucket := range n.buckets {
		if minute < oldest {
			n.count -= len(bucket)
			delete(n.buckets, minute)
		}
	}
}

func (n *nonces) forgetOldest() {
	first, found := int64(0), false
	for minute := range n.buckets {
		if !found || minute < first {
			first, found = minute, true
		}
	}
	n.count -= len(n.buckets[first])
	delete(n.buckets, first)
}

// hashNonce shortens a nonce for the store. Its strength is the nonce's own:
// it is no secret.
func hashNonce(nonce string) []byte {
	h := sha256.Sum256([]byte(nonce))
	return h[:16]
}
