package acr_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/acr/acrtest"
	"portolan/internal/connector/connectortest"
)

// A login of the registry side reads what the scope names, by the Distribution
// API alone.
func TestLogin(t *testing.T) {
	t.Parallel()
	for edition, instance := range editions {
		t.Run(edition, func(t *testing.T) {
			t.Parallel()
			fake := acrtest.New(model(instance, map[string]int{"team/app": 3, "team/other": 1, "team/third": 1}))
			s := open(t, fake, as("sub@account", secret), scope("team/other", "team/app/", "team/app"))
			p, err := s.Probe(t.Context())
			if err != nil || p.Identity != "sub@account" || p.Product == "" {
				t.Fatalf("%+v, %v", p, err)
			}
			list, err := connectortest.Repositories(t.Context(), s, "")
			if diff := cmp.Diff([]string{"team/app", "team/other"}, paths(list)); err != nil || diff != "" {
				t.Fatalf("%v %s", err, diff)
			}
			rows, err := images(t, s, &connector.Listing{Repository: list[0]})
			if err != nil || len(rows) != 3 || rows[0].Kind != portolan.KindImage {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			for _, r := range fake.Requests() {
				if r.Host != acrtest.RegistryHost && r.Host != acrtest.TokenHost || r.Header.Get("X-Acs-Action") != "" {
					t.Errorf("%s%s was asked", r.Host, r.Path)
				}
			}
			if after, err := connectortest.Repositories(t.Context(), s, list[0].Cursor); err != nil || len(after) != 1 {
				t.Errorf("resumed: %v, %v", paths(after), err)
			}
		})
	}
}

func TestLoginFails(t *testing.T) {
	t.Parallel()
	fake := acrtest.New(model(acrtest.Instance, map[string]int{"team/app": 1}))
	_, err := open(t, fake, as("sub@account", "wrong")).Probe(t.Context())
	mustFail(t, err, portolan.BadCredentials)
	for name, tt := range map[string]struct {
		scope []string
		list  int
		word  string
	}{
		"no scope":  {nil, 0, "This account can log in to registry.example.com, but cannot enumerate."},
		"namespace": {[]string{"team", "team/app"}, 1, "namespace team"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := connectortest.Repositories(t.Context(), open(t, fake, as("sub@account", secret), scope(tt.scope...)), "")
			mustFail(t, err, portolan.CannotEnumerate, tt.word, "cr:ListRepository", "ExtraParam")
			if len(list) != tt.list {
				t.Errorf("%v", paths(list))
			}
		})
	}
	s := open(t, fake, as("sub@account", secret), scope("team/none"))
	_, err = images(t, s, listing("team/none"))
	mustFail(t, err, portolan.Forbidden, "team/none")
}
