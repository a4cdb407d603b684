package store_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// Pages from either end of the order make up the whole list.
func TestImagePages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		var all []portolan.Image
		for r := range 3 {
			id := f.add(account, fmt.Sprint(r), portolan.OCI)
			for repo := range 3 {
				var images []portolan.Image
				for n := range 7 {
					images = append(images, f.image(r*100+repo*10+n, fmt.Sprintf("v%d", n)))
				}
				f.fill(id, fmt.Sprintf("team/app%d", repo), images...)
				all = append(all, images...)
			}
		}
		f.fill(f.add(other, "x", portolan.OCI), "not/ours", f.image(1))
		slices.SortFunc(all, func(a, b portolan.Image) int {
			if c := b.Updated.Compare(a.Updated); c != 0 {
				return c
			}
			return -cmpStrings(a.UUID, b.UUID)
		})
		var want []string
		for _, i := range all {
			want = append(want, i.UUID)
		}
		for _, size := range []int{1, 4, 9, 63, 1000} {
			var got []string
			for page := 1; page <= len(all)/size+2; page++ {
				list, total, err := f.Images(t.Context(), account, store.Criteria{}, page, size)
				if err != nil || total != len(all) {
					t.Fatalf("page %d: total %d, %v", page, total, err)
				}
				for _, i := range list {
					got = append(got, i.UUID)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("in pages of %d the list is another", size)
			}
		}
		if list, total, err := f.Images(t.Context(), account, store.Criteria{}, math.MaxInt, 1000); err != nil || len(list) != 0 || total != len(all) {
			t.Errorf("far past the end: %d of %d, %v", len(list), total, err)
		}
		first, _, err := f.Images(t.Context(), account, store.Criteria{}, 1, 1)
		f.must(err)
		got := first[0]
		got.Repository = portolan.Repository{}
		if d := cmp.Diff(all[0], got); d != "" {
			t.Errorf("an image is not what was kept: %s", d)
		}
		found, err := f.ImagesByUUID(t.Context(), account, []string{want[3], "none", want[5]})
		if err != nil || len(found) != 2 {
			t.Errorf("by uuid: %d, %v", len(found), err)
		}
		if found, err = f.ImagesByUUID(t.Context(), other, want[:3]); err != nil || len(found) != 0 {
			t.Errorf("another account's by uuid: %d, %v", len(found), err)
		}
	})
}

func cmpStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestCriteria(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		one, two := f.add(account, "one", portolan.OCI), f.add(account, "two", portolan.Harbor)
		a := f.image(1, "latest", "v1.0")
		b := f.image(2, "V2_rc", "50%off")
		c := f.image(3, `back\slash`)
		d := f.image(4)
		f.fill(one, "Team/App", a)
		f.fill(one, "solo", b)
		f.fill(two, "team/sub/app", c, d)
		f.fill(f.add(other, "x", portolan.OCI), "team/app", f.image(9, "latest"))
		repos, _, err := f.Repositories(t.Context(), account, store.Criteria{Terms: []store.Term{{Field: store.FieldRepoName, Values: []string{"solo"}}}}, 1, 10)
		f.must(err)
		instance := f.instance(two)
		tests := map[string]struct {
			field  store.Field
			values []string
			want   []portolan.Image
		}{
			"name":               {store.FieldRepoName, []string{"AP"}, []portolan.Image{a, c, d}},
			"namespace":          {store.FieldRepoNamespace, []string{"team"}, []portolan.Image{a, c, d}},
			"namespace deep":     {store.FieldRepoNamespace, []string{"m/s"}, []portolan.Image{c, d}},
			"instance":           {store.FieldInstance, []string{instance}, []portolan.Image{c, d}},
			"registry id":        {store.FieldInstance, []string{strconv.FormatInt(one, 10)}, []portolan.Image{a, b}},
			"instance or id":     {store.FieldInstance, []string{instance, strconv.FormatInt(one, 10)}, []portolan.Image{a, b, c, d}},
			"no such instance":   {store.FieldInstance, []string{"cri-none"}, nil},
			"padded id":          {store.FieldInstance, []string{"0" + strconv.FormatInt(one, 10)}, nil},
			"repo id":            {store.FieldRepo, []string{repos[0].RepoID}, []portolan.Image{b}},
			"region":             {store.FieldRegion, []string{"cn-hangzhou"}, []portolan.Image{a, b, c, d}},
			"type":               {store.FieldType, []string{"harbor"}, []portolan.Image{c, d}},
			"types":              {store.FieldType, []string{"harbor", "oci"}, []portolan.Image{a, b, c, d}},
			"tag":                {store.FieldTag, []string{"v"}, []portolan.Image{a, b}},
			"percent":            {store.FieldTag, []string{"%"}, []portolan.Image{b}},
			"underscore":         {store.FieldTag, []string{"_"}, []portolan.Image{b}},
			"backslash":          {store.FieldTag, []string{`\`}, []portolan.Image{c}},
			"quote":              {store.FieldTag, []string{"'"}, nil},
			"newline":            {store.FieldTag, []string{"latest\nv1.0"}, nil},
			"nul":                {store.FieldTag, []string{"a\x00"}, nil},
			"no UTF-8":           {store.FieldTag, []string{"\xff"}, nil},
			"digest":             {store.FieldDigest, []string{string(digest(1)), string(digest(4))}, []portolan.Image{a, d}},
			"image id":           {store.FieldImageID, []string{string(digest(1_000_002))}, []portolan.Image{b}},
			"uuid":               {store.FieldUUID, []string{c.UUID}, []portolan.Image{c}},
			"tag is":             {store.FieldTagIs, []string{"v1.0"}, []portolan.Image{a}},
			"tag is, in part":    {store.FieldTagIs, []string{"v1"}, nil},
			"path":               {store.FieldPathEnd, []string{"sub/app"}, []portolan.Image{c, d}},
			"path, in part":      {store.FieldPathEnd, []string{"ub/app"}, nil},
			"whole path":         {store.FieldPathEnd, []string{"team/sub/app"}, []portolan.Image{c, d}},
			"always":             {store.FieldConst, []string{"1"}, []portolan.Image{a, b, c, d}},
			"never":              {store.FieldConst, []string{"0"}, nil},
			"one of no values":   {store.FieldTag, nil, nil},
			"empty tag":          {store.FieldTagIs, []string{""}, []portolan.Image{d}},
			"substring of all":   {store.FieldTag, []string{""}, []portolan.Image{a, b, c, d}},
			"number as a region": {store.FieldRegion, []string{"1"}, nil},
		}
		for name, test := range tests {
			f.selects(name, store.Criteria{Terms: []store.Term{{Field: test.field, Values: test.values}}}, test.want...)
		}
		app, latest := store.Term{Field: store.FieldRepoName, Values: []string{"app"}}, store.Term{Field: store.FieldTag, Values: []string{"latest", "rc"}}
		f.selects("and", store.Criteria{Terms: []store.Term{app, latest}}, a)
		f.selects("or", store.Criteria{Any: true, Terms: []store.Term{app, latest}}, a, b, c, d)
		of2 := store.Term{Field: store.FieldDigest, Values: []string{string(digest(2))}}
		f.selects("digest and", store.Criteria{Terms: []store.Term{of2, latest}}, b)
		f.selects("digest or", store.Criteria{Any: true, Terms: []store.Term{of2, app}}, a, b, c, d)
	})
}

func (f *fixture) instance(registry int64) string {
	f.Helper()
	r, err := f.Registry(f.Context(), account, registry)
	f.must(err)
	return r.InstanceID
}

func (f *fixture) selects(name string, c store.Criteria, want ...portolan.Image) {
	f.Helper()
	list, total, err := f.Images(f.Context(), account, c, 1, 100)
	if err != nil {
		f.Errorf("%s: %v", name, err)
	}
	if got, want := digests(list), digests(want); !slices.Equal(got, want) || total != len(want) {
		f.Errorf("%s: %v, total %d, want %v", name, got, total, want)
	}
}

func digests(list []portolan.Image) []string {
	var all []string
	for _, i := range list {
		all = append(all, i.Digest.Wire()[60:])
	}
	slices.Sort(all)
	return all
}

func TestDistinct(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "one", portolan.OCI)
		f.fill(r, "Straße/B", f.image(1, "v1"))
		f.fill(r, "Straße/a", f.image(2, "v1", "v2"))
		f.fill(r, "Straße/c", f.image(3, "z", "edge", "Release"), f.image(4))
		for name, test := range map[string]struct {
			field store.Field
			like  string
			limit int
			want  []string
		}{
			"names":      {store.FieldRepoName, "", 10, []string{"B", "a", "c"}},
			"limited":    {store.FieldRepoName, "", 1, []string{"B"}},
			"folded":     {store.FieldRepoNamespace, "STRASSE", 10, []string{"Straße"}},
			"tags":       {store.FieldTag, "V", 10, []string{"v1", "v2"}},
			"all tags":   {store.FieldTag, "", 10, []string{"Release", "edge", "v1", "v2", "z"}},
			"some tags":  {store.FieldTag, "", 3, []string{"Release", "edge", "z"}}, // the newest
			"older tags": {store.FieldTag, "REL", 10, []string{"Release"}},
			"line break": {store.FieldTag, "z\nr", 10, nil},
			"none":       {store.FieldTag, "%", 10, nil},
			"no UTF-8":   {store.FieldTag, "\xff", 10, nil},
			"region":     {store.FieldRegion, "hang", 10, []string{"cn-hangzhou"}},
			"by digest":  {store.FieldDigest, digest(1).Wire(), 10, []string{string(digest(1))}},
			"by uuid":    {store.FieldUUID, "zzz", 10, nil},
			"by id":      {store.FieldImageID, digest(1_000_001).Wire(), 10, []string{string(digest(1_000_001))}},
			"namespaces": {store.FieldRepoNamespace, "x", 10, nil},
		} {
			got, err := f.Distinct(t.Context(), account, test.field, test.like, test.limit)
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("%s: %v %v", name, got, err)
			}
		}
		if _, err := f.Distinct(t.Context(), account, store.FieldTagIs, "", 10); err == nil {
			t.Error("a field without values of its own has some")
		}
		f.RecentOnly(2) // images 4 and 3
		got, err := f.Distinct(t.Context(), account, store.FieldTag, "", 10)
		if want := []string{"Release", "edge", "z"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("tags of the newest two: %v %v", got, err)
		}
		if got, err = f.Distinct(t.Context(), account, store.FieldTag, "v1", 10); err != nil || got != nil {
			t.Errorf("a tag of older images: %v %v", got, err)
		}
		images, _, err := f.Images(t.Context(), account, store.Criteria{Terms: []store.Term{{Field: store.FieldDigest, Values: []string{string(digest(1))}}}}, 1, 1)
		if err != nil || len(images) != 1 {
			t.Fatalf("the oldest image: %v %v", images, err)
		}
		for field, text := range map[store.Field]string{store.FieldDigest: digest(1).Wire(), store.FieldUUID: images[0].UUID} {
			if got, err = f.Distinct(t.Context(), account, field, strings.ToUpper(text), 10); err != nil || len(got) != 1 || !strings.HasSuffix(got[0], text) {
				t.Errorf("%s of an older image: %v %v", field, got, err)
			}
		}
		part := images[0].UUID[1:]
		if got, err = f.Distinct(t.Context(), account, store.FieldUUID, part, 10); err != nil || got != nil {
			t.Errorf("a part of the uuid of an older image: %v %v", got, err)
		}
	})
}

// Total, pages and counts agree with each other while readings are published.
func TestTotalsUnderWriters(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		ids := []int64{f.add(account, "a", portolan.OCI), f.add(account, "b", portolan.OCI)}
		done := make(chan struct{})
		var writers, readers sync.WaitGroup
		for k, id := range ids {
			writers.Go(func() {
				for round := range 12 {
					if err := f.round(id, fmt.Sprintf("%d-%d", k, round), k*10_000+round*100); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range 3 {
			readers.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
						f.agree(ids)
					}
				}
			})
		}
		writers.Wait()
		close(done)
		readers.Wait()
		for _, id := range ids {
			f.exact(id, 12*30)
		}
	})
}

// round is a reading that adds 30 images in two transactions.
func (f *fixture) round(registry int64, name string, from int) error {
	ctx := f.Context()
	err := f.Update(ctx, func(tx *store.Tx) error {
		_, _, err := tx.RequestSync(ctx, store.SyncRequest{AccountID: account, RegistryID: registry, NewID: name})
		return err
	})
	if err != nil {
		return err
	}
	l, err := f.Claim(ctx, name, "w", 0)
	if err != nil {
		return err
	}
	for half := range 2 {
		var images []portolan.Image
		for n := range 15 {
			images = append(images, f.image(from+half*50+n, "v"))
		}
		if err := f.Apply(ctx, l, []store.Change{f.inserting("app", images...)}, true); err != nil {
			return err
		}
	}
	l.Sync.Status = portolan.SyncOK
	return f.Update(ctx, func(tx *store.Tx) error { _, err := tx.Finish(ctx, l, store.Finish{CountDelta: 30}); return err })
}

func (f *fixture) agree(ids []int64) {
	list, total, err := f.Images(context.WithoutCancel(f.Context()), account, store.Criteria{}, 1, 1000)
	if err != nil || len(list) != total || total%30 != 0 {
		f.Errorf("%d images are listed, the total is %d, %v", len(list), total, err)
	}
	for _, id := range ids {
		images, inRepositories, kept, err := f.Recount(context.WithoutCancel(f.Context()), id)
		if err != nil || images != kept || inRepositories != kept {
			f.Errorf("%d images, repositories count %d, the registry %d, %v", images, inRepositories, kept, err)
		}
	}
}
