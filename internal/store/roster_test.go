package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
)

// TestRoster holds the indexed list against a plain one through random
// changes: additions, some of them out of order, renamings and deletions.
func TestRoster(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	v := newRegistries()
	plain := map[int64]*portolan.Registry{}
	words := []string{"harbor", "Prod", "镜像", "Straße", "q", "x_y", "%", "🚢", "a b"}
	name := func() string {
		return words[rnd.IntN(len(words))] + words[rnd.IntN(len(words))] + fmt.Sprint(rnd.IntN(20))
	}
	for step := range 600 {
		r := randomChange(rnd, plain, int64(step+1), name)
		v.change([]*listed{listedOf(r)}, int64(step))
		if r.Deleted.IsZero() {
			plain[r.ID] = r
		} else {
			delete(plain, r.ID)
		}
		f := randomFilter(rnd, words)
		page, size := 1+rnd.IntN(3), 1+rnd.IntN(10)
		got, total := v.Page(f, page, size)
		want := plainPage(plain, f)
		if total != len(want) {
			t.Fatalf("step %d: %+v: total %d, want %d", step, f, total, len(want))
		}
		want = want[min(len(want), (page-1)*size):min(len(want), page*size)]
		if diff := cmp.Diff(ids(want), ids(got)); diff != "" {
			t.Fatalf("step %d: %+v page %d of %d (-want +got):\n%s", step, f, page, size, diff)
		}
	}
	checkCounts(t, v, plain)
	if got, want := slices.Collect(v.All), plainPage(plain, RegistryFilter{}); !slices.Equal(got, want) {
		t.Errorf("All differs: %d, want %d", len(got), len(want))
	}
	images := 0
	for _, r := range plain {
		images += r.ImageCount
		if v.Get(r.ID) != r {
			t.Errorf("Get(%d) = %v", r.ID, v.Get(r.ID))
		}
	}
	if v.Images() != images {
		t.Errorf("Images() = %d, want %d", v.Images(), images)
	}
}

// checkCounts holds the sums that are kept against those of a plain list.
func checkCounts(t *testing.T, v *Registries, plain map[int64]*portolan.Registry) {
	t.Helper()
	var one *portolan.Registry
	for _, one = range plain {
		break
	}
	region, instance := Term{FieldRegion, []string{"here"}}, Term{FieldInstance, []string{one.InstanceID}}
	for name, c := range map[string]Criteria{
		"all":                  {},
		"type":                 {Terms: []Term{{FieldType, []string{"harbor", "oci"}}}},
		"type and region":      {Terms: []Term{{FieldType, []string{"harbor"}}, region}},
		"type or region":       {Any: true, Terms: []Term{{FieldType, []string{"harbor"}}, region}},
		"instance":             {Terms: []Term{instance}},
		"id":                   {Terms: []Term{{FieldInstance, []string{strconv.FormatInt(one.ID, 10)}}}},
		"padded id":            {Terms: []Term{{FieldInstance, []string{"0" + strconv.FormatInt(one.ID, 10)}}}},
		"instance and region":  {Terms: []Term{region, instance}},
		"instance or region":   {Any: true, Terms: []Term{region, instance}},
		"two instances":        {Terms: []Term{{FieldInstance, []string{one.InstanceID, "cri-0"}}}},
		"instance, not region": {Terms: []Term{instance, {FieldRegion, []string{"nowhere"}}}},
		"never":                {Terms: []Term{{FieldConst, []string{"0"}}}},
	} {
		images, repositories := 0, 0
		for _, r := range plain {
			if c.admits(r) {
				images += r.ImageCount
				repositories += r.RepositoryCount
			}
		}
		if i, r, _ := v.countsOf(&c); i != images || r != repositories {
			t.Errorf("%s: %d images in %d repositories, want %d in %d", name, i, r, images, repositories)
		}
	}
}

func randomChange(rnd *rand.Rand, plain map[int64]*portolan.Registry, id int64, name func() string) *portolan.Registry {
	types := portolan.RegistryTypes()
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if len(plain) == 0 || rnd.IntN(3) > 0 {
		created := base.Add(time.Duration(id) * time.Second)
		if rnd.IntN(10) == 0 {
			created = base.Add(time.Duration(rnd.Int64N(id)) * time.Second)
		}
		return &portolan.Registry{
			ID: id, Name: name(), Type: types[rnd.IntN(len(types))], Created: created, ImageCount: rnd.IntN(9), RepositoryCount: rnd.IntN(5),
			RegionID: []string{"here", "there"}[rnd.IntN(2)], InstanceID: fmt.Sprintf("cri-%d", id),
		}
	}
	var changed portolan.Registry
	for _, r := range plain {
		changed = *r
		break
	}
	changed.ImageCount, changed.RegionID = rnd.IntN(9), []string{"here", "there"}[rnd.IntN(2)]
	if rnd.IntN(2) == 0 {
		changed.Deleted = base
	} else {
		changed.Name = name()
	}
	return &changed
}

func randomFilter(rnd *rand.Rand, words []string) RegistryFilter {
	var f RegistryFilter
	if rnd.IntN(2) == 0 {
		f.NameLike = strings.ToUpper(words[rnd.IntN(len(words))])
	}
	types := []string{"harbor", "oci", "CI/CD", "nexus"}
	if rnd.IntN(3) == 0 {
		f.Types = types[:rnd.IntN(len(types))]
	}
	if rnd.IntN(3) == 0 {
		f.NotTypes = types[rnd.IntN(len(types)):]
	}
	return f
}

func plainPage(plain map[int64]*portolan.Registry, f RegistryFilter) []*portolan.Registry {
	var list []*portolan.Registry
	for _, r := range plain {
		t := string(r.Type)
		if (len(f.Types) == 0 || slices.Contains(f.Types, t)) && !slices.Contains(f.NotTypes, t) &&
			strings.Contains(portolan.Fold(r.Name), portolan.Fold(f.NameLike)) {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b *portolan.Registry) int { return older(listedOf(b), listedOf(a)) })
	return list
}

func ids(list []*portolan.Registry) []int64 {
	out := []int64{}
	for _, r := range list {
		out = append(out, r.ID)
	}
	return out
}
