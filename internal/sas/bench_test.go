package sas

import (
	"fmt"
	"testing"

	"portolan"
	"portolan/internal/rpc"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// A page of 20 of 20,000 registries, from the decoded parameters to the rows.
func BenchmarkPageImageRegistry(b *testing.B) {
	r := newRig(b, storetest.URL(b, storetest.SQLite))
	const registries, batch = 20_000, 1_000
	for from := 0; from < registries; from += batch {
		err := r.db.Update(b.Context(), func(tx *store.Tx) error {
			for i := from; i < from+batch; i++ {
				_, err := tx.AddRegistry(b.Context(), &portolan.Registry{
					AccountID: accountA, Type: portolan.RegistryTypes()[i%5], Name: fmt.Sprintf("Registry %d", i), DomainName: fmt.Sprintf("r%d.example.com", i), Port: 443,
					Protocol: 2, NetType: 1, RegionID: "cn-hangzhou", Version: "V2", TransPerHour: 30, PersistenceDay: 30, InstanceID: store.NewInstanceID(),
				}, nil)
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	e := r.endpoints["PageImageRegistry"]
	caller := &rpc.Caller{Principal: portolan.Principal{AccountID: accountA}}
	for name, values := range map[string]rpc.Values{
		"first":  {},
		"last":   {"CurrentPage": "1000"},
		"type":   {"RegistryTypeInList.1": "harbor", "RegistryTypeInList.2": "quay"},
		"like":   {"RegistryNameLike": "REGISTRY 19"},
		"nobody": {"RegistryNameLike": "nobody"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Call(b.Context(), caller, values); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
