package portolan_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"portolan"
)

func TestFold(t *testing.T) {
	t.Parallel()
	same := [][]string{
		{"harbor", "HARBOR", "Harbor"},
		{"straße", "STRASSE", "strasse"},
		{"café", "CAFE\u0301", "Café"},
		{"ΣΑΣ", "σας", "σασ"},
		{"ǅ", "ǆ", "Ǆ"},
		{"K", "\u212a", "k"},
		{"镜像"},
		{"🚀"},
		{" a "},
		{""},
	}
	seen := map[string]string{}
	for _, group := range same {
		want := portolan.Fold(group[0])
		if other, ok := seen[want]; ok {
			t.Errorf("%q and %q are folded to the same %q", group[0], other, want)
		}
		seen[want] = group[0]
		for _, s := range group {
			if got := portolan.Fold(s); got != want {
				t.Errorf("%q is folded to %q, %q to %q", s, got, group[0], want)
			}
		}
	}
	if portolan.Fold("A%_*\\") != "a%_*\\" || portolan.Fold("i") == portolan.Fold("ı") {
		t.Error("folding does too much")
	}
}

func FuzzFold(f *testing.F) {
	for _, seed := range []string{"Harbor", "straße", "CAFE\u0301", "İ", "\u0345", "ﬀ", "\xff", "\u1e9e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		folded := portolan.Fold(s)
		if folded != portolan.Fold(s) || portolan.Fold(strings.ToLower(s)) != folded && isASCII(s) {
			t.Errorf("%q is folded to %q", s, folded)
		}
	})
}

func isASCII(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return r > 127 }) < 0 }

func TestSplitRepository(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][2]string{
		"platform/auth/server": {"platform/auth", "server"}, "solo": {"", "solo"}, "": {"", ""}, "a/": {"a", ""}, "/a": {"", "a"},
	} {
		if ns, name := portolan.SplitRepository(path); ns != want[0] || name != want[1] {
			t.Errorf("%q is %q and %q", path, ns, name)
		}
	}
	for _, p := range []portolan.Repository{{Namespace: "a/b", Name: "c"}, {Name: "c"}} {
		if ns, name := portolan.SplitRepository(p.Path()); ns != p.Namespace || name != p.Name {
			t.Errorf("%+v has the path %s", p, p.Path())
		}
	}
}

func TestInScope(t *testing.T) {
	t.Parallel()
	tests := []struct {
		path     string
		prefixes []string
		want     bool
	}{
		{"a/b", nil, true},
		{"a/b", []string{"a"}, true},
		{"a", []string{"a"}, true},
		{"a/b", []string{"/a/"}, true},
		{"ab/c", []string{"a"}, false},
		{"a", []string{"a/b"}, false},
		{"x/y/z", []string{"a", "x/y"}, true},
		{"A/b", []string{"a"}, false},
		{"a/b", []string{""}, false},
	}
	for _, tt := range tests {
		if got := portolan.InScope(tt.path, tt.prefixes); got != tt.want {
			t.Errorf("%s in %v: %t", tt.path, tt.prefixes, got)
		}
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("ab", 32)
	for in, want := range map[string]string{
		hex: hex, "sha256:" + hex: hex, "SHA256:" + strings.ToUpper(hex): hex, "sha512:" + hex + hex: "sha512:" + hex + hex, "sha384:" + hex + strings.Repeat("0", 32): "sha384:" + hex + strings.Repeat("0", 32),
	} {
		if d, err := portolan.ParseDigest(in); err != nil || d.Wire() != want || !strings.Contains(string(d), ":") {
			t.Errorf("%s is %s, %v", in, d, err)
		}
	}
	for _, in := range []string{"", ":", "sha256:", hex[1:], hex + "0", "sha256:" + hex[2:], "md5:" + hex, hex + hex, "sha256:" + hex + ":", "zz" + hex[2:], "sha256:sha256:" + hex, " " + hex} {
		if d, err := portolan.ParseDigest(in); !errors.Is(err, portolan.ErrDigest) || d != "" {
			t.Errorf("%q is %q, %v", in, d, err)
		}
	}
	if portolan.Digest("").Wire() != "" {
		t.Error("no digest is something on the wire")
	}
}

func FuzzParseDigest(f *testing.F) {
	f.Add("sha256:" + strings.Repeat("ab", 32))
	f.Add("sha512:00")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := portolan.ParseDigest(s)
		if err != nil {
			return
		}
		for _, form := range []string{string(d), d.Wire()} {
			if again, err := portolan.ParseDigest(form); err != nil || again != d {
				t.Errorf("%q is %q, whose form %q is %q, %v", s, d, form, again, err)
			}
		}
	})
}

func TestNewestTag(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_700_000_000, 0)
	tests := map[string][]portolan.Tag{
		"":  nil,
		"b": {{Name: "a", Pushed: at}, {Name: "b", Pushed: at.Add(1)}},
		"z": {{Name: "z", Pushed: at}, {Name: "y", Pushed: at}, {Name: "Z", Pushed: at}},
		"n": {{Name: "zz"}, {Name: "n", Pushed: at}},
	}
	for want, tags := range tests {
		if got := portolan.NewestTag(tags).Name; got != want {
			t.Errorf("of %v it is %q", tags, got)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	wrapped := errors.Join(errors.New("while reading"), portolan.ErrRegistryNotExist)
	if !errors.Is(wrapped, portolan.ErrRegistryNotExist) || errors.Is(wrapped, portolan.ErrImageNotExist) || errors.Is(wrapped, errors.New("x")) {
		t.Error("errors are told apart by their codes")
	}
	if m := portolan.Missing("Id"); m.Code != "MissingId" || m.Status != 400 || m.Message != "Id is mandatory for this action." {
		t.Errorf("%+v", m)
	}
	if e := portolan.Invalid("PageSize", "must be an integer from %d to %d", 1, 1000); e.Error() != "InvalidParameter: PageSize must be an integer from 1 to 1000" {
		t.Error(e)
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	tests := []struct {
		l    portolan.Ledger
		want portolan.SyncStatus
	}{
		{portolan.Ledger{}, portolan.SyncOK},
		{portolan.Ledger{RepositoriesListed: 2, RepositoriesRead: 1, RepositoriesSkipped: 1}, portolan.SyncOK},
		{portolan.Ledger{RepositoriesListed: 2, RepositoriesRead: 1, RepositoriesFailed: 1}, portolan.SyncPartial},
		{portolan.Ledger{RepositoriesListed: 2, RepositoriesSkipped: 1, RepositoriesFailed: 1}, portolan.SyncPartial},
		{portolan.Ledger{RepositoriesListed: 2, RepositoriesFailed: 2}, portolan.SyncFailed},
		{portolan.Ledger{ErrorCode: portolan.BadCredentials}, portolan.SyncFailed},
		{portolan.Ledger{RepositoriesListed: 1, RepositoriesRead: 1, ImagesHeld: 1}, portolan.SyncPartial},
		{portolan.Ledger{RepositoriesFailed: 1, ImagesHeld: 1}, portolan.SyncPartial},
		{portolan.Ledger{RepositoriesRead: 1, ErrorCode: portolan.Partial}, portolan.SyncPartial},
	}
	for _, tt := range tests {
		if got := tt.l.Outcome(); got != tt.want {
			t.Errorf("%+v is %s, want %s", tt.l, got, tt.want)
		}
	}
	var l portolan.Ledger
	for range portolan.MaxIssues + 1 {
		l.AddIssue(portolan.Issue{})
	}
	if len(l.Issues) != portolan.MaxIssues {
		t.Errorf("%d issues are kept", len(l.Issues))
	}
}
