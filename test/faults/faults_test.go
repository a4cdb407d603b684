package faults

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/store/storetest"
)

// origins are the registries that are read, by name. The accounts of users
// are tried for what robots are safe from.
func origins() map[string]func() origin {
	return map[string]func() origin{
		"oci":         func() origin { return newOCI() },
		"harbor":      func() origin { return newHarbor("v2.11.2-abc", robot) },
		"harbor bulk": func() origin { return newHarbor("v2.15.2-abc", robot) },
		"harbor user": func() origin { return newHarbor("v2.15.2-abc", "reader") },
	}
}

// applies reports whether a kind is tried on an origin.
func (f *fault) applies(name string) bool {
	if name == "harbor user" {
		return f.only == name
	}
	return f.only == "" || strings.HasPrefix(name, f.only) && f.only != "harbor user"
}

// TestFaults lets each request of a reading fail in each way, once and for the
// rest of the reading.
func TestFaults(t *testing.T) {
	full := long(t)
	t.Parallel()
	var cases, missed atomic.Int64
	t.Run("cases", func(t *testing.T) {
		for _, name := range slices.Sorted(maps.Keys(origins())) {
			t.Run(name, func(t *testing.T) {
				requests := good(t, origins()[name])
				for _, f := range faults() {
					for i, request := range requests {
						if !f.applies(name) || !full && !f.every && i != 0 && i != len(requests)/2 && i != len(requests)-1 {
							continue
						}
						for _, lasts := range []bool{false, true} {
							cases.Add(1)
							t.Run(fmt.Sprintf("%s/%s/lasts=%t", f.name, request, lasts), func(t *testing.T) {
								if !hit(t, origins()[name], plan{fault: f, at: request, lasts: lasts}) {
									missed.Add(1)
								}
							})
						}
					}
				}
			})
		}
	})
	t.Logf("%d cases, of which %d had no such request", cases.Load(), missed.Load())
	if missed.Load()*20 > cases.Load() {
		t.Errorf("%d of %d faults hit nothing", missed.Load(), cases.Load())
	}
}

// bubble runs a test in its own time, on a store of its own.
func bubble(t *testing.T, o func() origin, test func(r *rig)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "portolan.db")
	storetest.Prepare(t, path)
	synctest.Test(t, func(t *testing.T) { test(newRig(t, path, o())) })
}

// good reads without a fault and answers the requests of the second reading,
// in order.
func good(t *testing.T, o func() origin) (requests []string) {
	t.Helper()
	bubble(t, o, func(r *rig) {
		r.converge("first")
		r.origin.change()
		r.gate.start(nil)
		r.converge("second")
		requests, _ = r.gate.requests()
	})
	slices.Sort(requests)
	return slices.Compact(requests)
}

// converge reads once, which must be good and find everything.
func (r *rig) converge(name string) {
	r.Helper()
	s := r.sync(false)
	if s.Status != portolan.SyncOK {
		r.Errorf("%s reading: %s %s: %s", name, s.Status, s.Ledger.ErrorCode, s.Ledger.ErrorMessage)
	}
	if d := cmp.Diff(r.origin.truth(), r.images()); d != "" {
		r.Errorf("%s reading: inventory (+) and registry (-) differ:\n%s", name, d)
	}
}

// hit reads with a fault and checks what came of it. It answers false if the
// request did not come.
func hit(t *testing.T, o func() origin, p plan) (struck bool) {
	t.Parallel()
	bubble(t, o, func(r *rig) {
		r.converge("first")
		before := r.images()
		<-time.After(time.Hour)
		r.origin.change()
		after := r.origin.truth()
		r.gate.start(&p)
		s := r.sync(false)
		_, struck = r.gate.requests()
		r.judge(&p, struck, s, before, after)
		r.gate.start(nil)
		<-time.After(time.Hour)
		r.converge("next")
	})
	return struck
}

// judge holds a reading with a fault to what it promises.
func (r *rig) judge(p *plan, struck bool, s *portolan.Sync, before, after content) {
	r.Helper()
	now := r.images()
	if p.fault.name == "404" {
		// What is new and does not exist when asked is taken for empty, once.
		for path := range after {
			if len(before[path])+len(now[path]) == 0 {
				delete(after, path)
			}
		}
	}
	if s.Status == portolan.SyncOK && !p.fault.gone {
		if d := cmp.Diff(after, now); d != "" {
			r.Errorf("the reading says ok, but inventory (+) and registry (-) differ:\n%s", d)
		}
	}
	if s.Status != portolan.SyncOK && (!struck || p.fault.mends && (!p.lasts || p.fault.waits)) {
		r.Errorf("a fault that mends made the reading %s %s: %s", s.Status, s.Ledger.ErrorCode, s.Ledger.ErrorMessage)
	}
	if s.Status != portolan.SyncOK && !slices.Contains(p.fault.codes, s.Ledger.ErrorCode) {
		r.Errorf("%s: code %s is not what %s may come to: %s", s.Status, s.Ledger.ErrorCode, p.fault.name, s.Ledger.ErrorMessage)
	}
	failed := map[string]bool{}
	for _, i := range s.Ledger.Issues {
		failed[i.Repository] = true
	}
	gone := ""
	if p.fault.gone && struck {
		gone = r.origin.vanish()
	}
	paths := maps.Clone(before)
	maps.Copy(paths, after)
	maps.Copy(paths, now)
	for path := range paths {
		was, is := cmp.Equal(now[path], before[path]), cmp.Equal(now[path], after[path])
		switch {
		case was, is && !failed[path], path == gone && len(now[path]) == 0 && !failed[path]:
		case s.Status != portolan.SyncOK && !failed[path] && cmp.Equal(now[path], held(before[path], after[path])):
		default:
			r.Errorf("%s (failed: %t) is neither as it was (-) nor as it is:\n%s\n%s", path, failed[path], cmp.Diff(before[path], now[path]), cmp.Diff(after[path], now[path]))
		}
	}
}

// held is a repository that is read, but whose images that are gone are kept:
// the reading could not prove in the end that it was shown everything.
func held(before, after map[portolan.Digest]string) map[portolan.Digest]string {
	kept := maps.Clone(before)
	maps.Copy(kept, after)
	return kept
}
