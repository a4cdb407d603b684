package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
)

func (s *shell) configure() *cobra.Command {
	var (
		name, credentials string
		p                 profile
	)
	c := &cobra.Command{
		Use: "configure", Short: "Save a server's endpoint and access key as a profile",
		Long: `Asks for endpoint and access key, and saves them where only you can read them
(~/.config/portolan/config.yaml, mode 0600). With --credentials-file nothing is
asked.`,
		Example: `  portolan configure
  portolan configure --profile prod --endpoint https://portolan.example.com --credentials-file root-credentials.json`,
		Args: takes(0),
		RunE: func(c *cobra.Command, _ []string) error {
			if credentials != "" {
				key, err := keyFromFile(credentials)
				if err != nil {
					return err
				}
				p.AccessKeyID, p.AccessKeySecret = key.ID, key.Secret
			} else if err := s.ask(c.Context(), &p); err != nil {
				return err
			}
			if _, err := s.endpoint(target{endpoint: p.Endpoint}, profile{}); err != nil {
				return err
			}
			return s.saveProfile(name, p)
		},
	}
	fs := c.Flags()
	fs.StringVar(&name, "profile", defaultProfile, "name of the profile")
	fs.StringVar(&p.Endpoint, "endpoint", "", "URL of the server")
	fs.StringVar(&p.CAFile, "ca-file", "", "PEM file of the authority that signed the server's certificate")
	fs.StringVar(&credentials, "credentials-file", "", "take the key from this file, such as root-credentials.json")
	return c
}

// ask asks for what is missing.
func (s *shell) ask(ctx context.Context, p *profile) error {
	lines := bufio.NewScanner(s.in)
	if p.Endpoint == "" {
		p.Endpoint = s.question(lines, "Endpoint ["+defaultEndpoint+"]: ")
		if p.Endpoint == "" {
			p.Endpoint = defaultEndpoint
		}
	}
	p.AccessKeyID = s.question(lines, "Access key id: ")
	if !terminal(s.in) {
		p.AccessKeySecret = s.question(lines, "Access key secret: ")
	} else {
		var err error
		if p.AccessKeySecret, err = s.readPassword(ctx, password{ask: true}, true, "Access key secret: "); err != nil {
			return err
		}
	}
	if p.AccessKeyID == "" || p.AccessKeySecret == "" {
		return usagef("a profile needs the id and the secret of an access key")
	}
	return nil
}

func (s *shell) question(lines *bufio.Scanner, text string) string {
	_, _ = fmt.Fprint(s.err, text)
	if !lines.Scan() {
		return ""
	}
	return strings.TrimSpace(lines.Text())
}

// saveProfile writes the profile among the others, whole or not at all.
func (s *shell) saveProfile(name string, p profile) error {
	all, err := s.loadProfiles()
	if err != nil {
		return err
	}
	all.Profiles[name] = p
	path, err := s.profilePath()
	if err != nil {
		return err
	}
	b, err := yaml.Marshal(all)
	if err != nil {
		return errors.New("encode the profiles") // the cause could quote a secret
	}
	if err := writePrivate(path, b, true); err != nil {
		return fmt.Errorf("save the profile: %w", err)
	}
	s.print("Saved profile %s in %s.\n", name, path)
	return nil
}

// writePrivate writes a file that only its owner can read, whole or not at all.
// One that exists stays unless replace is set.
func writePrivate(path string, b []byte, replace bool) (err error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(folder, ".portolan-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	_, err = temp.Write(b)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if replace {
		return os.Rename(temp.Name(), path)
	}
	if err := os.Link(temp.Name(), path); err != nil {
		return err
	}
	return os.Remove(temp.Name())
}
