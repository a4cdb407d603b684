package iam

import (
	"fmt"
	"testing"
)

// The nonces that are remembered stay within their bound: the oldest minute
// goes first.
func TestNonceBound(t *testing.T) {
	t.Parallel()
	n := nonces{max: 100}
	for minute := range int64(10) {
		for i := range 30 {
			if !n.use("key", fmt.Sprintf("%d/%d", minute, i), minute, 0) {
				t.Fatalf("nonce %d of minute %d is not new", i, minute)
			}
			if n.count > 100 {
				t.Fatalf("%d are remembered", n.count)
			}
		}
	}
	if n.use("key", "9/0", 9, 0) || n.use("key", "8/29", 8, 0) {
		t.Error("a recent nonce is forgotten")
	}
	if _, kept := n.buckets[0]; kept {
		t.Error("the oldest minute is still there")
	}
	sum := 0
	for _, b := range n.buckets {
		sum += len(b)
	}
	if sum != n.count {
		t.Errorf("%d are counted, %d are there", n.count, sum)
	}
}

// One minute that is too full forgets itself rather than growing.
func TestNonceBoundOfAMinute(t *testing.T) {
	t.Parallel()
	n := nonces{max: 100}
	for i := range 1000 {
		if n.use("key", fmt.Sprint(i), 7, 0); n.count > 100 {
			t.Fatalf("%d are remembered", n.count)
		}
	}
}

func TestNonceForgetsThePast(t *testing.T) {
	t.Parallel()
	n := nonces{max: 100}
	n.use("key", "a", 1, 0)
	n.use("key", "b", 20, 5)
	if len(n.buckets) != 1 || n.count != 1 {
		t.Errorf("%d minutes with %d nonces", len(n.buckets), n.count)
	}
	if !n.use("key\x00b", "", 20, 5) {
		t.Error("key and nonce run into each other")
	}
}
