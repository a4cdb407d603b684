package iam_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan"
	"portolan/internal/iam"
	"portolan/internal/rpc"
	"portolan/internal/secret"
	"portolan/internal/sign"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// rig is one server, or several, on one store.
type rig struct {
	t   testing.TB
	url string
	box *secret.Box
	db  *store.DB
	*iam.Service
	root iam.Credentials

	mu    sync.Mutex
	now   time.Time
	nonce int
}

func newRig(t testing.TB, url string) *rig {
	t.Helper()
	master, err := secret.ParseMasterKey(strings.Repeat("5a", 32))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, url: url, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	if r.box, _, err = master.NewDataKey(); err != nil {
		t.Fatal(err)
	}
	r.db = storetest.Open(t, url, store.Options{Now: r.clock})
	r.Service = iam.New(iam.Config{DB: r.db, Box: r.box, Now: r.clock})
	made, err := r.Bootstrap(t.Context(), func(c iam.Credentials) error { r.root = c; return nil })
	if err != nil || !made {
		t.Fatalf("bootstrap: %t, %v", made, err)
	}
	return r
}

// another is a second server on the same store, with caches of its own.
func (r *rig) another() *iam.Service {
	r.t.Helper()
	return iam.New(iam.Config{DB: storetest.Open(r.t, r.url, store.Options{Now: r.clock}), Box: r.box, Now: r.clock})
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) wait(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// request is what a client signs; zero values are filled in.
type request struct {
	key, secret, token, nonce string
	at                        time.Time
	algorithm                 sign.Algorithm
}

func (r *rig) signed(q request) *sign.Signature {
	r.t.Helper()
	if q.key == "" {
		q.key = r.root.AccessKeyID
	}
	if q.secret == "" {
		q.secret = r.root.AccessKeySecret
	}
	if q.nonce == "" {
		r.nonce++
		q.nonce = fmt.Sprintf("nonce-%d", r.nonce)
	}
	if q.at.IsZero() {
		q.at = r.clock()
	}
	signed, err := sign.Sign(&sign.Request{Method: http.MethodPost, Path: "/", Host: "sas.example.com"}, sign.Key{ID: q.key, Secret: q.secret, SecurityToken: q.token},
		sign.Call{Algorithm: q.algorithm, Action: "PageImageRegistry", Version: "2018-12-03", Time: q.at, Nonce: q.nonce})
	if err != nil {
		r.t.Fatal(err)
	}
	sig, err := sign.Parse(signed, sign.Limits{Params: 100, Name: 100, Value: 10_000})
	if err != nil {
		r.t.Fatal(err)
	}
	return sig
}

func code(err error) string {
	if e, ok := errors.AsType[*portolan.Error](err); ok {
		return e.Code
	}
	return fmt.Sprint(err)
}

func (r *rig) authenticate(s *iam.Service, q request, access rpc.Access) string {
	r.t.Helper()
	_, err := s.Authenticate(r.t.Context(), r.signed(q), access, netip.Addr{})
	return code(err)
}

const ok = "<nil>"

func (r *rig) expect(name, want string, q request, access rpc.Access) {
	r.t.Helper()
	if got := r.authenticate(r.Service, q, access); got != want {
		r.t.Errorf("%s: %s, want %s", name, got, want)
	}
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		sig := r.signed(request{})
		p, err := r.Authenticate(t.Context(), sig, rpc.List, netip.Addr{})
		if want := (portolan.Principal{AccountID: r.root.AccountID, AccessKeyID: r.root.AccessKeyID}); err != nil || p != want || !p.Root() {
			t.Errorf("root is %+v, %v", p, err)
		}
		for _, algorithm := range []sign.Algorithm{sign.HMACSHA1, sign.ACS3SHA256} {
			r.expect(string(algorithm), ok, request{algorithm: algorithm}, rpc.Read)
		}
		anonymous, err := sign.Parse(&sign.Request{Method: "GET", Path: "/", RawQuery: "Action=X&Version=Y", Header: http.Header{}}, sign.Limits{Params: 9, Name: 99, Value: 99})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Authenticate(t.Context(), anonymous, rpc.Read, netip.Addr{}); code(err) != "MissingAccessKeyId" {
			t.Errorf("anonymous: %v", err)
		}
	})
}

// Each request is wrong in all that is checked later, too: the first check
// that fails decides.
func TestAuthenticateOrder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		old := r.clock().Add(-time.Hour)
		used := request{nonce: "used"}
		r.expect("first use", ok, used, rpc.Read)
		if _, err := r.AddUser(t.Context(), r.root.AccountID, "u"); err != nil {
			t.Fatal(err)
		}
		inactive, err := r.AddKey(t.Context(), r.root.AccountID, "u")
		if err != nil {
			t.Fatal(err)
		}
		if err := r.SetKeyActive(t.Context(), r.root.AccountID, inactive.AccessKeyID, false); err != nil {
			t.Fatal(err)
		}
		r.expect("unknown key", "InvalidAccessKeyId.NotFound", request{key: "LTAI5tNobody", secret: "x", token: "t", at: old, nonce: "used"}, rpc.Read)
		r.expect("temporary key without token", "MissingSecurityToken", request{key: "STS.Nobody", secret: "x", at: old, nonce: "used"}, rpc.Read)
		r.expect("unknown temporary key", "InvalidAccessKeyId.NotFound", request{key: "STS.Nobody", secret: "x", token: "t"}, rpc.Read)
		r.expect("inactive", "InvalidAccessKeyId.Inactive", request{key: inactive.AccessKeyID, secret: "x", token: "t", at: old, nonce: "used"}, rpc.Read)
		r.expect("token", "InvalidSecurityToken.Malformed", request{token: "t", secret: "x", at: old, nonce: "used"}, rpc.Read)
		r.expect("time", "InvalidTimeStamp.Expired", request{secret: "x", at: old, nonce: "used"}, rpc.Read)
		r.expect("signature", "SignatureDoesNotMatch", request{secret: "x", nonce: "used"}, rpc.Read)
		r.expect("nonce", "SignatureNonceUsed", request{nonce: "used"}, rpc.Read)
		for _, text := range []string{"2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05+00:00", "2026-01-02 03:04:05", "1767323045", "2026-13-02T03:04:05Z"} {
			sig := r.signed(request{secret: "x"})
			sig.Timestamp = text
			if _, err := r.Authenticate(t.Context(), sig, rpc.Read, netip.Addr{}); code(err) != "InvalidTimeStamp.Format" {
				t.Errorf("time %q: %v", text, err)
			}
		}
		if err := r.SuspendAccount(t.Context(), r.root.AccountID, true); err != nil {
			t.Fatal(err)
		}
		r.expect("suspended with a wrong signature", "SignatureDoesNotMatch", request{secret: "x"}, rpc.Read)
		_, err = r.Authenticate(t.Context(), r.signed(request{}), rpc.Read, netip.Addr{})
		if e, _ := errors.AsType[*portolan.Error](err); e == nil || e.Code != "NoPermission" || e.Status != 400 || e.Message != "no permission" {
			t.Errorf("suspended: %v", err)
		}
		if err := r.SuspendAccount(t.Context(), r.root.AccountID, false); err != nil {
			t.Fatal(err)
		}
		r.expect("resumed", ok, request{}, rpc.Read)
	})
}

func TestSkew(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	for d, want := range map[time.Duration]string{
		0: ok, iam.Skew: ok, -iam.Skew: ok, iam.Skew + time.Second: "InvalidTimeStamp.Expired", -iam.Skew - time.Second: "InvalidTimeStamp.Expired",
	} {
		for _, access := range []rpc.Access{rpc.Read, rpc.Write} {
			r.expect(fmt.Sprintf("%s off, %s", d, access), want, request{at: r.clock().Add(d)}, access)
		}
	}
}

func TestNonces(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		other := r.another()
		second, err := r.AddKey(t.Context(), r.root.AccountID, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, access := range []rpc.Access{rpc.Read, rpc.List, rpc.Write} {
			// From the future, so that it stays in the window as long as can be.
			q := request{nonce: "nonce of a " + string(access), at: r.clock().Add(iam.Skew)}
			wrong := q
			wrong.secret = "wrong"
			r.expect("wrong secret", "SignatureDoesNotMatch", wrong, access)
			r.expect("a stranger has not used it up", ok, q, access)
			r.expect("replay", "SignatureNonceUsed", q, access)
			r.expect("the same nonce at another time of day", map[bool]string{true: "SignatureNonceUsed", false: ok}[access == rpc.Write],
				request{nonce: q.nonce, at: q.at.Add(-2 * time.Minute)}, access)
			r.expect("another key", ok, request{nonce: q.nonce, at: q.at, key: second.AccessKeyID, secret: second.AccessKeySecret}, access)
			if access == rpc.Write {
				if got := r.authenticate(other, q, access); got != "SignatureNonceUsed" {
					t.Errorf("replay of a write on another server: %s", got)
				}
			}
		}
		q := []request{{nonce: "late read", at: r.clock().Add(iam.Skew)}, {nonce: "late write", at: r.clock().Add(iam.Skew)}}
		r.expect("read", ok, q[0], rpc.Read)
		r.expect("write", ok, q[1], rpc.Write)
		r.wait(2 * iam.Skew)
		if _, err := r.db.Purge(t.Context(), 1000); err != nil {
			t.Fatal(err)
		}
		r.expect("another minute comes", ok, request{}, rpc.Read)
		r.expect("replay of a read at the end of the window", "SignatureNonceUsed", q[0], rpc.Read)
		r.expect("replay of a write at the end of the window", "SignatureNonceUsed", q[1], rpc.Write)
		r.wait(time.Second)
		r.expect("replay after the window", "InvalidTimeStamp.Expired", q[1], rpc.Write)
	})
}

// One of many replays at once is accepted, over all servers.
func TestReplayRace(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		servers := []*iam.Service{r.Service, r.another()}
		sig := r.signed(request{nonce: "once"})
		var mu sync.Mutex
		var wg sync.WaitGroup
		counts := map[string]int{}
		for i := range 10 {
			wg.Go(func() {
				_, err := servers[i%2].Authenticate(t.Context(), sig, rpc.Write, netip.Addr{})
				mu.Lock()
				defer mu.Unlock()
				counts[code(err)]++
			})
		}
		wg.Wait()
		if counts[ok] != 1 || counts["SignatureNonceUsed"] != 9 {
			t.Errorf("%v", counts)
		}
	})
}

// A change acts at once where it is made, and within two seconds elsewhere.
func TestChangesAct(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		other := r.another()
		account := r.root.AccountID
		if _, err := r.AddUser(t.Context(), account, "u"); err != nil {
			t.Fatal(err)
		}
		key, err := r.AddKey(t.Context(), account, "u")
		if err != nil {
			t.Fatal(err)
		}
		outcome := func(s *iam.Service) string {
			t.Helper()
			p, err := s.Authenticate(t.Context(), r.signed(request{key: key.AccessKeyID, secret: key.AccessKeySecret}), rpc.Read, netip.Addr{})
			if err == nil {
				err = s.Authorize(t.Context(), &rpc.Caller{Principal: p}, &rpc.Spec{Action: "yundun-sas:PageImageRegistry"})
			}
			return code(err)
		}
		steps := []struct {
			name   string
			change func() error
			want   string
		}{
			{"nothing is attached", func() error { return nil }, "NoPermission"},
			{"attach", func() error { return r.Attach(t.Context(), account, "u", "AliyunYundunSASReadOnlyAccess") }, ok},
			{"deactivate", func() error { return r.SetKeyActive(t.Context(), account, key.AccessKeyID, false) }, "InvalidAccessKeyId.Inactive"},
			{"activate", func() error { return r.SetKeyActive(t.Context(), account, key.AccessKeyID, true) }, ok},
			{"suspend", func() error { return r.SuspendAccount(t.Context(), account, true) }, "NoPermission"},
			{"resume", func() error { return r.SuspendAccount(t.Context(), account, false) }, ok},
			{"detach", func() error { return r.Detach(t.Context(), account, "u", "AliyunYundunSASReadOnlyAccess") }, "NoPermission"},
			{"delete the key", func() error { return r.DeleteKey(t.Context(), account, key.AccessKeyID) }, "InvalidAccessKeyId.NotFound"},
		}
		for _, s := range steps {
			outcome(other) // so that the other server has the state of before
			if err := s.change(); err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
			if got := outcome(r.Service); got != s.want {
				t.Errorf("%s: at once it is %s, want %s", s.name, got, s.want)
			}
			r.wait(2 * time.Second)
			if got := outcome(other); got != s.want {
				t.Errorf("%s: two seconds later another server says %s, want %s", s.name, got, s.want)
			}
		}
	})
}

// An unknown key costs one look at the store, and not what is known of others:
// the known one is still served when the store does not answer.
func TestUnknownKeyKeepsCache(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	r.expect("known", ok, request{}, rpc.Read)
	r.expect("unknown", "InvalidAccessKeyId.NotFound", request{key: "LTAI5tNobody", secret: "x"}, rpc.Read)
	if err := r.db.Close(); err != nil {
		t.Fatal(err)
	}
	r.expect("known, from memory", ok, request{}, rpc.Read)
	r.wait(time.Second)
	if got := r.authenticate(r.Service, request{}, rpc.Read); !strings.Contains(got, "closed") {
		t.Errorf("after a second it is looked up again: %s", got)
	}
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		account := r.root.AccountID
		u, err := r.AddUser(t.Context(), account, "ci-reader")
		if err != nil {
			t.Fatal(err)
		}
		key, err := r.AddKey(t.Context(), account, "ci-reader")
		if err != nil {
			t.Fatal(err)
		}
		p := portolan.Principal{AccountID: account, AccessKeyID: key.AccessKeyID, UserID: u.ID, UserName: u.Name}
		decide := func(operation, peer string) error {
			return r.Authorize(t.Context(), &rpc.Caller{Principal: p, Peer: netip.MustParseAddr(peer)}, &rpc.Spec{Action: "yundun-sas:" + operation})
		}
		denied := func(name string, err error, kind string) {
			t.Helper()
			e, _ := errors.AsType[*portolan.Error](err)
			if e == nil || e.Code != "NoPermission" || e.Status != 403 || e.Message != "caller has no permission" || e.Denied == nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			want := portolan.AccessDenied{
				PolicyType: "AccountLevelIdentityBasedPolicy", AuthPrincipalOwnerID: fmt.Sprint(account), AuthPrincipalType: "SubUser",
				AuthPrincipalDisplayName: fmt.Sprint(u.ID), NoPermissionType: kind, AuthAction: e.Denied.AuthAction,
			}
			if *e.Denied != want || !strings.HasPrefix(e.Denied.AuthAction, "yundun-sas:") {
				t.Errorf("%s: %+v, want %+v", name, *e.Denied, want)
			}
		}
		denied("without a policy", decide("PageImageRegistry", "192.0.2.1"), "ImplicitDeny")
		if err := r.Attach(t.Context(), account, "CI-Reader", "aliyunyundunsasreadonlyaccess"); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(decide("PageImageRegistry", "192.0.2.1"), decide("FindImage", "192.0.2.1")); err != nil {
			t.Errorf("read only: %v", err)
		}
		denied("read only writes", decide("TestImageRegistry", "192.0.2.1"), "ImplicitDeny")
		err = r.PutPolicy(t.Context(), store.Policy{AccountID: account, Name: "office", Document: `{"Version":"1","Statement":[{"Effect":"Deny","Action":"yundun-sas:*","Resource":"*","Condition":{"NotIpAddress":{"acs:SourceIp":"192.0.2.0/24"}}}]}`})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Attach(t.Context(), account, "ci-reader", "Office"); err != nil {
			t.Fatal(err)
		}
		if err := decide("PageImageRegistry", "192.0.2.1"); err != nil {
			t.Errorf("from the office: %v", err)
		}
		denied("from elsewhere", decide("PageImageRegistry", "198.51.100.1"), "ExplicitDeny")
		if err := r.Authorize(t.Context(), &rpc.Caller{Principal: portolan.Principal{AccountID: account, AccessKeyID: r.root.AccessKeyID}}, &rpc.Spec{Action: "yundun-sas:AddPrivateRegistry"}); err != nil {
			t.Errorf("root: %v", err)
		}
		if err := r.DeleteUser(t.Context(), account, "ci-reader"); err != nil {
			t.Fatal(err)
		}
		if got := code(decide("PageImageRegistry", "192.0.2.1")); got != "InvalidAccessKeyId.NotFound" {
			t.Errorf("deleted between authentication and authorisation: %s", got)
		}
	})
}
