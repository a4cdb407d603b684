package iam

import "testing"

// What was read before a change, and is kept only after it, would hide the
// change for a second on the very server that made it.
func TestCacheEpoch(t *testing.T) {
	t.Parallel()
	var c keyCache
	_, epoch, _ := c.get("key")
	c.put("key", bearer{secret: "old"}, epoch)
	if b, _, ok := c.get("key"); !ok || b.secret != "old" {
		t.Fatalf("kept: %t", ok)
	}
	_, epoch, _ = c.get("key")
	c.drop() // the change
	c.put("key", bearer{secret: "old"}, epoch)
	if _, _, ok := c.get("key"); ok {
		t.Error("what was read before the change is kept after it")
	}
}

func TestCacheBound(t *testing.T) {
	t.Parallel()
	var c keyCache
	for i := range 2*maxCached + 1 {
		c.put(string(rune(i)), bearer{}, 0)
		if len(c.bearers) > maxCached {
			t.Fatalf("%d keys are kept", len(c.bearers))
		}
	}
}
