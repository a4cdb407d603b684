package cli

import (
	"encoding/json"

	"github.com/spf13/cobra"
)

func imageColumns() []column {
	return []column{
		{title: "REGISTRY", field: "RegistryId"},
		{title: "NAMESPACE", field: "RepoNamespace", wide: 40},
		{title: "REPOSITORY", field: "RepoName", wide: 40},
		{title: "TAGS", field: "Tags", wide: 36},
		{title: "DIGEST", field: "Digest", show: field("Digest", shortDigest)},
		{title: "SIZE", field: "ImageSize", show: field("ImageSize", size)},
		{title: "PLATFORMS", field: "Platforms", wide: 36},
		{title: "UPDATED", field: "ImageUpdate", show: field("ImageUpdate", day)},
	}
}

func repositoryColumns() []column {
	return []column{
		{title: "REGISTRY", field: "RegistryId"},
		{title: "NAMESPACE", field: "RepoNamespace", wide: 60},
		{title: "REPOSITORY", field: "RepoName", wide: 60},
		{title: "IMAGES", field: "ImageCount"},
		{title: "ID", field: "RepoId"},
	}
}

func (s *shell) image() *cobra.Command {
	return group(&cobra.Command{Use: "image", Short: "List and find images"}, s.imageList(), s.imageRepos(), s.imageFind())
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
	return s.selected("DescribeImageInstances", "ImageInstanceList", imageColumns(), &cobra.Command{
		Use: "list", Short: "List images: one row for each digest in a repository",
		Example: "  portolan image list --registry harbor-prod --tag 1.8\n  portolan image list --output csv > images.csv",
	})
}

func (s *shell) imageRepos() *cobra.Command {
	return s.selected("DescribeImageRepoDetailList", "ImageRepoResponses", repositoryColumns(), &cobra.Command{
		Use: "repos", Short: "List repositories with their images counted",
		Example: "  portolan image repos --registry harbor-prod --namespace platform",
	})
}

// selected is a command that lists what a selection selects.
func (s *shell) selected(operation, list string, columns []column, c *cobra.Command) *cobra.Command {
	var (
		t    target
		q    selection
		form string
	)
	c.Args = takes(0)
	c.RunE = func(c *cobra.Command, _ []string) error {
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
		_, err = s.list(c.Context(), server, operation, list, params{"Criteria": criteria}, listing{form: form, columns: columns, empty: "Nothing found."})
		return err
	}
	fs := c.Flags()
	fs.StringVar(&q.registry, "registry", "", "only of the registry of this id or name")
	fs.StringVar(&q.repository, "repository", "", "only where the last part of the repository's path contains this")
	fs.StringVar(&q.namespace, "namespace", "", "only where the rest of the path contains this")
	fs.StringVar(&q.tag, "tag", "", "only with a tag that contains this")
	fs.StringVar(&q.digest, "digest", "", "only with this digest")
	addOutput(fs, &form)
	t.add(fs)
	return c
}

func (s *shell) imageFind() *cobra.Command {
	var (
		t    target
		form string
	)
	c := &cobra.Command{
		Use: "find IMAGE", Short: "Tell every place where a digest, tag or reference is",
		Example: "  portolan image find sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n  portolan image find platform/web:2.0.3",
		Args:    takes(1),
		RunE: func(c *cobra.Command, args []string) error {
			server, err := s.client(t)
			if err != nil {
				return err
			}
			n, err := s.list(c.Context(), server, "FindImage", "List", params{"Image": args[0]}, listing{form: form, columns: imageColumns()})
			if err == nil && n == 0 {
				return &exitError{ExitFailed, notFoundError(args[0])}
			}
			return err
		},
	}
	addOutput(c.Flags(), &form)
	t.add(c.Flags())
	return c
}

type notFoundError string

func (e notFoundError) Error() string { return "no registry has " + string(e) }
