package inventory

import (
	"fmt"
	"strings"
	"unicode"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/store"
)

// maxText bounds every name that a registry gives, in bytes: specifications
// allow a quarter of it, indexes twice as much.
const maxText = 1_000

// legible reports whether a text of a registry can be stored and shown: tags
// are stored one a line, and not every database takes every byte.
func legible(s string) bool { return len(s) <= maxText && portolan.Printable(s) }

// checkRow makes a row that holds what cannot be stored one that could not be
// read.
func checkRow(row *connector.Row) {
	if !legible(row.Cursor) {
		row.Cursor = "" // it cannot be gone on with from here
	}
	if row.Err != nil {
		return
	}
	what, text := illegible(row)
	if what == "" {
		return
	}
	row.Err = connector.Errorf(portolan.ServerFailure, "The %s %.100q of %s cannot be stored.", what, text, plain(string(row.Digest))).
		WithRemedy("Delete it in the registry, or push it again under another name.")
	row.Tags, row.Facts = nil, connector.Facts{}
}

// illegible names the first text of a row that cannot be stored, "" for none.
func illegible(row *connector.Row) (what, text string) {
	for _, t := range row.Tags {
		if t.Name == "" || !legible(t.Name) {
			return "tag", t.Name
		}
	}
	for _, p := range row.Platforms {
		if p == "" || !legible(p) || strings.Contains(p, ",") {
			return "platform", p
		}
	}
	for _, f := range []struct{ what, text string }{
		{"digest", string(row.Digest)},
		{"media type", row.MediaType},
		{"artifact type", row.ArtifactType},
		{"image id", string(row.ImageID)},
		{"subject", string(row.Subject)},
	} {
		if !legible(f.text) {
			return f.what, f.text
		}
	}
	return "", ""
}

// stagedOf is an entry of the catalogue as it is staged; false if its path
// cannot be stored. Of what else cannot be, nothing is known.
func stagedOf(r *connector.Repository) (store.StagedRepository, bool) {
	s := store.StagedRepository{Path: r.Path, Expect: r.Expect}
	for _, f := range []struct {
		to   *string
		text string
	}{{&s.Group, r.Group}, {&s.Fingerprint, r.Fingerprint}, {&s.Visibility, r.Visibility}} {
		if legible(f.text) {
			*f.to = f.text
		}
	}
	return s, r.Path != "" && legible(r.Path)
}

// refuse counts an entry of the catalogue whose path cannot be stored as a
// repository that could not be read.
func (r *reading) refuse(path string) {
	issue := portolan.Issue{
		Repository: fmt.Sprintf("%.100q", path), Step: StepCatalogue, Code: portolan.ServerFailure,
		Message: "Its path is empty, too long or holds characters that cannot be shown.",
	}
	l := &r.lease.Sync.Ledger
	l.AddIssue(issue)
	l.RepositoriesListed++
	r.plan.Refused++
	if r.plan.First == nil {
		r.plan.First = &issue
	}
}

// plain is a message without what cannot be stored.
func plain(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
}
