package sas

import (
	"net/netip"
	"strings"
	"testing"

	"portolan/internal/store/storetest"
)

func TestRefreshRegistryWebhook(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.service.Registries.Hooks = hasher(t, "webhook")
		id := r.stock()
		made := must[refreshRegistryWebhookResponse](r, "RefreshRegistryWebhook", "RegistryId", id).Data
		if made.Path != "/hooks/"+id+"/"+made.Secret || len(made.Secret) != 32 {
			t.Errorf("%+v", made)
		}
		g, err := r.service.Registries.AdmitHook(t.Context(), made.RegistryID, made.Secret, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		if row := r.entry(id); row.LastEventTime != "" {
			t.Errorf("last event %q", row.LastEventTime)
		}
		if err := r.service.Inventory.Mark(t.Context(), g, []string{"team/api"}); err != nil {
			t.Fatal(err)
		}
		info := ""
		for row, err := range must[listPrivateRegistryListResponse](r, "ListPrivateRegistryList").ImageRegistryInfos {
			if err != nil {
				t.Fatal(err)
			}
			info = row.LastEventTime
		}
		if row := r.entry(id); !strings.HasPrefix(row.LastEventTime, "2026-01-02 ") || info != row.LastEventTime {
			t.Errorf("last event %q and %q", row.LastEventTime, info)
		}
		refuse(r, "RegistryNotExist", "", "RefreshRegistryWebhook", "RegistryId", "999")
		refuse(r, "MissingRegistryId", "", "RefreshRegistryWebhook")
		r.account = accountB
		refuse(r, "RegistryNotExist", "", "RefreshRegistryWebhook", "RegistryId", id)
	})
}
