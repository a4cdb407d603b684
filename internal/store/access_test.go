package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

func TestAccess(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		try := func(want error, what string, fn func(context.Context, *store.Tx) error) {
			t.Helper()
			before, err := f.AccessGeneration(t.Context(), account)
			f.must(err)
			if err := f.Update(t.Context(), func(tx *store.Tx) error { return fn(t.Context(), tx) }); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
			after, err := f.AccessGeneration(t.Context(), account)
			f.must(err)
			if (after > before) != (want == nil) && what != "add user" {
				t.Errorf("%s: the generation went from %d to %d", what, before, after)
			}
		}
		addUser := func(id int64, folded string) func(context.Context, *store.Tx) error {
			return func(ctx context.Context, tx *store.Tx) error {
				return tx.AddUser(ctx, store.User{ID: id, AccountID: account, Name: "Alice"}, folded)
			}
		}
		try(nil, "add user", addUser(7, "alice"))
		try(store.ErrConflict, "add user", addUser(8, "alice"))
		try(nil, "add key", func(ctx context.Context, tx *store.Tx) error {
			return tx.AddAccessKey(ctx, store.AccessKey{ID: "AK", AccountID: account, UserID: 7, Secret: []byte("sealed")})
		})
		try(nil, "put policy", func(ctx context.Context, tx *store.Tx) error {
			return tx.PutPolicy(ctx, store.Policy{AccountID: account, Name: "Read", Document: "{}"}, "read")
		})
		attach := func(kind, name string) func(context.Context, *store.Tx) error {
			return func(ctx context.Context, tx *store.Tx) error { return tx.Attach(ctx, account, 7, kind, name) }
		}
		try(nil, "attach", attach(store.PolicyCustom, "read"))
		try(nil, "attach system", attach(store.PolicySystem, "Full"))
		try(store.ErrConflict, "attach again", attach(store.PolicyCustom, "read"))
		try(store.ErrNotFound, "attach none", attach(store.PolicyCustom, "none"))
		try(nil, "put policy again", func(ctx context.Context, tx *store.Tx) error {
			return tx.PutPolicy(ctx, store.Policy{AccountID: account, Name: "READ", Document: "{2}"}, "read")
		})
		a, err := f.Access(t.Context(), "AK")
		f.must(err)
		if a.UserName != "Alice" || string(a.Key.Secret) != "sealed" || !a.Key.Active || a.Suspended || len(a.Attachments) != 2 ||
			a.Attachments[0] != (store.Attachment{Type: store.PolicyCustom, Name: "Read", Document: "{2}"}) {
			t.Errorf("%+v", a)
		}
		deletePolicy := func(ctx context.Context, tx *store.Tx) error { return tx.DeletePolicy(ctx, account, "read") }
		detach := func(ctx context.Context, tx *store.Tx) error {
			return tx.Detach(ctx, account, 7, store.PolicyCustom, "read")
		}
		try(store.ErrConflict, "delete an attached policy", deletePolicy)
		try(nil, "detach", detach)
		try(store.ErrNotFound, "detach again", detach)
		try(nil, "delete policy", deletePolicy)
		try(store.ErrNotFound, "delete policy again", deletePolicy)
		setActive := func(owner int64) func(context.Context, *store.Tx) error {
			return func(ctx context.Context, tx *store.Tx) error { return tx.SetAccessKeyActive(ctx, owner, "AK", false) }
		}
		try(store.ErrNotFound, "disable another's key", setActive(other))
		try(nil, "disable", setActive(account))
		try(nil, "suspend", func(ctx context.Context, tx *store.Tx) error { return tx.SuspendAccount(ctx, account, true) })
		if a, err := f.Access(t.Context(), "AK"); err != nil || a.Key.Active || !a.Suspended {
			t.Errorf("%+v %v", a, err)
		}
		try(nil, "delete user", func(ctx context.Context, tx *store.Tx) error { return tx.DeleteUser(ctx, account, 7) })
		if _, err := f.Access(t.Context(), "AK"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a deleted user's key: %v", err)
		}
		if users, err := f.Users(t.Context(), account); err != nil || len(users) != 0 {
			t.Errorf("%v %v", users, err)
		}
	})
}

func TestPurgeNonces(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		for n := range 5 {
			f.must(f.UseNonce(t.Context(), "key", []byte{byte(n)}, f.now().Add(time.Duration(n)*time.Minute)))
		}
		f.pass(150 * time.Second)
		if n, err := f.Purge(t.Context(), 100); err != nil || n != 3 {
			t.Errorf("%d were purged, %v", n, err)
		}
		f.must(f.UseNonce(t.Context(), "key", []byte{0}, f.now()))
		if err := f.UseNonce(t.Context(), "key", []byte{4}, f.now()); !errors.Is(err, store.ErrConflict) {
			t.Errorf("one that has not expired: %v", err)
		}
	})
}
