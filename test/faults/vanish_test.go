package faults

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/connector/connectortest"
	"portolan/internal/connector/harbor/harbortest"
)

// TestVanish takes many images away at once: they are held, until they are
// back, a person says so, or two later readings agree.
func TestVanish(t *testing.T) {
	t.Parallel()
	harbor := func() origin {
		h := newHarbor("v2.15.2-abc", robot)
		h.Update(func(m *harbortest.Model) {
			m.Projects = append(m.Projects, harbortest.Project{Name: "tiny", Repositories: []harbortest.Repository{repository("one", 2)}})
			m.Robots[0].Projects = append(m.Robots[0].Projects, "tiny")
		})
		return h
	}
	oci := func() origin {
		o := newOCI()
		for n := range 60 {
			o.push(fmt.Sprintf("bulk/app-%d", n/20), connectortest.NewImage(fmt.Sprint("bulk ", n)), fmt.Sprint("b", n))
		}
		return o
	}
	ofHarbor := func(change func(*harbortest.Model)) func(origin) {
		return func(o origin) { o.(*harborOrigin).Update(change) }
	}
	lose := func(project string) func(*harbortest.Model) {
		return func(m *harbortest.Model) {
			m.Robots[0].Projects = slices.DeleteFunc(slices.Clone(m.Robots[0].Projects), func(p string) bool { return p == project })
		}
	}
	for name, test := range map[string]struct {
		origin func() origin
		take   func(origin)
	}{
		"oci half": {oci, func(o origin) { o.(*ociOrigin).removeAll(2) }},
		"oci all":  {oci, func(o origin) { o.(*ociOrigin).removeAll(1) }},
		"harbor half": {harbor, ofHarbor(func(m *harbortest.Model) {
			big := m.Find("team/big")
			big.Artifacts = big.Artifacts[:51]
		})},
		"harbor all":                    {harbor, ofHarbor(func(m *harbortest.Model) { m.Projects = nil })},
		"robot loses a project":         {harbor, ofHarbor(lose("team"))},
		"robot loses two images":        {harbor, ofHarbor(lose("tiny"))},
		"harbor loses its repositories": {harbor, ofHarbor(func(m *harbortest.Model) { m.Projects[1].Repositories = nil })},
		"harbor empties its repositories": {harbor, ofHarbor(func(m *harbortest.Model) {
			for i := range m.Projects[1].Repositories {
				m.Projects[1].Repositories[i].Artifacts = nil
			}
		})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, confirm := range []bool{false, true} {
				t.Run(fmt.Sprintf("confirm=%t", confirm), func(t *testing.T) {
					t.Parallel()
					bubble(t, test.origin, func(r *rig) { r.vanish(test.take, confirm) })
				})
			}
		})
	}
}

func (r *rig) vanish(take func(origin), confirm bool) {
	r.Helper()
	r.converge("first")
	before := r.entry().ImageCount
	<-time.After(time.Hour)
	take(r.origin)
	held := func(name string) {
		r.Helper()
		s := r.sync(false)
		if s.Status != portolan.SyncPartial || s.Ledger.ErrorCode != portolan.VanishGuard || s.Ledger.ImagesHeld == 0 || r.entry().ImageCount != before {
			r.Errorf("%s: %s %s %q, %d held, %d of %d left", name, s.Status, s.Ledger.ErrorCode, s.Ledger.ErrorMessage, s.Ledger.ImagesHeld, r.entry().ImageCount, before)
		}
	}
	held("at once")
	<-time.After(11 * time.Minute)
	held("the first later reading")
	if !confirm {
		<-time.After(time.Hour)
	}
	r.sync(confirm)
	if left := r.entry().ImageCount; left >= before {
		r.Errorf("%d of %d images are left", left, before)
	}
}

// TestReturn gives a robot back the project that it lost: what was held is
// there as it was.
func TestReturn(t *testing.T) {
	t.Parallel()
	bubble(t, func() origin { return newHarbor("v2.15.2-abc", robot) }, func(r *rig) {
		may := func(projects ...string) {
			r.origin.(*harborOrigin).Update(func(m *harbortest.Model) { m.Robots[0].Projects = projects })
		}
		r.converge("first")
		before := r.images()
		<-time.After(time.Hour)
		may("library")
		r.sync(false)
		if d := cmp.Diff(before, r.images()); d != "" {
			r.Errorf("the lost project (-) is not held (+):\n%s", d)
		}
		may("library", "team")
		<-time.After(time.Hour)
		r.origin.change()
		r.converge("with the project again")
	})
}

// removeAll removes every tag, or every n-th.
func (o *ociOrigin) removeAll(every int) {
	n := 0
	for _, path := range sortedKeys(o.tags) {
		for _, tag := range sortedKeys(o.tags[path]) {
			if n++; n%every == 0 {
				o.remove(path, tag)
			}
		}
	}
}
