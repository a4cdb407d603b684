package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"portolan/bench/shelf"
	"portolan/internal/connector"
	"portolan/internal/sign"
)

// sync measures cold readings of a registry against a bare client that sends
// the same requests: of the reference registry, and of one that costs next to
// nothing, which shows what Portolan costs itself.
func (b *bench) sync(ctx context.Context, postgres bool, database string) error {
	repositories := 10_000
	if b.quick {
		repositories = 2_000
	}
	s := b.section("Reading a registry, "+database, fmt.Sprintf("%d repositories of %d tags and %[2]d digests.", repositories, shelf.Tags))
	registry, err := b.distribution(ctx, repositories)
	if err != nil {
		return err
	}
	rate, err := b.cold(ctx, s, postgres, registry.addr, repositories)
	if err := errors.Join(err, registry.stop()); err != nil {
		return err
	}
	s.add(figure{
		what: "cold reading of distribution 3: request rate to that of a bare client", value: rate.requests.String(), want: "≥ 0.75", met: rate.requests.median() >= 0.75,
		note: rate.note(),
	})
	if registry, err = launchWith(ctx, b.folder, spec{Shelf: repositories}); err != nil {
		return err
	}
	rate, err = b.cold(ctx, nil, postgres, registry.addr, repositories)
	if err := errors.Join(err, registry.stop()); err != nil {
		return err
	}
	s.add(figure{what: "the same of a registry that does as little as can be", value: rate.requests.String(), note: rate.note()})
	return nil
}

// distribution starts the reference registry with so many repositories.
func (b *bench) distribution(ctx context.Context, repositories int) (*server, error) {
	program := filepath.Join(b.folder, "distribution")
	build := exec.CommandContext(ctx, "go", "build", "-C", "test/distribution", "-o", program, "./serve") //nolint:gosec // our own folder
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the registry: %w: %s", err, out)
	}
	return startProcess(b.folder, exec.CommandContext(ctx, program, strconv.Itoa(repositories))) //nolint:gosec // just built
}

// rates are those of cold readings to those of bare clients, pair by pair.
type rates struct {
	requests ratios
	pairs    []pair
}

type pair struct {
	cold  reading
	floor bare
}

// note tells of the pair in the middle.
func (r *rates) note() string {
	middle := slices.Index(r.requests, r.requests.median())
	cold, floor := &r.pairs[middle].cold, &r.pairs[middle].floor
	own, others := float64(cold.cpu.Microseconds())/float64(cold.Requests), float64(floor.cpu.Microseconds())/float64(floor.requests)
	return fmt.Sprintf("%.0f of %.0f requests/s; CPU %.0f µs a request, %.2fx of the client's", cold.perSecond(), floor.perSecond(), own, own/others)
}

// cold reads a registry in turn with a bare client. What holds of the requests
// themselves goes into the section, if there is one.
func (b *bench) cold(ctx context.Context, s *section, postgres bool, addr string, repositories int) (*rates, error) {
	r := &rates{}
	for i := range min(b.runs, 3) {
		floor, err := readBare(ctx, addr, repositories)
		if err != nil {
			return nil, err
		}
		cold, again, err := b.readPortolan(ctx, postgres, addr)
		if err != nil {
			return nil, err
		}
		r.requests, r.pairs = append(r.requests, cold.perSecond()/floor.perSecond()), append(r.pairs, pair{cold, floor})
		if i > 0 || s == nil {
			continue
		}
		wanted := float64(repositories + repositories*shelf.Tags)
		requests := (float64(cold.Requests) - float64(repositories*shelf.Tags)) / wanted
		s.add(figure{
			what: "requests for each repository and tag, beside one for each digest", value: fmt.Sprintf("%.4f", requests), want: "≤ 1.05", met: requests <= 1.05,
			note: fmt.Sprintf("%d requests in all", cold.Requests),
		})
		s.add(figure{
			what: "manifests read again when nothing changed", value: fmt.Sprint(again.ManifestsRead), want: "0", met: again.ManifestsRead == 0,
			note: fmt.Sprintf("%d requests, %.0f/s", again.Requests, again.perSecond()),
		})
	}
	return r, nil
}

// reading is what a sync of Portolan tells of itself.
type reading struct {
	Status, ErrorMessage                string
	Requests, ManifestsRead, ImagesSeen int
	took, cpu                           time.Duration
}

func (r *reading) perSecond() float64 { return float64(r.Requests) / r.took.Seconds() }

// readPortolan reads the registry into a new store, and once more.
func (b *bench) readPortolan(ctx context.Context, postgres bool, addr string) (cold, again reading, err error) {
	w, err := b.world(ctx, postgres, scale{}, nil)
	defer func() { err = errors.Join(err, w.drop(), os.RemoveAll(w.spec.Data)) }()
	if err != nil {
		return cold, again, err
	}
	z, err := launchWith(ctx, b.folder, w.spec) // as many processors as the bare client has
	if err != nil {
		return cold, again, err
	}
	defer func() { err = errors.Join(err, z.stop()) }()
	host, port, _ := splitPort(addr)
	add := question{operation: "AddPrivateRegistry", algorithm: sign.ACS3SHA256, params: url.Values{
		"RegistryType": {"oci"}, "DomainName": {host}, "Port": {port}, "ProtocolType": {"1"},
	}}
	started := time.Now()
	body, err := fetch(ctx, z, &add, w.key)
	if err != nil {
		return cold, again, err
	}
	m := newID.FindSubmatch(body)
	if m == nil {
		return cold, again, fmt.Errorf("no id in %s", body)
	}
	id := string(m[1])
	if cold, err = awaitSync(ctx, z, w.key, id, "", started); err != nil {
		return cold, again, err
	}
	started = time.Now()
	request := question{operation: "SyncImageRegistry", algorithm: sign.ACS3SHA256, params: url.Values{"RegistryId": {id}}}
	if body, err = fetch(ctx, z, &request, w.key); err != nil {
		return cold, again, err
	}
	if m = syncID.FindSubmatch(body); m == nil {
		return cold, again, fmt.Errorf("no id in %s", body)
	}
	again, err = awaitSync(ctx, z, w.key, id, string(m[1]), started)
	return cold, again, err
}

var syncID = regexp.MustCompile(`"SyncId":"([^"]+)"`)

func splitPort(addr string) (host, port string, err error) {
	u, err := url.Parse("http://" + addr)
	if err != nil {
		return "", "", err
	}
	return u.Hostname(), u.Port(), nil
}

// lookEvery is far less than a reading takes, and far more than a look costs.
const lookEvery = 100 * time.Millisecond

// awaitSync waits for the end of a reading. How long it waits in the queue, up
// to a second, is not its time.
func awaitSync(ctx context.Context, z *server, key sign.Key, registry, id string, started time.Time) (reading, error) {
	before, err := z.usage()
	if err != nil {
		return reading{}, err
	}
	look := question{operation: "DescribeImageRegistrySync", algorithm: sign.ACS3SHA256, params: url.Values{"RegistryId": {registry}}}
	if id != "" {
		look.params.Set("SyncId", id)
	}
	for {
		body, err := fetch(ctx, z, &look, key)
		if err != nil {
			return reading{}, err
		}
		var answer struct{ Data reading }
		if err := json.Unmarshal(body, &answer); err != nil {
			return reading{}, err
		}
		r := answer.Data
		switch r.Status {
		case "pending":
			started = time.Now()
		case "running":
		case "ok":
			after, err := z.usage()
			r.took, r.cpu = time.Since(started), after.CPU-before.CPU
			return r, err
		default:
			return r, fmt.Errorf("the reading is %s: %s", r.Status, r.ErrorMessage)
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return r, ctx.Err()
		}
	}
}

// bare is what a bare client did.
type bare struct {
	requests  int64
	took, cpu time.Duration
}

func (b *bare) perSecond() float64 { return float64(b.requests) / b.took.Seconds() }

// readBare sends the requests of a cold reading over as many connections, and
// hashes what it reads.
func readBare(ctx context.Context, addr string, repositories int) (bare, error) {
	transport := &http.Transport{MaxConnsPerHost: connector.DefaultConcurrent, MaxIdleConnsPerHost: connector.DefaultConcurrent}
	defer transport.CloseIdleConnections()
	c := &bareClient{ctx: ctx, base: "http://" + addr + "/v2/", client: &http.Client{Transport: transport}}
	before, started := used(), time.Now()
	for n := 0; n < repositories; n += 1000 {
		if _, err := c.get(http.MethodGet, fmt.Sprintf("_catalog?n=1000&last=%s", lastOf(n))); err != nil {
			return bare{}, err
		}
	}
	var next atomic.Int64
	errs := make([]error, connector.DefaultConcurrent)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for errs[i] == nil {
				n := int(next.Add(1)) - 1
				if n >= repositories {
					return
				}
				errs[i] = c.repository(shelf.Repository(n))
			}
		})
	}
	wg.Wait()
	return bare{requests: c.sent.Load(), took: time.Since(started), cpu: used().CPU - before.CPU}, errors.Join(errs...)
}

func lastOf(n int) string {
	if n == 0 {
		return ""
	}
	return shelf.Repository(n - 1)
}

type bareClient struct {
	ctx    context.Context //nolint:containedctx // of one run
	base   string
	client *http.Client
	sent   atomic.Int64
}

func (c *bareClient) repository(name string) error {
	if _, err := c.get(http.MethodGet, name+"/tags/list"); err != nil {
		return err
	}
	for t := range shelf.Tags {
		digest, err := c.get(http.MethodHead, name+"/manifests/"+shelf.Tag(t))
		if err != nil {
			return err
		}
		if _, err := c.get(http.MethodGet, name+"/manifests/"+digest); err != nil {
			return err
		}
	}
	return nil
}

// get sends a request, hashes the body and answers the digest that the
// registry states.
func (c *bareClient) get(method, path string) (digest string, err error) {
	req, err := http.NewRequestWithContext(c.ctx, method, c.base+path, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Accept", shelf.ManifestType)
	c.sent.Add(1)
	resp, err := c.client.Do(req)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(h, resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return "", err
	}
	digest = resp.Header.Get("Docker-Content-Digest")
	if resp.StatusCode != http.StatusOK || method == http.MethodHead && digest == "" {
		return "", fmt.Errorf("%s %s: %s, digest %q", method, path, resp.Status, digest)
	}
	if method == http.MethodGet && digest != "" && digest != fmt.Sprintf("sha256:%x", h.Sum(nil)) {
		return "", fmt.Errorf("%s has another digest", path)
	}
	return digest, nil
}
