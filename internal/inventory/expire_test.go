package inventory_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// Images that no build reports leave the lists within an hour of their time,
// however many, and are not looked for more often.
func TestExpire(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		const images = 250
		r := newRig(t, url)
		var ci int64
		err := r.db.Update(t.Context(), func(tx *store.Tx) (err error) {
			ci, err = tx.AddRegistry(t.Context(), &portolan.Registry{
				AccountID: r.account, Type: portolan.CICD, Name: "ci", Port: 443, Protocol: 2, NetType: 1,
				RegionID: "cn-hangzhou", Version: "-", TransPerHour: 30, PersistenceDay: 3, InstanceID: store.NewInstanceID(),
			}, nil)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		report := func(first, n int) {
			t.Helper()
			list := make([]store.Report, n)
			for i := range list {
				list[i] = store.Report{
					AccountID: r.account, RegistryID: ci, Path: fmt.Sprint("app", i%3), Tag: fmt.Sprint("v", first+i),
					TaskID: uuid.NewString(), NewUUID: uuid.NewString(),
				}
			}
			if _, err := r.db.Report(t.Context(), list); err != nil {
				t.Fatal(err)
			}
		}
		expect := func(want int) {
			t.Helper()
			if err := r.service.Expire(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n, inRepositories, kept, err := r.db.Recount(t.Context(), ci); err != nil || n != want || inRepositories != want || kept != want {
				t.Errorf("%d images, %d in repositories, %d counted, %v; want %d", n, inRepositories, kept, err, want)
			}
		}
		report(0, images)
		expect(images)
		r.clock.add(3*24*time.Hour - 30*time.Minute)
		report(images, 2)
		expect(images + 2) // this was a run
		r.clock.add(59 * time.Minute)
		expect(images + 2) // their time is over since 29 minutes, the last run was 59 minutes ago
		r.clock.add(time.Minute)
		expect(2)
	})
}
