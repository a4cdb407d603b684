package faults

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/all"
	"portolan/internal/inventory"
	"portolan/internal/netguard"
	"portolan/internal/store"
)

const (
	account  = 1000000000000001
	host     = "registry.example"
	foreign  = "elsewhere.example"
	thief    = "thief.example"
	password = "canary-7f3a91c2"
	token    = "canary-token-55d1e0"
	vpc      = "vpc-faults"
)

// content is what a registry holds: repository, digest, tags.
type content map[string]map[portolan.Digest]string

// origin is a registry that is read.
type origin interface {
	http.Handler
	kind() portolan.RegistryType
	user() string
	// change changes a little: an image comes, a tag moves, an image goes.
	change()
	// vanish takes a repository away and answers its path.
	vanish() string
	// truth is what the inventory should hold of it.
	truth() content
}

// rig is a store with one registry, read over HTTP through the guard. It
// lives in a bubble.
type rig struct {
	*testing.T
	origin   origin
	gate     *gate
	stranger *stranger
	db       *store.DB
	service  *inventory.Service
	registry int64
	log      journal
}

// journal keeps a log.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// newRig makes a rig on a store file that is a copy of an empty one.
func newRig(t *testing.T, path string, o origin) *rig {
	t.Helper()
	r := &rig{T: t, origin: o, stranger: &stranger{}}
	r.gate = &gate{next: o, counts: map[string]int{}}
	net := serve(t, map[string]http.Handler{host: r.gate, foreign: r.stranger, thief: http.HandlerFunc(r.stranger.steal)})
	guard, err := netguard.New(netguard.Config{Roots: x509.NewCertPool(), Routes: func(_ int64, id string) (netguard.DialFunc, bool) { return net.dial, id == vpc }})
	r.must(err)
	r.db, err = store.Open(t.Context(), "sqlite:"+path, store.Options{})
	r.must(err)
	t.Cleanup(func() { _ = r.db.Close() })
	r.service = inventory.New(inventory.Config{
		DB: r.db, Log: slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		AddJob: func(context.Context, *store.Tx, string, time.Time) error { return nil },
		Open: func(g *portolan.Registry, c portolan.Credential) (inventory.Opened, error) {
			return open(guard, g, c)
		},
		Unseal: func(*portolan.Registry, []byte) (portolan.Credential, error) {
			return portolan.Credential{Password: password}, nil
		},
	})
	r.must(r.db.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.AddAccount(t.Context(), account, "faults"); err != nil {
			return err
		}
		r.registry, err = tx.AddRegistry(t.Context(), &portolan.Registry{
			AccountID: account, Type: o.kind(), Name: "registry", DomainName: host, Port: 80, Protocol: portolan.ProtocolHTTP,
			NetType: portolan.NetVPC, VpcID: vpc, UserName: o.user(), HasPassword: true, RegionID: portolan.DefaultRegion, Version: "V2",
			TransPerHour: 30, PersistenceDay: 30, InstanceID: store.NewInstanceID(),
		}, []byte("sealed"))
		return err
	}))
	return r
}

// open opens a source as the server does.
func open(guard *netguard.Guard, g *portolan.Registry, c portolan.Credential) (inventory.Opened, error) {
	client, err := guard.Client(netguard.Target{Host: g.DomainName, Port: g.Port, Protocol: g.Protocol, NetType: g.NetType, VpcID: g.VpcID})
	if err != nil {
		return inventory.Opened{}, err
	}
	base := client.Transport
	transport := connector.NewTransport(connector.TransportConfig{Base: base})
	client.Transport = transport
	openKind, _ := all.Open(g.Type)
	source, err := openKind(connector.Config{BaseURL: &url.URL{Scheme: "http", Host: g.DomainName}, Credential: c, Client: client})
	return inventory.Opened{Source: source, Meter: transport.Meter(), Close: base.(interface{ CloseIdleConnections() }).CloseIdleConnections}, err
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

const maxSlices = 500

// sync runs a reading to its end and checks what must always hold.
func (r *rig) sync(confirm bool) *portolan.Sync {
	r.Helper()
	id, err := r.service.Sync(r.Context(), store.SyncRequest{AccountID: account, RegistryID: r.registry, Cause: portolan.CauseManual, ConfirmVanished: confirm})
	r.must(err)
	for n := 0; ; n++ {
		wait, more, err := r.service.Slice(r.Context(), id)
		if err != nil {
			r.Fatalf("a fault of the registry became one of Portolan's own: %v", err)
		}
		if !more {
			break
		}
		if n > maxSlices {
			r.Fatal("the reading does not end")
		}
		<-time.After(wait)
	}
	s, err := r.db.Sync(r.Context(), account, r.registry, id)
	r.must(err)
	r.checkLedger(s)
	r.checkCount()
	r.checkSecrets(s)
	return s
}

// checkLedger proves that the ledger adds up and agrees with the registry.
func (r *rig) checkLedger(s *portolan.Sync) {
	r.Helper()
	l := s.Ledger
	if l.RepositoriesListed != l.RepositoriesRead+l.RepositoriesSkipped+l.RepositoriesFailed {
		r.Errorf("repositories do not add up: %+v", l)
	}
	if l.RowsListed != l.ImagesSeen+l.DuplicateTags+l.Accessories+l.OtherArtifacts+l.RowsFailed+l.Unexplained || l.Unexplained != 0 {
		r.Errorf("rows do not add up: %+v", l)
	}
	if (l.ErrorCode == "") != (s.Status == portolan.SyncOK) || s.Ended.IsZero() {
		r.Errorf("status %s with code %q, ended %s", s.Status, l.ErrorCode, s.Ended)
	}
	if s.Status == portolan.SyncFailed && l.RepositoriesRead+l.RepositoriesSkipped > 0 || s.Status == portolan.SyncPartial && l.RepositoriesRead+l.RepositoriesSkipped == 0 && l.ImagesHeld == 0 {
		r.Errorf("status %s: %+v", s.Status, l)
	}
	g := r.entry()
	if g.SyncStatus != s.Status || g.SyncError != l.ErrorCode || g.SyncMessage != l.ErrorMessage {
		r.Errorf("the registry says %s %s %q, its reading %s %s %q", g.SyncStatus, g.SyncError, g.SyncMessage, s.Status, l.ErrorCode, l.ErrorMessage)
	}
}

func (r *rig) entry() *portolan.Registry {
	r.Helper()
	g, err := r.db.Registry(r.Context(), account, r.registry)
	r.must(err)
	return g
}

func (r *rig) checkCount() {
	r.Helper()
	images, inRepositories, kept, err := r.db.Recount(r.Context(), r.registry)
	r.must(err)
	if images != kept || inRepositories != kept || r.entry().ImageCount != kept {
		r.Errorf("ImageCount is %d, but %d images are visible and repositories count %d", kept, images, inRepositories)
	}
}

// checkSecrets looks for the credential where it must not be.
func (r *rig) checkSecrets(s *portolan.Sync) {
	r.Helper()
	said, err := json.Marshal(s)
	r.must(err)
	for where, text := range map[string]string{"ledger": string(said), "log": r.log.String(), "foreign host": r.stranger.heard()} {
		for _, secret := range []string{password, token, basic(r.origin.user())} {
			if strings.Contains(text, secret) {
				r.Errorf("the credential shows in the %s: %s", where, text)
			}
		}
	}
}

// basic is what a Basic header holds for the user.
func basic(user string) string {
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth(user, password)
	return strings.TrimPrefix(req.Header.Get("Authorization"), "Basic ")
}

// images is what the inventory shows.
func (r *rig) images() content {
	r.Helper()
	c := content{}
	for page := 1; ; page++ {
		list, _, err := r.db.Images(r.Context(), account, store.Criteria{}, page, 1_000)
		r.must(err)
		for i := range list {
			names := make([]string, len(list[i].Tags))
			for k, t := range list[i].Tags {
				names[k] = t.Name
			}
			c.add(list[i].Repository.Path(), list[i].Digest, names...)
		}
		if len(list) == 0 {
			return c
		}
	}
}

func (c content) add(path string, d portolan.Digest, tags ...string) {
	if c[path] == nil {
		c[path] = map[portolan.Digest]string{}
	}
	all := append(strings.Fields(c[path][d]), tags...)
	slices.Sort(all)
	c[path][d] = strings.Join(all, " ")
}

// stranger is a host that credentials must not reach.
type stranger struct {
	mu  sync.Mutex
	got bytes.Buffer
}

// ServeHTTP answers as a registry would that has everything and asks for
// nothing.
func (s *stranger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.note(w, r)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"repositories":[],"tags":[],"name":"x"}`))
}

// steal asks for a password, or a token of its own.
func (s *stranger) steal(w http.ResponseWriter, r *http.Request) {
	s.note(w, r)
	w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+thief+tokenPath+`",service="registry"`)
	w.Header().Add("WWW-Authenticate", `Basic realm="registry"`)
	w.WriteHeader(http.StatusUnauthorized)
}

func (s *stranger) note(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(&s.got, "%s %s\n", r.Method, r.RequestURI)
	_ = r.Header.Write(&s.got)
	_, _ = s.got.ReadFrom(http.MaxBytesReader(w, r.Body, 1<<20))
}

func (s *stranger) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}
