package quay_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/connectortest"
	"portolan/internal/connector/quay/quaytest"
)

func isNotExist(err error) bool { return errors.Is(err, connector.ErrNotExist) }

func TestRepositories(t *testing.T) {
	t.Parallel()
	m := model(map[string]int{"acme/api": 2, "acme/app": 1, "acme/being-deleted": 1, "acme/empty": 0, "acme/open": 1, "acme/team/web": 1, "data/lake": 1, "open/base": 1, "open/hidden": 1})
	m.Tokens = append(m.Tokens, quaytest.Token{Secret: secret + "2", Scopes: []string{"repo:read"}, Admin: []string{"data"}})
	m.Find("acme/open").Public, m.Find("open/base").Public = true, true
	m.Find("acme/app").Kind, m.Find("acme/being-deleted").State = "application", "MARKED_FOR_DELETION"
	credential := tokens("acme")
	credential.AuthTokens["data"] = secret + "2"
	for name, tt := range map[string]struct {
		scope []string
		want  []string
	}{
		"those with a token": {nil, []string{"acme/api", "acme/empty", "acme/open", "acme/team/web", "data/lake"}},
		"one of them":        {[]string{"data"}, []string{"data/lake"}},
		"a prefix":           {[]string{"acme/team"}, []string{"acme/team/web"}},
		"no prefix":          {[]string{"acme/te"}, []string{}},
		"a repository":       {[]string{"acme/api", "data"}, []string{"acme/api", "data/lake"}},
		"one without":        {[]string{"open", "data"}, []string{"data/lake", "open/base"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := connectortest.Repositories(t.Context(), open(t, quaytest.New(m), credential, tt.scope...), "")
			if err != nil || !slices.Equal(paths(list), tt.want) {
				t.Errorf("%v, %v, want %v", paths(list), err, tt.want)
			}
			for _, r := range list {
				public := r.Path == "acme/open" || r.Path == "open/base"
				if r.Expect != -1 || r.Group != "" || (r.Visibility == "public") != public || (r.Visibility == "private") == public {
					t.Errorf("%+v", r)
				}
				if empty := r.Path == "acme/empty"; (r.Fingerprint == "null") != empty {
					t.Errorf("fingerprint %q of %s", r.Fingerprint, r.Path)
				}
			}
		})
	}
}

// The fingerprint sees what last_modified sees.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	now := newClock()
	m := model(map[string]int{"acme/api": 3})
	m.Now = now.Now
	fake := quaytest.New(m)
	s := open(t, fake, tokens("acme"))
	last := ""
	for _, step := range []struct {
		name   string
		change func(m *quaytest.Model)
		moves  bool
	}{
		{"at first", func(*quaytest.Model) {}, true},
		{"again", func(*quaytest.Model) {}, false},
		{"push", func(m *quaytest.Model) { m.Push("acme/api", "v9", ociImage, imageOf("new")) }, true},
		{"move", func(m *quaytest.Model) { m.Push("acme/api", "v000001", ociImage, imageOf("new")) }, true},
		{"deletion of an older tag", func(m *quaytest.Model) { m.DeleteTag("acme/api", "v000000") }, false},
		{"deletion of the newest tag", func(m *quaytest.Model) { m.DeleteTag("acme/api", "v000001") }, true},
	} {
		now.pass(time.Minute)
		fake.Update(step.change)
		list, err := connectortest.Repositories(t.Context(), s, "")
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		if moved := list[0].Fingerprint != last; moved != step.moves {
			t.Errorf("%s: fingerprint %q after %q", step.name, list[0].Fingerprint, last)
		}
		last = list[0].Fingerprint
	}
}

// A token without the scope is given the whole list and may read nothing.
func TestInsufficientScope(t *testing.T) {
	t.Parallel()
	m := model(map[string]int{"acme/api": 1, "data/lake": 1})
	m.Tokens[0].Scopes = []string{"user:read"}
	m.Tokens = append(m.Tokens, quaytest.Token{Secret: secret + "2", Scopes: []string{"repo:read"}, Admin: []string{"data"}})
	credential := tokens("acme")
	credential.AuthTokens["data"] = secret + "2"
	s := open(t, quaytest.New(m), credential)
	if _, err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := connectortest.Repositories(t.Context(), s, "")
	mustFail(t, err, portolan.Forbidden, "acme", "repo:read")
	if !slices.Equal(paths(list), []string{"data/lake"}) {
		t.Errorf("%v: the other organisation is not listed", paths(list))
	}
}

// Quay answers an empty list for an organisation that it does not have.
func TestUnknownOrganisation(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		scope string
		want  bool
	}{
		"organisation": {"empty", true}, "user": {"eve", true}, "slip of the pen": {"acmee", false}, "capital": {"Acme", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := model(map[string]int{"acme/api": 1})
			m.Namespaces = append(m.Namespaces, quaytest.Namespace{Name: "empty"}, quaytest.Namespace{Name: "eve", User: true})
			list, err := connectortest.Repositories(t.Context(), open(t, quaytest.New(m), tokens("acme", tt.scope), tt.scope, "acme"), "")
			if !slices.Equal(paths(list), []string{"acme/api"}) {
				t.Errorf("%v", paths(list))
			}
			if tt.want && err != nil {
				t.Error(err)
			}
			if !tt.want {
				mustFail(t, err, portolan.CannotEnumerate, tt.scope)
			}
		})
	}
}

// Pages that lead in a circle, or name another organisation, are no list.
func TestListThatDoesNotAddUp(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body      string
		truncated bool
	}{
		"circle":             {`{"repositories":[],"next_page":"x"}`, true},
		"other organisation": {`{"repositories":[{"namespace":"data","name":"lake"}]}`, false},
		"no name":            {`{"repositories":[{"namespace":"acme"}]}`, false},
		"no list":            {`{"next_page":"x"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(tt.body)) })
			_, err := connectortest.Repositories(t.Context(), open(t, h, tokens("acme")), "")
			mustFail(t, err, portolan.ServerFailure)
			if errors.Is(err, connector.ErrTruncated) != tt.truncated {
				t.Errorf("%v: truncated?", err)
			}
		})
	}
}

// The catalogue goes on after a cursor with the page that it names.
func TestResume(t *testing.T) {
	t.Parallel()
	counts := map[string]int{}
	for i := range 250 {
		counts[fmt.Sprintf("acme/r%03d", i)] = 1
		counts[fmt.Sprintf("data/r%03d", i)] = 1
	}
	m := model(counts)
	m.Tokens[0].Admin = []string{"acme", "data"}
	fake := quaytest.New(m)
	s := open(t, fake, tokens("acme", "data"))
	all, err := connectortest.Repositories(t.Context(), s, "")
	if err != nil || len(all) != 500 {
		t.Fatal(len(all), err)
	}
	for _, from := range []int{0, 99, 100, 249, 250, 499} {
		fake.Reset()
		rest, err := connectortest.Repositories(t.Context(), s, all[from].Cursor)
		if err != nil || len(rest) < 499-from || len(rest) > 600-from || !portolan.Printable(all[from].Cursor) {
			t.Errorf("after %d: %d more, %v", from, len(rest), err)
		}
		for _, r := range fake.Requests() {
			if strings.Contains(r.Query, "namespace=acme") && from >= 250 {
				t.Errorf("after %d acme is listed again", from)
			}
		}
	}
}
