package store_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// The list of registries tells of each what reading it alone does, whatever
// is in its texts, when it is read for the first time and when one changes.
func TestListTellsWhatEachRegistryHas(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		for name, text := range map[string]string{"plain": "one", "empty": "", "separated": "a\x1fb", "only separators": "\x1f\x1f", "CJK": "镜像 🚢"} {
			var ids []int64
			f.update(func(ctx context.Context, tx *store.Tx) error {
				for _, r := range []*portolan.Registry{
					{Type: portolan.Harbor, Name: "before", DomainName: "before.example.com" + name},
					{
						Type: portolan.Harbor, Name: "r" + text, DomainName: "r.example.com" + name, HostIP: text, Port: 8443, Protocol: 1, NetType: 2, VpcID: text,
						RegionID: "r" + text, Version: "V2", UserName: text, HasPassword: true, WhiteList: text, BlackList: text, TransPerHour: 30,
						PersistenceDay: 90, Extra: portolan.Extra{Namespaces: []string{text, "p"}},
					},
					{
						Type: portolan.ACR, Name: text + "r", DomainName: "s.example.com" + name, HostIP: text, Port: 5000, Protocol: 2, NetType: 1, VpcID: text,
						RegionID: text, Version: text, UserName: text, WhiteList: text, BlackList: text, TransPerHour: 1, PersistenceDay: 7,
					},
					{Type: portolan.Quay, Name: "lazily", DomainName: "t.example.com" + name, UserName: text, WhiteList: text},
					{Type: portolan.OCI, Name: "after", DomainName: "after.example.com" + name},
				} {
					r.AccountID, r.InstanceID = account, store.NewInstanceID()
					id, err := tx.AddRegistry(ctx, r, nil)
					if err != nil {
						return err
					}
					ids = append(ids, id)
				}
				return nil
			})
			f.sameInList(name, ids)
			f.pass(time.Minute)
			f.update(func(ctx context.Context, tx *store.Tx) error {
				r, err := tx.Registry(ctx, account, ids[1])
				if err != nil {
					return err
				}
				r.UserName, r.Name = text+"2", "2"+text
				return tx.SetRegistry(ctx, r, nil)
			})
			f.sameInList(name+", changed", ids)
		}
	})
}

func (f *fixture) sameInList(name string, ids []int64) {
	f.Helper()
	f.pass(2 * time.Second) // for the next ones are newer
	all, err := f.Registries(f.Context(), account)
	f.must(err)
	list, total := all.Page(store.RegistryFilter{}, 1, 100)
	if total != len(list) || total < len(ids) {
		f.Fatalf("%s: %d of %d in the list", name, len(list), total)
	}
	for i, id := range ids {
		alone, err := f.Registry(f.Context(), account, id)
		f.must(err)
		if listed := list[len(ids)-1-i]; !reflect.DeepEqual(listed, alone) {
			f.Errorf("%s: listed as\n%+v, alone\n%+v", name, listed, alone)
		}
	}
}
