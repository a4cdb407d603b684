package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portolan"
)

// tokenFile says where a new token goes: it is told once.
type tokenFile string

func (f *tokenFile) add(flags *pflag.FlagSet, what string) {
	flags.StringVar((*string)(f), "save-token", "", what)
}

// unused refuses a file that exists: builds may use what is in it.
func (f tokenFile) unused() error {
	if f == "" {
		return nil
	}
	if _, err := os.Lstat(string(f)); !errors.Is(err, fs.ErrNotExist) {
		return usagef("--save-token: %s exists, and may have a token that is in use: choose another name", f)
	}
	return nil
}

// save keeps the token of a registry where others cannot read it.
func (f tokenFile) save(id int64, token string) error {
	if err := writePrivate(string(f), []byte(token+"\n"), false); err != nil {
		return fmt.Errorf("the token could not be saved and is lost, portolan registry token %d --refresh makes another one: %w", id, err)
	}
	return nil
}

// showToken tells the token of a registry, once.
func (s *shell) showToken(f tokenFile, id int64, token string) error {
	if f == "" {
		s.print("Token %s\n", token)
		s.tell("Keep it where builds find it: it is not shown again. portolan registry token %d --refresh makes another one.", id)
		return nil
	}
	if err := f.save(id, token); err != nil {
		return err
	}
	s.print("Saved its token in %s.\n", f)
	return nil
}

// reportsOnly refuses settings of how a registry is read, for one that is not.
func (x *settings) reportsOnly(p password, tokens authTokenFiles) error {
	if x.Port == 0 && !x.HTTP && x.User == "" && x.Namespaces == nil && x.CAFile == "" && x.CertificateSHA256 == "" && x.Address == "" && x.VPC == "" &&
		x.Excludes == nil && x.PerMinute == 0 && x.Window == "" && tokens == nil && p == (password{}) {
		return nil
	}
	return usagef("a CI/CD registry is not read, its builds report: give --name, --host, --region, --keep-days, --scans-per-hour, --white-list and --black-list only")
}

// addCI adds a registry of a build system.
func (s *shell) addCI(ctx context.Context, f *addFlags) error {
	if err := f.reportsOnly(f.password, f.tokens); err != nil {
		return err
	}
	if f.quiet && f.token == "" {
		return usagef("--quiet prints only the id, and the token is told once: give --save-token FILE too")
	}
	if err := errors.Join(f.zero(), f.token.unused()); err != nil {
		return err
	}
	server, err := s.client(f.target)
	if err != nil {
		return err
	}
	var answer struct {
		Data struct {
			ID    int64 `json:"Id"`
			Token string
		}
	}
	err = server.call(ctx, "CreateJenkinsImageRegistry", params{
		"RegistryName": f.Name, "DomainName": f.Host, "RegionId": f.Region, "TransPerHour": number(f.TransPerHour), "PersistenceDay": number(f.PersistenceDay),
		"WhiteList": f.WhiteList, "BlackList": f.BlackList,
	}, &answer)
	if err != nil {
		return err
	}
	if f.quiet {
		s.print("%d\n", answer.Data.ID)
		return f.token.save(answer.Data.ID, answer.Data.Token)
	}
	s.print("Added registry %d.\n", answer.Data.ID)
	return s.showToken(f.token, answer.Data.ID, answer.Data.Token)
}

func (s *shell) registryToken() *cobra.Command {
	var refresh bool
	var grace time.Duration
	var file tokenFile
	c := s.one(&cobra.Command{
		Use: "token", Short: "Make a new token for a CI/CD registry",
		Long: `Makes a new token for a registry of type CI/CD and tells it, once. The old one
ends at once, or after --grace, within which builds are given the new one.`,
		Example: `  portolan registry token jenkins --refresh --grace 24h --save-token jenkins.token`,
	}, func(c *cobra.Command, server *client, r *row) error {
		const most = 7 * 24 * time.Hour
		switch {
		case r.Type != string(portolan.CICD):
			return usagef("registry %d is of type %s, which has no token: only registries of type CI/CD do", r.ID, r.Type)
		case !refresh:
			return usagef("a token is told once, when it is made; --refresh makes a new one, and the old one ends")
		case grace < 0 || grace > most || grace%time.Second != 0:
			return usagef("--grace must be whole seconds, up to 168h")
		}
		if err := file.unused(); err != nil {
			return err
		}
		var answer struct{ Data string }
		err := server.call(c.Context(), "RefreshRegistryToken", params{"RegistryId": number(r.ID), "GraceSeconds": strconv.Itoa(int(grace.Seconds()))}, &answer)
		if err != nil {
			return err
		}
		return s.showToken(file, r.ID, answer.Data)
	})
	c.Flags().BoolVar(&refresh, "refresh", false, "make a new token")
	c.Flags().DurationVar(&grace, "grace", 0, "for how long the old token stays valid, up to 168h")
	file.add(c.Flags(), "write the token to this file (mode 0600) instead of showing it")
	return c
}
