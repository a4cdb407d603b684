package connector_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"portolan/internal/connector"
)

func TestNextLink(t *testing.T) {
	t.Parallel()
	const page = "https://r.example.com/v2/_catalog?n=2"
	tests := map[string]struct {
		header []string
		want   string // "" for none
		cut    bool
	}{
		"none":              {nil, "", false},
		"relative":          {[]string{`</v2/_catalog?last=b&n=2>; rel="next"`}, "https://r.example.com/v2/_catalog?last=b&n=2", false},
		"absolute":          {[]string{`<https://r.example.com/v2/x>; rel="next"`}, "https://r.example.com/v2/x", false},
		"query only":        {[]string{`<?last=b>;rel=next`}, "https://r.example.com/v2/_catalog?last=b", false},
		"second in a line":  {[]string{`</p?a=1,2>; rel="prev" , </n> ; title="a, b; rel=x" ; rel="next"`}, "https://r.example.com/n", false},
		"second header":     {[]string{`</p>; rel="prev"`, `</n>; rel="next"`}, "https://r.example.com/n", false},
		"several relations": {[]string{`</n>; REL="last Next"`}, "https://r.example.com/n", false},
		"first rel counts":  {[]string{`</n>; rel="prev"; rel="next"`}, "", false},
		"only previous":     {[]string{`</p>; rel="prev"`}, "", false},
		"in a parameter":    {[]string{`</p>; title="</x>; rel=next"; rel=prev`}, "", false},
		"not a link":        {[]string{`rel="next"`}, "", false},
		"unfinished":        {[]string{`</v2/`}, "", false},
		"raw characters":    {[]string{`</a?q=x=[1~2] {y}>; rel="next"`}, "https://r.example.com/a?q=x=[1~2]%20{y}", false},
		"other host":        {[]string{`<https://evil.example.com/n>; rel="next"`}, "", true},
		"other host, short": {[]string{`<//evil.example.com/n>; rel="next"`}, "", true},
		"other scheme":      {[]string{`<http://r.example.com/n>; rel="next"`}, "", true},
		"other port":        {[]string{`<https://r.example.com:8443/n>; rel="next"`}, "", true},
		"user":              {[]string{`<https://u:p@r.example.com/n>; rel="next"`}, "", true},
		"no address":        {[]string{`<https://%zz/>; rel="next"`}, "", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, _ := url.Parse(page)
			got, err := connector.NextLink(u, http.Header{"Link": test.header})
			if errors.Is(err, connector.ErrTruncated) != test.cut || !test.cut && err != nil {
				t.Fatalf("error %v, want truncation %v", err, test.cut)
			}
			text := ""
			if got != nil {
				text = got.String()
			}
			want, _ := url.Parse(test.want)
			if text != want.String() {
				t.Errorf("got %q, want %q", text, want)
			}
		})
	}
}

func FuzzNextLink(f *testing.F) {
	f.Add(`</v2/_catalog?last=b&n=2>; rel="next"`)
	f.Add(`<a>; rel=prev, <//h/b>; title="x\"y"; rel="next last"`)
	f.Add(`<;;,<>;=";`)
	page, _ := url.Parse("https://r.example.com/v2/_catalog")
	f.Fuzz(func(t *testing.T, header string) {
		next, err := connector.NextLink(page, http.Header{"Link": {header}})
		if err == nil && next != nil && (next.Scheme != page.Scheme || next.Host != page.Host) {
			t.Errorf("%q leads to %s", header, next)
		}
	})
}
