package oci

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"portolan"
	"portolan/internal/connector"
)

type answers func(*http.Request) *http.Response

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) { return a(r), nil }

func newSource(t testing.TB, a answers) *source {
	t.Helper()
	src, err := Open(connector.Config{BaseURL: &url.URL{Scheme: "https", Host: "r.example.com"}, Client: &http.Client{Transport: a}})
	if err != nil {
		t.Fatal(err)
	}
	return src.(*source)
}

func TestNextChunk(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		size, open int
		took       time.Duration
		want       int
	}{
		{4, 4, 0, 8},
		{128, 128, time.Second - 1, 256},
		{256, 256, 0, 256},
		{64, 64, time.Second, 64},
		{64, 64, 4 * time.Second, 64},
		{64, 64, 5 * time.Second, 32},
		{4, 4, time.Minute, 4},
		{8, 5, 0, 8},
		{64, 5, 5 * time.Second, 32},
	} {
		if got := nextChunk(test.size, test.open, test.took); got != test.want {
			t.Errorf("after %d in %s: %d, want %d", test.size, test.took, got, test.want)
		}
	}
}

// FuzzList answers the same page and Link for ever: the walk comes to an end,
// yields no name twice, and stays where it is.
func FuzzList(f *testing.F) {
	f.Add(`{"repositories":["a","b/c"]}`, `</v2/_catalog?last=b&n=2>; rel="next"`)
	f.Add(`{"repositories":null}`, ``)
	f.Add(`{"repositories":["a","a",""],"tags":[1]}`, `<?x>; rel=next`)
	f.Add(`[{"repositories":{}}`, `<//evil/x>; rel=next`)
	f.Fuzz(func(t *testing.T, body, link string) {
		asked := 0
		s := newSource(t, func(r *http.Request) *http.Response {
			if asked++; asked > 20 || r.URL.Host != "r.example.com" {
				t.Fatalf("request %d to %s", asked, r.URL)
			}
			return &http.Response{StatusCode: http.StatusOK, Request: r, Header: http.Header{"Link": {link}}, Body: io.NopCloser(strings.NewReader(body))}
		})
		var seen []string
		for repository, err := range s.Repositories(t.Context(), "") {
			if err != nil {
				break
			}
			if slices.Contains(seen, repository.Path) || !portolan.Printable(repository.Path) {
				t.Fatalf("%q is yielded after %q", repository.Path, seen)
			}
			seen = append(seen, repository.Path)
		}
	})
}

// FuzzReference makes addresses of what a registry lists: none leaves the
// place where manifests are.
func FuzzReference(f *testing.F) {
	f.Add("team/app", "1.0")
	f.Add("../_catalog", "..")
	f.Add("a%2fb//c", "x/../../y?z#")
	f.Add("a\r\nb", "\x00")
	f.Add("..;/x", "t;,")
	s := newSource(f, nil)
	f.Fuzz(func(t *testing.T, path, tag string) {
		u, err := s.repository(path, "manifests", tag)
		if err != nil {
			return
		}
		sent, err := url.Parse(u.String())
		if err != nil {
			t.Fatalf("%q: %v", u, err)
		}
		want := "/v2/" + path + "/manifests/" + tag
		if sent.Host != "r.example.com" || sent.Path != want || sent.RawQuery != "" || sent.Fragment != "" {
			t.Errorf("%q, %q became %q", path, tag, u)
		}
		escaped := strings.Split(sent.EscapedPath(), "/")
		if slices.Contains(escaped, "..") || slices.Contains(escaped, ".") || len(escaped) != strings.Count(path, "/")+5 {
			t.Errorf("%q, %q became %q", path, tag, u)
		}
	})
}
