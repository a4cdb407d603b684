package quay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/connectortest"
	"portolan/internal/connector/quay/quaytest"
)

const (
	schema1  = "application/vnd.docker.distribution.manifest.v1+prettyjws"
	signedV1 = `{"schemaVersion":1,"name":"acme/old","tag":"1","architecture":"amd64","fsLayers":[],"history":[]}`
)

func indexOf(children ...string) string {
	var list []string
	for _, c := range children {
		list = append(list, fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":7,"platform":{"os":"linux","architecture":"arm64"}}`, ociImage, quaytest.Digest(c)))
	}
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, ociIndex, strings.Join(list, ","))
}

func chart() string {
	return strings.ReplaceAll(imageOf("chart"), "application/vnd.oci.image.config.v1+json", "application/vnd.cncf.helm.config.v1+json")
}

// TestKinds classifies what Quay may hold.
func TestKinds(t *testing.T) {
	t.Parallel()
	image, nothing := imageOf("a"), imageOf("missing")
	accessory := "sha256-" + strings.TrimPrefix(quaytest.Digest(image), "sha256:") + ".sig"
	for name, tt := range map[string]struct {
		tag, mediaType, data string
		change               func(r *quaytest.Repository)
		kind                 portolan.Kind
		manifests            int
		fails                string // a word of the row's error
	}{
		"image":            {tag: "1", mediaType: ociImage, data: image, kind: portolan.KindImage, manifests: 1},
		"chart":            {tag: "1", mediaType: ociImage, data: chart(), kind: portolan.KindOther, manifests: 1},
		"signature":        {tag: accessory, mediaType: ociImage, data: image, kind: portolan.KindAccessory},
		"schema 1":         {tag: "1", mediaType: schema1, data: signedV1, kind: portolan.KindImage, manifests: 1},
		"index":            {tag: "1", mediaType: ociIndex, data: indexOf(image), kind: portolan.KindImage, manifests: 2},
		"sparse index":     {tag: "1", mediaType: ociIndex, data: indexOf(nothing, image), kind: portolan.KindImage, manifests: 2},
		"index of charts":  {tag: "1", mediaType: ociIndex, data: indexOf(chart()), kind: portolan.KindOther, manifests: 2},
		"index of nothing": {tag: "1", mediaType: ociIndex, data: indexOf(nothing), fails: `Tag "1"`},
		"hidden": {tag: "1", mediaType: ociImage, data: image, kind: portolan.KindImage, manifests: 1, change: func(r *quaytest.Repository) {
			r.Manifests[quaytest.Digest(image)] = quaytest.Manifest{MediaType: ociImage, Data: image, Hidden: true}
		}},
		"missing": {tag: "1", mediaType: ociImage, data: image, fails: `Tag "1"`, change: func(r *quaytest.Repository) {
			delete(r.Manifests, quaytest.Digest(image))
		}},
		"another's content": {tag: "1", mediaType: ociImage, data: image, fails: "does not match", change: func(r *quaytest.Repository) {
			r.Manifests[quaytest.Digest(image)] = quaytest.Manifest{MediaType: ociImage, Data: imageOf("b")}
		}},
		"no digest": {tag: "1", mediaType: ociImage, data: image, fails: "usable digest", change: func(r *quaytest.Repository) {
			r.Tags[0].Digest = "sha256:12"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := model(nil)
			m.Push("acme/api", tt.tag, tt.mediaType, tt.data)
			r := m.Find("acme/api")
			for _, child := range []string{image, chart()} {
				if tt.mediaType == ociIndex {
					r.Manifests[quaytest.Digest(child)] = quaytest.Manifest{MediaType: ociImage, Data: child}
				}
			}
			if tt.change != nil {
				tt.change(r)
			}
			rows, l, err := images(t.Context(), open(t, quaytest.New(m), tokens("acme")), "acme/api", &connectortest.Memory{})
			if err != nil || len(rows) != 1 || l.Listed != 1 {
				t.Fatal(rows, l.Listed, err)
			}
			if tt.fails != "" {
				mustFail(t, rows[0].Err, portolan.ServerFailure, tt.fails)
				return
			}
			if rows[0].Err != nil || rows[0].Kind != tt.kind || l.ManifestsRead != tt.manifests || rows[0].Digest != portolan.Digest(quaytest.Digest(tt.data)) {
				t.Errorf("%+v, %d manifests", rows[0], l.ManifestsRead)
			}
		})
	}
}

// A row tells size, platforms, and when its tag was pushed, and both lists of
// tags tell the same.
func TestRow(t *testing.T) {
	t.Parallel()
	m := model(map[string]int{"acme/many": 501})
	at := m.Now()
	m.Push("acme/api", "1.0", ociImage, imageOf("a"))
	m.Push("acme/many", "1.0", ociImage, imageOf("a"))
	s := open(t, quaytest.New(m), tokens("acme"))
	want := connector.Row{
		Digest: portolan.Digest(quaytest.Digest(imageOf("a"))), Tags: []connector.Tag{{Name: "1.0", Pushed: at}},
		Facts: connector.Facts{
			Kind: portolan.KindImage, MediaType: ociImage, Size: int64(len(imageOf("a"))) + 107,
			ImageID: portolan.Digest(quaytest.Digest("config a")),
		},
	}
	for _, path := range []string{"acme/api", "acme/many"} {
		rows, _, err := images(t.Context(), s, path, &connectortest.Memory{})
		if err != nil || len(rows) == 0 {
			t.Fatal(err)
		}
		rows[0].Cursor = ""
		if diff := cmp.Diff(want, rows[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// inventory is the count that ends up in ImageCount.
func inventory(t *testing.T, s connector.Source, known *connectortest.Memory) (digests, rows, manifests int) {
	t.Helper()
	list, err := connectortest.Repositories(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		got, l, err := images(t.Context(), s, r.Path, known)
		if err != nil {
			t.Fatal(err)
		}
		found := map[portolan.Digest]bool{}
		for _, row := range got {
			found[row.Digest] = row.Err == nil
		}
		digests, rows, manifests = digests+len(found), rows+len(got), manifests+l.ManifestsRead
	}
	return digests, rows, manifests
}

// TestCounts: exact counts follow pushes, moved tags, deletions and expiry,
// also those of older tags, which the fingerprint does not see.
func TestCounts(t *testing.T) {
	t.Parallel()
	now := newClock()
	m := quaytest.Model{Now: now.Now, Tokens: []quaytest.Token{reader()}}
	fake := quaytest.New(m)
	s := open(t, fake, tokens("acme"))
	known := &connectortest.Memory{}
	for i, step := range []struct {
		name                     string
		change                   func(m *quaytest.Model)
		digests, rows, manifests int
	}{
		{"push", func(m *quaytest.Model) { m.Push("acme/api", "1.0", ociImage, imageOf("a")) }, 1, 1, 1},
		{"second tag of the digest", func(m *quaytest.Model) { m.Push("acme/api", "latest", ociImage, imageOf("a")) }, 1, 2, 0},
		{"push to another repository", func(m *quaytest.Model) { m.Push("acme/web", "1.0", ociImage, imageOf("b")) }, 2, 3, 1},
		{"the same digest there", func(m *quaytest.Model) { m.Push("acme/web", "api", ociImage, imageOf("a")) }, 3, 4, 0},
		{"moved tag", func(m *quaytest.Model) { m.Push("acme/api", "latest", ociImage, imageOf("c")) }, 4, 4, 1},
		{"deletion of the older tag", func(m *quaytest.Model) { m.DeleteTag("acme/api", "1.0") }, 3, 3, 0},
		{"restored", func(m *quaytest.Model) { m.Push("acme/api", "1.0", ociImage, imageOf("a")) }, 4, 4, 0},
		{"will expire", func(m *quaytest.Model) { m.Find("acme/web").Tags[0].End = now.Now().Add(30 * time.Second) }, 4, 4, 0},
		{"has expired", func(*quaytest.Model) {}, 3, 3, 0},
		{"deletion of a repository", func(m *quaytest.Model) { m.DeleteRepository("acme/web") }, 2, 2, 0},
	} {
		now.pass(time.Minute)
		fake.Update(step.change)
		digests, rows, manifests := inventory(t, s, known)
		if digests != step.digests || rows != step.rows || manifests != step.manifests {
			t.Errorf("%d %s: %d digests, %d rows, %d manifests; want %+v", i, step.name, digests, rows, manifests, step)
		}
	}
}

// One that has more failing rows than anybody reads about is given up.
func TestTooManyFailures(t *testing.T) {
	t.Parallel()
	m := model(nil)
	for i := range 40 {
		m.Push("acme/api", fmt.Sprintf("v%02d", i), ociImage, imageOf(fmt.Sprint(i)))
	}
	clear(m.Find("acme/api").Manifests)
	rows, _, err := images(t.Context(), open(t, quaytest.New(m), tokens("acme")), "acme/api", &connectortest.Memory{})
	mustFail(t, err, portolan.ServerFailure, "More than 16 tags")
	if isNotExist(err) || len(rows) != 17 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// The Distribution API is spoken to with the login of the entry if there is
// one, else with the organisation's token.
func TestHiddenManifest(t *testing.T) {
	t.Parallel()
	robot := portolan.Credential{UserName: "acme+robot", Password: secret + "robot", AuthTokens: tokens("acme").AuthTokens}
	wrong := portolan.Credential{UserName: "acme+robot", Password: secret, AuthTokens: robot.AuthTokens}
	for name, tt := range map[string]struct {
		credential portolan.Credential
		class      portolan.ErrorClass
	}{
		"token": {tokens("acme"), ""}, "robot": {robot, ""}, "wrong robot": {wrong, portolan.BadCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := model(nil)
			m.Logins = []quaytest.Login{{Name: "acme+robot", Secret: secret + "robot"}}
			m.Push("acme/api", "1", ociImage, imageOf("a"))
			hidden := quaytest.Manifest{MediaType: ociImage, Data: imageOf("a"), Hidden: true}
			m.Find("acme/api").Manifests[quaytest.Digest(hidden.Data)] = hidden
			rows, _, err := images(t.Context(), open(t, quaytest.New(m), tt.credential), "acme/api", &connectortest.Memory{})
			if tt.class != "" {
				mustFail(t, err, tt.class)
				return
			}
			if err != nil || len(rows) != 1 || rows[0].Kind != portolan.KindImage {
				t.Errorf("%+v, %v", rows, err)
			}
		})
	}
}

// A reading that is cut short has got as far as it went.
func TestCutShort(t *testing.T) {
	t.Parallel()
	m := model(nil)
	for i := range 40 {
		m.Push("acme/api", fmt.Sprintf("v%02d", i), ociImage, imageOf(fmt.Sprint(i)))
	}
	fake := quaytest.New(m)
	s := open(t, fake, tokens("acme"))
	known := &connectortest.Memory{}
	got := 0
	for attempt := 1; ; attempt++ {
		ctx, cancel := context.WithCancel(t.Context())
		var sent atomic.Int64
		fake.Before(func(int, *http.Request) {
			if sent.Add(1) > 10 {
				cancel()
			}
		})
		rows, l, err := images(ctx, s, "acme/api", known)
		cancel()
		if err == nil && len(rows) == 40 && l.ManifestsRead <= 10 {
			break
		}
		if err == nil || len(rows) <= got && attempt > 1 || attempt > 10 {
			t.Fatalf("attempt %d: %d rows after %d, %v", attempt, len(rows), got, err)
		}
		got = len(rows)
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(`{"namespace":"acme","name":"api","tags":{"1.0":{"name":"1.0","size":1,"last_modified":"Fri, 21 Aug 2026 12:00:00 -0000","manifest_digest":"sha256:5f113f7f1f6958ce73c10499553a88df406dd4409fe4798f176d463c1be2ed54"}}}`)
	f.Add(`{"namespace":"acme","name":"api","tags":null}`)
	f.Add(`{"namespace":"acme","name":"api","tags":{"":{"manifest_digest":7}}}`)
	f.Add(`{"repositories":[{"namespace":"acme","name":"api","is_public":null,"last_modified":1.5}],"next_page":"x"}`)
	f.Add(`{"tags":[{"name":"a","start_ts":-1}],"has_additional":true}`)
	f.Add(`{"manifest_data":"{}","digest":null}`)
	f.Fuzz(func(t *testing.T, body string) {
		s := openAnswering(t, body)
		ctx := t.Context()
		if list, err := connectortest.Repositories(ctx, s, ""); err != nil && len(list) > 0 && !json.Valid([]byte(body)) {
			t.Fatalf("%d repositories of what is no JSON", len(list))
		}
		rows, l, err := images(ctx, s, "acme/api", &connectortest.Memory{})
		if err == nil && l.Listed != len(rows) {
			t.Fatalf("%d listed, %d rows", l.Listed, len(rows))
		}
		if slices.ContainsFunc(rows, func(r connector.Row) bool { return (r.Err == nil) == (r.Kind == "") }) {
			t.Fatalf("a row without kind or error: %+v", rows)
		}
	})
}
