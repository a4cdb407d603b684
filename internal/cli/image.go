package cli

import (
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"portolan"
)

// imageColumns are those of images; tables cut digests unless full.
func imageColumns(full bool) []column {
	digest := column{title: "DIGEST", field: "Digest", show: field("Digest", shortDigest)}
	if full {
		digest.show = nil
	}
	return []column{
		{title: "REGISTRY", field: "RegistryId"},
		{title: "NAMESPACE", field: "RepoNamespace", wide: 40},
		{title: "REPOSITORY", field: "RepoName", wide: 40},
		{title: "TAGS", field: "Tags", wide: 36},
		digest,
		{title: "SIZE", field: "ImageSize", show: field("ImageSize", knownSize)},
		{title: "PLATFORMS", field: "Platforms", wide: 36},
		{title: "UPDATED", field: "ImageUpdate", show: field("ImageUpdate", day)},
	}
}

func repositoryColumns(bool) []column {
	return []column{
		{title: "REGISTRY", field: "RegistryId"},
		{title: "NAMESPACE", field: "RepoNamespace", wide: 60},
		{title: "REPOSITORY", field: "RepoName", wide: 60},
		{title: "IMAGES", field: "ImageCount"},
		{title: "ID", field: "RepoId"},
	}
}

func (s *shell) image() *cobra.Command {
	return group(&cobra.Command{Use: "image", Short: "List and find images"}, s.imageList(), s.imageRepos(), s.imageFind(), s.imageChanges())
}

// selection is what both lists can be narrowed by.
type selection struct {
	registry, repository, namespace, tag, digest string
}

// criteria is the parameter Criteria for a selection.
func (q *selection) criteria(registry string) (string, error) {
	type item struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	var items []item
	for _, i := range []item{{"instanceId", registry}, {"repoName", q.repository}, {"repoNamespace", q.namespace}, {"tag", q.tag}, {"digest", q.digest}} {
		if i.Value != "" {
			items = append(items, i)
		}
	}
	if items == nil {
		return "", nil
	}
	b, err := json.Marshal(items)
	return string(b), err
}

func (s *shell) imageList() *cobra.Command {
	return s.selected("DescribeImageInstances", "ImageInstanceList", imageColumns, &cobra.Command{
		Use: "list", Short: "List images: one row for each digest in a repository",
		Example: "  portolan image list --registry harbor-prod --tag 1.8\n  portolan image list --output csv > images.csv",
	})
}

func (s *shell) imageRepos() *cobra.Command {
	return s.selected("DescribeImageRepoDetailList", "ImageRepoResponses", repositoryColumns, &cobra.Command{
		Use: "repos", Short: "List repositories with their images counted",
		Example: "  portolan image repos --registry harbor-prod --namespace platform",
	})
}

// selected is a command that lists what a selection selects.
func (s *shell) selected(operation, list string, columns func(full bool) []column, c *cobra.Command) *cobra.Command {
	var (
		t    target
		q    selection
		form output
		full bool
	)
	c.Args = takes(0)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := wholeDigest(q.digest); q.digest != "" && err != nil {
			return err
		}
		server, err := s.client(t)
		if err != nil {
			return err
		}
		registry := ""
		if q.registry != "" {
			r, err := server.find(c.Context(), q.registry)
			if err != nil {
				return err
			}
			registry = number(r.ID)
		}
		criteria, err := q.criteria(registry)
		if err != nil {
			return err
		}
		_, err = s.list(c.Context(), server, operation, list, params{"Criteria": criteria}, listing{form: form.form, columns: columns(full), empty: "Nothing found."})
		return err
	}
	fs := c.Flags()
	fs.StringVar(&q.registry, "registry", "", "only of the registry of this id or name")
	fs.StringVar(&q.repository, "repository", "", "only where the last part of the repository's path contains this")
	fs.StringVar(&q.namespace, "namespace", "", "only where the rest of the path contains this")
	fs.StringVar(&q.tag, "tag", "", "only with a tag that contains this")
	fs.StringVar(&q.digest, "digest", "", "only with this digest, which must be whole (see --full)")
	if c.Name() == "list" {
		addFull(c, &full)
	}
	form.add(c, asJSON, asCSV)
	t.add(fs)
	// An error would say that the flag is missing: it is added above.
	_ = c.RegisterFlagCompletionFunc("registry", s.completeRegistry(&t))
	return c
}

func (s *shell) imageFind() *cobra.Command {
	var (
		t    target
		form output
		full bool
	)
	c := &cobra.Command{
		Use: "find IMAGE", Short: "Tell every place where a digest, tag or reference is",
		Example: "  portolan image find sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n  portolan image find platform/web:2.0.3",
		Args:    takes(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := findable(args[0]); err != nil {
				return err
			}
			server, err := s.client(t)
			if err != nil {
				return err
			}
			n, err := s.list(c.Context(), server, "FindImage", "List", params{"Image": args[0]}, listing{form: form.form, columns: imageColumns(full)})
			if err == nil && n == 0 {
				return &exitError{ExitFailed, notFoundError(args[0])}
			}
			return err
		},
	}
	addFull(c, &full)
	form.add(c, asJSON, asCSV)
	t.add(c.Flags())
	return c
}

func addFull(c *cobra.Command, full *bool) {
	c.Flags().BoolVar(full, "full", false, "show whole digests in the table")
}

// wholeDigest refuses what tables show of a digest: nothing is found by it.
func wholeDigest(text string) error {
	if _, err := portolan.ParseDigest(text); err != nil {
		return usagef("%q is not a digest: give it whole, sha256: and 64 hex digits; --full and --output json show it", text)
	}
	return nil
}

// findable refuses references with a digest that is cut.
func findable(image string) error {
	if _, digest, pinned := strings.Cut(image, "@"); pinned {
		return wholeDigest(digest)
	}
	if strings.HasPrefix(image, "sha256:") {
		return wholeDigest(image)
	}
	return nil
}

type notFoundError string

// Error also helps with what may be a digest as tables cut it. It may be a tag
// as well, so that it cannot be refused before.
func (e notFoundError) Error() string {
	text := "no registry has " + string(e)
	if len(e) >= shownDigits && strings.Trim(string(e), "0123456789abcdef") == "" {
		text += " as a tag; a digest must be whole: image list --full shows it"
	}
	return text
}
