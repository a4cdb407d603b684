package iam_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"portolan/internal/iam"
	"portolan/internal/rpc"
	"portolan/internal/secret"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

func TestBootstrap(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url, store.Options{})
		s := iam.New(iam.Config{DB: db, Box: box(t)})
		broken := errors.New("no room")
		if made, err := s.Bootstrap(t.Context(), func(iam.Credentials) error { return broken }); made || !errors.Is(err, broken) {
			t.Errorf("credentials that cannot be saved: %t, %v", made, err)
		}
		if list, err := db.Accounts(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("accounts are left: %v, %v", list, err)
		}
		// Servers that start at once make one account between them.
		var mu sync.Mutex
		var saved []iam.Credentials
		var wg sync.WaitGroup
		for range 4 {
			s := iam.New(iam.Config{DB: storetest.Open(t, url, store.Options{}), Box: box(t)})
			wg.Go(func() {
				_, err := s.Bootstrap(t.Context(), func(c iam.Credentials) error {
					mu.Lock()
					defer mu.Unlock()
					saved = append(saved, c)
					return nil
				})
				if err != nil {
					t.Errorf("bootstrap: %v", err)
				}
			})
		}
		wg.Wait()
		list, err := db.Accounts(t.Context())
		if err != nil || len(list) != 1 || len(saved) != 1 || saved[0].AccountID != list[0].ID || list[0].Name != "root" {
			t.Fatalf("accounts %v, saved %v, %v", list, saved, err)
		}
		c := saved[0]
		if len(fmt.Sprint(c.AccountID)) != 16 || len(c.AccessKeyID) != 24 || len(c.AccessKeySecret) != 30 {
			t.Errorf("account %d, key %s, a secret of %d characters", c.AccountID, c.AccessKeyID, len(c.AccessKeySecret))
		}
		if text := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(text, c.AccessKeySecret) {
			t.Errorf("printed credentials show the secret")
		}
		if made, err := s.Bootstrap(t.Context(), func(iam.Credentials) error { return nil }); made || err != nil {
			t.Errorf("again: %t, %v", made, err)
		}
	})
}

func box(t *testing.T) *secret.Box {
	t.Helper()
	master, err := secret.ParseMasterKey(strings.Repeat("5a", 32))
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := master.NewDataKey()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		var c iam.Credentials
		if err := r.AddAccount(t.Context(), "second", func(x iam.Credentials) error { c = x; return nil }); err != nil {
			t.Fatal(err)
		}
		r.expect("the new account", ok, request{key: c.AccessKeyID, secret: c.AccessKeySecret}, rpc.Write)
		if err := r.SuspendAccount(t.Context(), c.AccountID, true); err != nil {
			t.Fatal(err)
		}
		r.expect("the suspended account", "NoPermission", request{key: c.AccessKeyID, secret: c.AccessKeySecret}, rpc.Read)
		r.expect("the other account", ok, request{}, rpc.Read)
		for _, name := range []string{"", "a\nb", strings.Repeat("a", 129)} {
			if got := code(r.AddAccount(t.Context(), name, nil)); got != "InvalidParameter" {
				t.Errorf("name %.20q: %s", name, got)
			}
		}
		// Nothing of one account can be reached from another.
		id := r.root.AccountID
		for name, err := range map[string]error{
			"deactivate": r.SetKeyActive(t.Context(), id, c.AccessKeyID, false),
			"delete":     r.DeleteKey(t.Context(), id, c.AccessKeyID),
		} {
			if code(err) != "EntityNotExist" {
				t.Errorf("%s a key of another account: %v", name, err)
			}
		}
	})
}

func TestUsersAndKeys(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		id := r.root.AccountID
		u, err := r.AddUser(t.Context(), id, "Ci.Reader_1-x")
		if err != nil || len(fmt.Sprint(u.ID)) != 18 {
			t.Fatalf("%+v, %v", u, err)
		}
		first, err := r.AddKey(t.Context(), id, "ci.reader_1-X")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.AddKey(t.Context(), id, u.Name); err != nil {
			t.Fatal(err)
		}
		third, err := r.AddKey(t.Context(), id, u.Name)
		if code(err) != "LimitExceeded.User.AccessKey" || third != (iam.Credentials{}) {
			t.Errorf("a third key: %v, %v", third, err)
		}
		keys, err := r.Keys(t.Context(), id, u.Name)
		if err != nil || len(keys) != 2 || keys[0].Secret != nil {
			t.Errorf("keys: %+v, %v", keys, err)
		}
		if keys, err := r.Keys(t.Context(), id, ""); err != nil || len(keys) != 1 || keys[0].ID != r.root.AccessKeyID {
			t.Errorf("keys of the account: %+v, %v", keys, err)
		}
		steps := []struct {
			name, want string
			err        error
		}{
			{"the same name", "EntityAlreadyExists", second(r.AddUser(t.Context(), id, "CI.reader_1-x"))},
			{"no name", "InvalidParameter", second(r.AddUser(t.Context(), id, ""))},
			{"a name with a blank", "InvalidParameter", second(r.AddUser(t.Context(), id, "a b"))},
			{"no such account", "EntityNotExist.Account", second(r.AddUser(t.Context(), 1, "a"))},
			{"key of nobody", "EntityNotExist.User", second(r.AddKey(t.Context(), id, "nobody"))},
			{"key of no account", "EntityNotExist.Account", second(r.AddKey(t.Context(), 1, ""))},
			{"keys of nobody", "EntityNotExist.User", second(r.Keys(t.Context(), id, "nobody"))},
			{"delete nobody", "EntityNotExist.User", r.DeleteUser(t.Context(), id, "nobody")},
			{"delete the account", "MissingUserName", r.DeleteUser(t.Context(), id, "")},
			{"attach to the account", "MissingUserName", r.Attach(t.Context(), id, "", "AdministratorAccess")},
			{"an unknown key", "EntityNotExist", r.DeleteKey(t.Context(), id, "LTAI5tNobody")},
			{"suspend an unknown one", "EntityNotExist", r.SuspendAccount(t.Context(), 1, true)},
			{"attach an unknown one", "EntityNotExist.Policy", r.Attach(t.Context(), id, u.Name, "nothing")},
			{"detach what is not", "EntityNotExist.User.Policy", r.Detach(t.Context(), id, u.Name, "AdministratorAccess")},
			{"a policy of a bad name", "InvalidParameter", r.PutPolicy(t.Context(), store.Policy{AccountID: id, Name: "a b", Document: allow})},
			{"a system policy's name", "EntityAlreadyExists.Policy", r.PutPolicy(t.Context(), store.Policy{AccountID: id, Name: "administratoraccess", Document: allow})},
			{"no policy", "MalformedPolicyDocument", r.PutPolicy(t.Context(), store.Policy{AccountID: id, Name: "a", Document: "{}"})},
			{"a policy of no account", "EntityNotExist.Account", r.PutPolicy(t.Context(), store.Policy{AccountID: 1, Name: "a", Document: allow})},
			{"delete no policy", "EntityNotExist", r.DeletePolicy(t.Context(), id, "nothing")},
			{"too long a description", "InvalidParameter", r.PutPolicy(t.Context(), store.Policy{AccountID: id, Name: "a", Document: allow, Description: strings.Repeat("a", 1025)})},
			{"put", ok, r.PutPolicy(t.Context(), store.Policy{AccountID: id, Name: "mine", Document: allow})},
			{"attach", ok, r.Attach(t.Context(), id, u.Name, "MINE")},
			{"attach twice", "EntityAlreadyExists.User.Policy", r.Attach(t.Context(), id, u.Name, "mine")},
			{"delete what is attached", "DeleteConflict.Policy.User", r.DeletePolicy(t.Context(), id, "mine")},
		}
		for _, s := range steps {
			if got := code(s.err); got != s.want {
				t.Errorf("%s: %s, want %s", s.name, got, s.want)
			}
		}
		r.expect("user's key", ok, request{key: first.AccessKeyID, secret: first.AccessKeySecret}, rpc.Read)
		if err := r.DeleteUser(t.Context(), id, "CI.READER_1-X"); err != nil {
			t.Fatal(err)
		}
		r.expect("key of a deleted user", "InvalidAccessKeyId.NotFound", request{key: first.AccessKeyID, secret: first.AccessKeySecret}, rpc.Read)
		r.expect("the account's own key", ok, request{}, rpc.Read)
		if err := r.DeletePolicy(t.Context(), id, "Mine"); err != nil {
			t.Errorf("delete a policy that is attached no more: %v", err)
		}
	})
}

const allow = `{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

func second[T any](_ T, err error) error { return err }

// The limit of keys holds when they are made at once.
func TestKeysAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() { _, _ = r.AddKey(t.Context(), r.root.AccountID, "") })
		}
		wg.Wait()
		if keys, err := r.Keys(t.Context(), r.root.AccountID, ""); err != nil || len(keys) != 2 {
			t.Errorf("%d keys, %v", len(keys), err)
		}
	})
}

// A secret is in the store in sealed form only.
func TestSealedSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	a, err := r.db.Access(t.Context(), r.root.AccessKeyID)
	if err != nil || strings.Contains(string(a.Key.Secret), r.root.AccessKeySecret) {
		t.Errorf("sealed: %q, %v", a.Key.Secret, err)
	}
	path := strings.TrimPrefix(r.url, "sqlite:")
	for _, file := range []string{path, path + "-wal"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), r.root.AccessKeySecret) {
			t.Errorf("%s holds the secret", file)
		}
	}
}

// What an account and a user may have is bounded.
func TestLimits(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		id := r.root.AccountID
		u, err := r.AddUser(t.Context(), id, "many")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 11 {
			name := fmt.Sprintf("policy-%d", i)
			err := r.PutPolicy(t.Context(), store.Policy{AccountID: id, Name: name, Document: `{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`})
			if err != nil {
				t.Fatal(err)
			}
			err = r.Attach(t.Context(), id, u.Name, name)
			if want := map[bool]string{false: "<nil>", true: "LimitExceeded.User.Policy"}[i == 10]; code(err) != want {
				t.Errorf("policy %d: %v, want %q", i+1, err, want)
			}
		}
	})
}
