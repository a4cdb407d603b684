package registry_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/registry"
	"portolan/internal/secret"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

const account = 1000000000000001

// rig is the service over a real store with real seals.
type rig struct {
	t  testing.TB
	db *store.DB
	*registry.Service
	box *secret.Box

	mu       sync.Mutex
	requests []store.SyncRequest
}

func newRig(t testing.TB, url string) *rig {
	t.Helper()
	master, err := secret.ParseMasterKey(strings.Repeat("5a", 32))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, db: storetest.Open(t, url, store.Options{})}
	if r.box, _, err = master.NewDataKey(); err != nil {
		t.Fatal(err)
	}
	if err := r.db.Update(t.Context(), func(tx *store.Tx) error { return tx.AddAccount(t.Context(), account, "a") }); err != nil {
		t.Fatal(err)
	}
	r.Service = registry.New(registry.Config{
		DB: r.db, Seal: r.seal, Unseal: r.unseal, CheckAddress: func(string) error { return nil },
		Request: func(_ context.Context, _ *store.Tx, q store.SyncRequest) (string, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.requests = append(r.requests, q)
			return "id", nil
		},
	})
	return r
}

func (r *rig) seal(reg *portolan.Registry, c portolan.Credential) ([]byte, error) {
	b, err := json.Marshal(c)
	return r.box.Seal(b, reg.InstanceID), err
}

func (r *rig) unseal(reg *portolan.Registry, sealed []byte) (c portolan.Credential, err error) {
	b, err := r.box.Open(sealed, reg.InstanceID)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(b, &c)
}

// state is a registry with its credential opened.
func (r *rig) state(id int64) (*portolan.Registry, portolan.Credential, []byte) {
	r.t.Helper()
	src, err := r.db.Source(r.t.Context(), account, id)
	if err != nil {
		r.t.Fatal(err)
	}
	var c portolan.Credential
	if src.Credential != nil {
		if c, err = r.unseal(src.Registry, src.Credential); err != nil {
			r.t.Fatal(err)
		}
	}
	return src.Registry, c, src.Credential
}

func code(err error) string {
	if e, ok := errors.AsType[*portolan.Error](err); ok {
		return e.Code
	}
	return fmt.Sprint(err)
}

const (
	password = "hunter2-very-distinctive"
	token    = "token-of-org-very-distinctive"
)

// fields is a registry with everything that a redirect could steal.
func fields() registry.Fields {
	return registry.Fields{
		DomainName: "quay.example.com", UserName: "robot", Password: password, HostIP: "203.0.113.1", Port: 8443,
		ExtraParam: `{"namespaces":["org"],"authTokens":{"org":"` + token + `"}}`,
	}
}

func (r *rig) add(f registry.Fields) int64 {
	r.t.Helper()
	reg, err := r.Add(r.t.Context(), account, portolan.Quay, f)
	if err != nil {
		r.t.Fatal(err)
	}
	return reg.ID
}

// Whatever sends secrets to another place, or trusts another server on the
// way, needs the secrets again; refused, it changes nothing at all.
func TestRedirectNeedsSecrets(t *testing.T) {
	t.Parallel()
	ca := certificate(t)
	redirects := map[string]struct {
		f     registry.Fields
		clear []string
	}{
		"DomainName":                 {f: registry.Fields{DomainName: "evil.example.com"}},
		"RegistryHostIp":             {f: registry.Fields{HostIP: "203.0.113.66"}},
		"RegistryHostIp cleared":     {clear: []string{"RegistryHostIp"}},
		"Port":                       {f: registry.Fields{Port: 9443}},
		"ProtocolType":               {f: registry.Fields{Protocol: portolan.ProtocolHTTP}},
		"NetType and VpcId":          {f: registry.Fields{NetType: portolan.NetVPC, VpcID: "vpc-1"}},
		"caCertificate":              {f: registry.Fields{ExtraParam: `{"caCertificate":` + quote(ca) + `}`}},
		"certificateSha256":          {f: registry.Fields{ExtraParam: `{"certificateSha256":"` + strings.Repeat("ab", 32) + `"}`}},
		"DomainName with a new name": {f: registry.Fields{DomainName: "evil.example.com", Name: "harmless", UserName: "robot"}},
	}
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		id := r.add(fields())
		before, _, sealed := r.state(id)
		for name, change := range redirects {
			withTokens := change.f
			if withTokens.ExtraParam == "" {
				withTokens.ExtraParam = `{"authTokens":{"org":"new"}}`
			}
			withPassword := change.f
			withPassword.Password = "new"
			for kind, f := range map[string]registry.Fields{"nothing": change.f, "tokens only": withTokens, "password only": withPassword} {
				if got := code(r.Modify(t.Context(), account, id, f, change.clear)); got != "MissingPassword" {
					t.Errorf("%s with %s: %s", name, kind, got)
				}
			}
		}
		after, c, stillSealed := r.state(id)
		if d := cmp.Diff(before, after); d != "" || !bytes.Equal(sealed, stillSealed) || c.Password != password || c.AuthTokens["org"] != token {
			t.Errorf("refused redirects changed something: %s", d)
		}
		// Scope, limits and names are no redirects.
		harmless := registry.Fields{Name: "n", RegionID: "r", TransPerHour: 1, PersistenceDay: 1, WhiteList: "192.0.2.1", ExtraParam: `{"namespaces":[],"repositories":["a/b"]}`}
		if err := r.Modify(t.Context(), account, id, harmless, nil); err != nil {
			t.Errorf("harmless change: %v", err)
		}
		if reg, c, _ := r.state(id); c.Password != password || c.AuthTokens["org"] != token || len(reg.Extra.Namespaces) != 0 || reg.Extra.TokenMasks["org"] == "" {
			t.Errorf("harmless change: %+v", reg)
		}
		full := registry.Fields{DomainName: "new.example.com", Password: "new password", ExtraParam: `{"authTokens":{"org":"new token"}}`}
		if err := r.Modify(t.Context(), account, id, full, nil); err != nil {
			t.Errorf("redirect with everything: %v", err)
		}
		if reg, c, _ := r.state(id); reg.DomainName != "new.example.com" || c.Password != "new password" || c.AuthTokens["org"] != "new token" {
			t.Errorf("redirected: %+v", reg)
		}
	})
}

// In the other direction: a VPC left behind is a redirect too, and so is
// trust that is taken away.
func TestRedirectAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	f := registry.Fields{DomainName: "quay.example.com", UserName: "u", Password: "p", NetType: portolan.NetVPC, VpcID: "vpc-1", ExtraParam: `{"caCertificate":` + quote(certificate(t)) + `}`}
	id := r.add(f)
	for name, change := range map[string]struct {
		f     registry.Fields
		clear []string
	}{
		"NetType": {f: registry.Fields{NetType: portolan.NetPublic}}, "VpcId": {f: registry.Fields{VpcID: "vpc-2"}}, "VpcId cleared": {clear: []string{"VpcId"}},
		"ExtraParam cleared": {clear: []string{"ExtraParam"}}, "trust emptied": {f: registry.Fields{ExtraParam: `{"caCertificate":""}`}},
	} {
		if got := code(r.Modify(t.Context(), account, id, change.f, change.clear)); got != "MissingPassword" {
			t.Errorf("%s: %s", name, got)
		}
	}
	// Without secrets there is nothing to give again: they are cleared first.
	if err := r.Modify(t.Context(), account, id, registry.Fields{DomainName: "other.example.com"}, []string{"UserName"}); err != nil {
		t.Errorf("redirect and forget: %v", err)
	}
	if reg, c, _ := r.state(id); reg.HasPassword || reg.UserName != "" || c.Password != "" {
		t.Errorf("redirected without its secret: %+v", reg)
	}
}

// A change that does not name a secret keeps it, whatever it changes.
func TestModifyKeepsSecrets(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		id := r.add(fields())
		_, _, sealed := r.state(id)
		for i, f := range []registry.Fields{
			{},
			{Name: "x"},
			{UserName: "robot2"},
			{TransPerHour: 5},
			{ExtraParam: `{"repositories":["a"]}`},
			{ExtraParam: `[{"namespace":"other"}]`},
			{DomainName: "quay.example.com", Port: 8443, HostIP: "203.0.113.1", Protocol: 2, NetType: 1},
		} {
			if err := r.Modify(t.Context(), account, id, f, nil); err != nil {
				t.Errorf("%d: %v", i, err)
			}
			reg, c, still := r.state(id)
			if !bytes.Equal(still, sealed) {
				t.Errorf("%d: what did not change was sealed anew, and counts as a new secret", i)
			}
			if c.Password != password || c.AuthTokens["org"] != token || !reg.HasPassword || reg.Extra.TokenMasks["org"] != "token-of****" {
				t.Errorf("%d: the secrets are %d and %d characters, %+v", i, len(c.Password), len(c.AuthTokens["org"]), reg)
			}
		}
		if err := r.Modify(t.Context(), account, id, registry.Fields{Password: "next"}, nil); err != nil {
			t.Fatal(err)
		}
		if _, c, _ := r.state(id); c.Password != "next" || c.AuthTokens["org"] != token {
			t.Errorf("a new password lost the token")
		}
		if err := r.Modify(t.Context(), account, id, registry.Fields{ExtraParam: `{"authTokens":{"org":"next token"}}`}, nil); err != nil {
			t.Fatal(err)
		}
		if reg, c, _ := r.state(id); c.Password != "next" || c.AuthTokens["org"] != "next token" || len(reg.Extra.Repositories) != 1 {
			t.Errorf("a new token lost something: %+v", reg)
		}
	})
}

// A redirect that runs beside a change of the password never takes the new
// password along: either order is one of the two that are allowed.
func TestConcurrentRedirect(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		f := fields()
		f.ExtraParam = ""
		id := r.add(f)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if err := r.Modify(t.Context(), account, id, registry.Fields{Password: fmt.Sprintf("secret-%d", i)}, nil); err != nil {
					t.Errorf("new password: %v", err)
				}
			})
			wg.Go(func() {
				if got := code(r.Modify(t.Context(), account, id, registry.Fields{DomainName: "evil.example.com"}, nil)); got != "MissingPassword" {
					t.Errorf("redirect: %s", got)
				}
			})
			wg.Go(func() {
				if err := r.Modify(t.Context(), account, id, registry.Fields{Name: fmt.Sprintf("name-%d", i)}, nil); err != nil {
					t.Errorf("new name: %v", err)
				}
			})
		}
		wg.Wait()
		reg, c, _ := r.state(id)
		if reg.DomainName != "quay.example.com" || !strings.HasPrefix(c.Password, "secret-") || !strings.HasPrefix(reg.Name, "name-") {
			t.Errorf("at last %+v", reg)
		}
	})
}

// What is sealed in the store shows nothing of the secrets, and can be opened
// for its own registry only.
func TestSealed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		id := r.add(fields())
		f := fields()
		f.DomainName = "other.example.com"
		other, _, _ := r.state(r.add(f))
		reg, _, sealed := r.state(id)
		for _, s := range []string{password, token, "password", "authTokens", "robot"} {
			if bytes.Contains(sealed, []byte(s)) {
				t.Errorf("the sealed credential holds %q", s)
			}
		}
		shown := fmt.Sprintf("%+v", *reg)
		if strings.Contains(shown, password) || strings.Contains(shown, token) {
			t.Errorf("the entry holds a secret: %s", shown)
		}
		if _, err := r.unseal(other, sealed); err == nil {
			t.Error("the credential of one registry opens for another")
		}
	})
}

func TestPrintedCredential(t *testing.T) {
	t.Parallel()
	d := &registry.Draft{Registry: &portolan.Registry{}, Credential: portolan.Credential{UserName: "u", Password: password}}
	if s := fmt.Sprintf("%v %+v %#v", d.Credential, d.Credential, d.Credential); strings.Contains(s, password) {
		t.Errorf("a printed credential shows %s", s)
	}
}

func TestReadingsAskedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	id := r.add(fields())
	tests := []struct {
		name  string
		f     registry.Fields
		clear []string
		want  int
	}{
		{"nothing", registry.Fields{}, nil, 0},
		{"name", registry.Fields{Name: "x"}, nil, 0},
		{"the same password", registry.Fields{Password: password}, nil, 0},
		{"password", registry.Fields{Password: "q"}, nil, 1},
		{"user", registry.Fields{UserName: "other"}, nil, 1},
		{"scope", registry.Fields{ExtraParam: `{"namespaces":["a"]}`}, nil, 1},
		{"tokens", registry.Fields{ExtraParam: `{"authTokens":{"a":"b"}}`}, nil, 1},
		{"place", registry.Fields{Port: 1, Password: "r", ExtraParam: `{"authTokens":{"a":"c"}}`}, nil, 1},
	}
	for _, tt := range tests {
		r.requests = nil
		if err := r.Modify(t.Context(), account, id, tt.f, tt.clear); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if len(r.requests) != tt.want || tt.want > 0 && (!r.requests[0].Fresh || r.requests[0].RegistryID != id) {
			t.Errorf("%s: asked for %+v, want %d", tt.name, r.requests, tt.want)
		}
	}
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// certificate makes a self-signed certificate as PEM.
func certificate(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
