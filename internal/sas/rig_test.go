package sas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/inventory"
	"portolan/internal/registry"
	"portolan/internal/report"
	"portolan/internal/rpc"
	"portolan/internal/secret"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// shelf is a registry in memory: path -> tag -> digest.
type shelf struct {
	mu    sync.Mutex
	repos map[string]map[string]portolan.Digest
	err   error
}

func (s *shelf) put(path, tag string, d portolan.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.repos[path] == nil {
		s.repos[path] = map[string]portolan.Digest{}
	}
	s.repos[path][tag] = d
}

func (s *shelf) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func digestOf(n int) portolan.Digest { return portolan.Digest(fmt.Sprintf("sha256:%064x", n)) }

func (s *shelf) Probe(context.Context) (connector.Probe, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return connector.Probe{Product: "Shelf", Version: "1", Identity: "tester"}, s.err
}

func (s *shelf) Repositories(context.Context, string) iter.Seq2[connector.Repository, error] {
	s.mu.Lock()
	paths := slices.Sorted(maps.Keys(s.repos))
	s.mu.Unlock()
	return func(yield func(connector.Repository, error) bool) {
		for _, p := range paths {
			if !yield(connector.Repository{Path: p, Expect: -1, Cursor: p, Visibility: strings.Split(p, "/")[0]}, nil) {
				return
			}
		}
	}
}

// Images lists tags; a digest that ends in 0 is an index.
func (s *shelf) Images(_ context.Context, l *connector.Listing) iter.Seq2[connector.Row, error] {
	s.mu.Lock()
	tags := maps.Clone(s.repos[l.Repository.Path])
	s.mu.Unlock()
	return func(yield func(connector.Row, error) bool) {
		for _, tag := range slices.Sorted(maps.Keys(tags)) {
			l.Listed++
			d := tags[tag]
			facts := connector.Facts{Kind: portolan.KindImage, MediaType: "application/vnd.oci.image.manifest.v1+json", ImageID: d, Size: 100}
			if strings.HasSuffix(string(d), "0") {
				facts.ImageID, facts.MediaType, facts.Platforms = "", "application/vnd.oci.image.index.v1+json", []string{"linux/amd64", "linux/arm64"}
			}
			if !yield(connector.Row{Digest: d, Tags: []portolan.Tag{{Name: tag}}, Facts: facts}, nil) {
				return
			}
		}
	}
}

// rig is the operations over a real store, registry and inventory; only the
// registries themselves are in memory, by domain name.
type rig struct {
	t         testing.TB
	db        *store.DB
	service   *Service
	endpoints map[string]rpc.Endpoint
	account   int64
	shelves   map[string]*shelf

	mu   sync.Mutex
	now  time.Time
	jobs []string
}

const accountA, accountB = 1000000000000001, 1000000000000002

func newRig(t testing.TB, url string) *rig {
	t.Helper()
	r := &rig{t: t, account: accountA, shelves: map[string]*shelf{}, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), endpoints: map[string]rpc.Endpoint{}}
	r.db = storetest.Open(t, url, store.Options{Now: r.clock})
	err := r.db.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.AddAccount(t.Context(), accountA, "a"), tx.AddAccount(t.Context(), accountB, "b"))
	})
	if err != nil {
		t.Fatal(err)
	}
	inv := inventory.New(inventory.Config{
		DB: r.db, Now: r.clock, Log: slog.New(slog.DiscardHandler), Open: r.open, Dialer: dialer{}, Unseal: unseal,
		AddJob: func(_ context.Context, _ *store.Tx, id string, _ time.Time) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.jobs = append(r.jobs, id)
			return nil
		},
	})
	tokens := hasher(t, "ci-token")
	r.service = &Service{
		DB: r.db, Inventory: inv, Zone: time.FixedZone("CST", 8*3600), Regions: DefaultRegions(),
		Reports:    report.New(report.Config{DB: r.db, Tokens: tokens, Now: r.clock, Log: slog.New(slog.DiscardHandler)}),
		Registries: registry.New(registry.Config{DB: r.db, Seal: seal, Unseal: unseal, Tokens: tokens, Request: inv.Request, CheckAddress: refusePrivate}),
	}
	r.service.Reports.Start(t.Context())
	t.Cleanup(r.service.Reports.Stop)
	for _, e := range r.service.Endpoints() {
		r.endpoints[e.Name] = e
	}
	return r
}

func hasher(t testing.TB, purpose string) *secret.Hasher {
	t.Helper()
	master, err := secret.ParseMasterKey(strings.Repeat("01", 32))
	if err != nil {
		t.Fatal(err)
	}
	box, _, err := master.NewDataKey()
	if err != nil {
		t.Fatal(err)
	}
	h, err := box.Hasher(purpose)
	if err != nil {
		t.Fatal(err)
	}
	return h
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

func (r *rig) open(reg *portolan.Registry, _ portolan.Credential) (inventory.Opened, error) {
	s := r.shelves[reg.DomainName]
	if s == nil {
		return inventory.Opened{}, connector.Errorf(portolan.ConnectFailure, "Nothing answers at %s.", reg.DomainName)
	}
	return inventory.Opened{Source: s}, nil
}

func seal(_ *portolan.Registry, c portolan.Credential) ([]byte, error) { return json.Marshal(c) }

func unseal(_ *portolan.Registry, sealed []byte) (c portolan.Credential, err error) {
	return c, json.Unmarshal(sealed, &c)
}

func refusePrivate(host string) error {
	if a, err := netip.ParseAddr(host); err == nil && (a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast()) {
		return errors.New("not dialled")
	}
	return nil
}

type dialer struct{}

func (dialer) Address(context.Context, *portolan.Registry) (string, error) { return "192.0.2.1", nil }
func (dialer) TCP(context.Context, *portolan.Registry) (string, error)     { return "answers", nil }
func (dialer) TLS(context.Context, *portolan.Registry) (string, error)     { return "TLS 1.3", nil }

// call makes a call with parameters given as name, value, name, value …
func call[T any](r *rig, operation string, params ...string) (*T, error) {
	r.t.Helper()
	resp, err := r.call(operation, params...)
	if err != nil {
		return nil, err
	}
	return resp.(*T), nil
}

func (r *rig) call(operation string, params ...string) (any, error) {
	r.t.Helper()
	values := rpc.Values{}
	for i := 0; i < len(params); i += 2 {
		values[params[i]] = params[i+1]
	}
	e, ok := r.endpoints[operation]
	if !ok {
		r.t.Fatalf("no operation %s", operation)
	}
	return e.Call(r.t.Context(), &rpc.Caller{Principal: portolan.Principal{AccountID: r.account}}, values)
}

// must is call for what has to work.
func must[T any](r *rig, operation string, params ...string) *T {
	r.t.Helper()
	resp, err := call[T](r, operation, params...)
	if err != nil {
		r.t.Fatalf("%s %q: %v", operation, params, err)
	}
	return resp
}

// refuse checks the code of a refusal, and that its text has a part.
func refuse(r *rig, code, part, operation string, params ...string) {
	r.t.Helper()
	_, err := r.call(operation, params...)
	e, ok := errors.AsType[*portolan.Error](err)
	if !ok || e.Code != code || e.Status != 400 || !strings.Contains(e.Message, part) {
		r.t.Errorf("%s %.300q answers %v; want 400 %s with %q", operation, params, err, code, part)
	}
}

// add adds a registry for reading and answers its id as text.
func (r *rig) add(params ...string) string {
	r.t.Helper()
	defaults := []string{"RegistryType", "oci", "DomainName", "shelf.example.com"}
	for i := 0; i < len(defaults); i += 2 {
		if !slices.Contains(params, defaults[i]) {
			params = append(params, defaults[i:i+2]...)
		}
	}
	return fmt.Sprint(must[addPrivateRegistryResponse](r, "AddPrivateRegistry", params...).Data.ID)
}

// read runs all readings that wait, to their ends.
func (r *rig) read() {
	r.t.Helper()
	for n := 0; ; n++ {
		r.mu.Lock()
		if len(r.jobs) == 0 {
			r.mu.Unlock()
			return
		}
		id := r.jobs[0]
		r.jobs = r.jobs[1:]
		r.mu.Unlock()
		for {
			wait, more, err := r.service.Inventory.Slice(r.t.Context(), id)
			if err != nil || n > 1000 {
				r.t.Fatalf("reading %s: %v", id, err)
			}
			if !more {
				break
			}
			n++
			r.wait(wait)
		}
	}
}

// stock puts a shelf with some images at shelf.example.com and adds it.
func (r *rig) stock() string {
	r.t.Helper()
	s := &shelf{repos: map[string]map[string]portolan.Digest{}}
	s.put("public/web/front", "1.0", digestOf(0x11))
	s.put("public/web/front", "1.1", digestOf(0x12))
	s.put("public/web/front", "latest", digestOf(0x12))
	s.put("team/api", "1.0", digestOf(0x11))
	s.put("team/api", "Ünïcode_50%", digestOf(0x13))
	s.put("solo", "multi", digestOf(0x20))
	r.shelves["shelf.example.com"] = s
	id := r.add("RegistryName", "shelf")
	r.read()
	return id
}

func (r *rig) entry(id string) registryRow {
	r.t.Helper()
	for _, row := range must[pageImageRegistryResponse](r, "PageImageRegistry", "PageSize", "1000").List {
		if fmt.Sprint(row.ID) == id {
			plain := *row
			plain.json = nil // TestReadyRow
			return plain
		}
	}
	r.t.Fatalf("there is no registry %s", id)
	return registryRow{}
}
