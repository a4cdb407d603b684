package store_test

import (
	"fmt"
	"testing"
	"time"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// However many repositories are staged, all that are unchanged are skipped and
// all that are left fail.
func TestManyStaged(t *testing.T) {
	t.Parallel()
	const many = 1_200
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.Harbor)
		list, changes := make([]store.StagedRepository, many), make([]store.Change, many)
		for i := range list {
			list[i] = store.StagedRepository{Path: fmt.Sprintf("app-%04d", i), Fingerprint: "same"}
			changes[i] = f.inserting(list[i].Path)
			changes[i].Staged = list[i]
		}
		l := f.claim(r)
		f.must(f.Apply(t.Context(), l, changes, true))
		f.publish(l, 0)
		l = f.claim(r)
		list[3].Fingerprint = "another"
		added, err := f.StageRepositories(t.Context(), l, list)
		if err != nil || added != many {
			t.Fatalf("%d are new, %v", added, err)
		}
		skipped, err := f.SkipUnchanged(t.Context(), l, f.now().Add(-time.Hour), []string{"app-0007", "app-1100"})
		if err != nil || skipped != many-3 {
			t.Errorf("%d are skipped, %v", skipped, err)
		}
		counts := func(wantSkipped, wantFailed int) {
			t.Helper()
			_, skipped, failed, err := f.CountStaged(t.Context(), l)
			if err != nil || skipped != wantSkipped || failed != wantFailed {
				t.Errorf("%d are skipped, %d failed, %v", skipped, failed, err)
			}
		}
		counts(many-3, 0)
		f.must(f.FailTodo(t.Context(), l))
		counts(many-3, 3)
		f.publish(l, 0)
		l = f.claim(r)
		_, err = f.StageRepositories(t.Context(), l, list)
		f.must(err)
		f.must(f.FailTodo(t.Context(), l))
		counts(0, many)
	})
}
