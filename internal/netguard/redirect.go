package netguard

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"portolan"
)

// harmless has the headers that may follow a redirect to another host. All
// others could be a credential.
var harmless = []string{"Accept", "Range", "User-Agent"}

// CheckRedirect is the rule for redirects, as http.Client.CheckRedirect has
// it: at most 5, never from https to http, and once another host (or port) was
// involved only harmless headers go along, and a body not at all.
func CheckRedirect(req *http.Request, via []*http.Request) error {
	first, last := via[0].URL, via[len(via)-1].URL
	switch {
	case len(via) > maxRedirects:
		return redirectRefused(first.Host, "too many times")
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return redirectRefused(first.Host, "to something other than HTTP")
	case req.URL.Scheme == "http" && last.Scheme == "https":
		return &Error{
			Class:   portolan.TLSFailure,
			Message: "TLS: " + last.Host + " redirects from HTTPS to plain HTTP.",
			Remedy:  "Correct the registry's external address, or choose protocol HTTP.",
		}
	}
	foreign := func(r *http.Request) bool { return !sameOrigin(first, r.URL) }
	if !foreign(req) && !slices.ContainsFunc(via, foreign) {
		return nil
	}
	if req.Body != nil && req.Body != http.NoBody {
		return redirectRefused(first.Host, "what was sent to another host")
	}
	for name := range req.Header {
		if !slices.Contains(harmless, name) {
			req.Header.Del(name)
		}
	}
	return nil
}

// sameOrigin reports whether credentials for a may be sent to b: the same host
// and port, or the step from http to https at their usual ports.
func sameOrigin(a, b *url.URL) bool {
	if !strings.EqualFold(a.Hostname(), b.Hostname()) {
		return false
	}
	usual := map[string]string{"http": "80", "https": "443"}
	portA, portB := cmp.Or(a.Port(), usual[a.Scheme]), cmp.Or(b.Port(), usual[b.Scheme])
	upgrade := a.Scheme == "http" && b.Scheme == "https" && portA == "80" && portB == "443"
	return upgrade || a.Scheme == b.Scheme && portA == portB
}
