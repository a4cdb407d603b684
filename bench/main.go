// Command bench measures a whole Portolan against floors in the same run.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"portolan/internal/store"
)

func main() {
	ctx := context.Background()
	db, err := store.Open(ctx, os.Args[1], store.Options{})
	if err != nil {
		panic(err)
	}
	var s scale
	fmt.Sscan(os.Args[2], &s.registries)
	fmt.Sscan(os.Args[3], &s.repositories)
	fmt.Sscan(os.Args[4], &s.images)
	t := time.Now()
	if s.registries == 0 {
		probe(ctx, db)
		return
	}
	if err := fill(ctx, db, s); err != nil {
		panic(err)
	}
	fmt.Println("filled", s.total(), time.Since(t))
	probe(ctx, db)
}

func probe(ctx context.Context, db *store.DB) {
	_, total, err := db.Images(ctx, account, store.Criteria{}, 1, 20)
	fmt.Println(total, err)
	c := func(f store.Field, v string) store.Criteria {
		return store.Criteria{Terms: []store.Term{{Field: f, Values: []string{v}}}}
	}
	list, _, _ := db.Images(ctx, account, store.Criteria{}, 1, 1)
	i := list[0]
	for name, q := range map[string]struct {
		c    store.Criteria
		page int
	}{
		"first": {store.Criteria{}, 1}, "50th": {store.Criteria{}, 50}, "middle": {store.Criteria{}, total / 40}, "last": {store.Criteria{}, total / 20},
		"registry": {c(store.FieldInstance, i.Repository.Registry.InstanceID), 1}, "type": {c(store.FieldType, "oci"), 1},
		"region": {c(store.FieldRegion, "eu-central-1"), 1}, "repo": {c(store.FieldRepo, i.Repository.RepoID), 1},
		"namespace": {c(store.FieldRepoNamespace, "team-3/group"), 1}, "reponame": {c(store.FieldRepoName, "app-17"), 1},
		"tag": {c(store.FieldTag, "v3.1"), 1}, "tag-absent": {c(store.FieldTag, "nightly"), 1}, "digest": {c(store.FieldDigest, string(i.Digest)), 1},
	} {
		best := time.Hour
		n := 0
		for range 3 {
			t := time.Now()
			var err error
			if _, n, err = db.Images(ctx, account, q.c, q.page, 20); err != nil {
				fmt.Println(name, err)
			}
			best = min(best, time.Since(t))
		}
		fmt.Printf("%-12s %8d %s\n", name, n, best)
	}
	t := time.Now()
	_, n, err := db.Repositories(ctx, account, store.Criteria{}, 1, 20)
	fmt.Println("repositories", n, err, time.Since(t))
}
