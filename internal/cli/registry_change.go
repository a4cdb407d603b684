package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"portolan"
)

func (s *shell) registryTest() *cobra.Command {
	var (
		timeout int
		form    output
	)
	c := s.one(&cobra.Command{
		Use: "test", Short: "Test a registry step by step",
		Long:    "Tries to read a registry as it is saved, step by step. The exit code is 3 if a step fails.",
		Example: "  portolan registry test harbor-prod",
	}, func(c *cobra.Command, server *client, r *row) error {
		const longest = 60
		if c.Flags().Changed("timeout") && (timeout < 1 || timeout > longest) {
			return usagef("--timeout must be from 1 to %d", longest)
		}
		p := params{"RegistryId": number(r.ID), "TimeoutSeconds": number(timeout)}
		if form.form != asJSON {
			return s.testRegistry(c.Context(), server, p, false)
		}
		raw, t, err := s.tryRegistry(c.Context(), server, p)
		if err != nil {
			return err
		}
		if err := s.answer(raw); err != nil {
			return err
		}
		return t.outcome()
	})
	form.add(c, asJSON)
	c.Flags().IntVar(&timeout, "timeout", 0, "seconds for all steps, 1 to 60 (default 20)")
	return c
}

func (s *shell) registryRemove() *cobra.Command {
	return s.one(&cobra.Command{
		Use: "remove", Short: "Remove a registry; it can be restored for 7 days", Aliases: []string{"rm", "delete"},
		Example: "  portolan registry remove harbor-old",
	}, func(c *cobra.Command, server *client, r *row) error {
		if err := server.call(c.Context(), "DeletePrivateRegistry", params{"RegistryId": number(r.ID)}, &struct{}{}); err != nil {
			return err
		}
		s.print("Removed registry %d (%s). To have it back within %d days: portolan registry restore %d\n", r.ID, r.Name, portolan.UndoDays, r.ID)
		return nil
	})
}

func (s *shell) registryRestore() *cobra.Command {
	var t target
	c := &cobra.Command{
		Use: "restore ID", Short: "Bring back a registry that was removed",
		Example: "  portolan registry restore 12",
		Args:    takes(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return usagef("a removed registry is named by its id, as registry list --deleted shows it: %q is none", args[0])
			}
			server, err := s.client(t)
			if err != nil {
				return err
			}
			if err := server.call(c.Context(), "RestoreImageRegistry", params{"RegistryId": number(id)}, &struct{}{}); err != nil {
				return err
			}
			s.print("Restored registry %d.\n", id)
			return nil
		},
	}
	t.add(c.Flags())
	return c
}

func (s *shell) registryModify() *cobra.Command {
	var (
		x       settings
		secret  password
		tokens  authTokenFiles
		empties []string
	)
	c := s.one(&cobra.Command{
		Use: "modify", Short: "Change a registry",
		Long: `Changes what the flags say and leaves the rest. A change of where the registry is
or of what is trusted needs the password or the auth tokens again: saved ones are
never sent to a new place. An empty text empties a field: --white-list ''.`,
		Example: `  portolan registry modify harbor-prod --name harbor-production
  portolan registry modify harbor-prod --host harbor2.example.com --ask-password
  portolan registry modify harbor-prod --clear RegistryHostIp`,
	}, func(c *cobra.Command, server *client, r *row) (err error) {
		x.given = givenFlags(c.Flags())
		if err := x.zero(); err != nil {
			return err
		}
		if r.Type == string(portolan.CICD) {
			if err := x.reportsOnly(secret, tokens); err != nil {
				return err
			}
		}
		empty, err := x.cleared()
		if err != nil {
			return err
		}
		if x.Password, err = s.readPassword(c.Context(), secret, false, "Password: "); err != nil {
			return err
		}
		if x.AuthTokens, err = s.readAuthTokens(tokens); err != nil {
			return err
		}
		p, err := x.params(".")
		if err != nil {
			return err
		}
		if c.Flags().Changed("http") && !x.HTTP {
			p["ProtocolType"] = strconv.Itoa(portolan.ProtocolHTTPS)
		}
		p.clear(append(empties, empty...))
		if len(p.encode()) == 0 {
			return usagef("say what to change, as in --name harbor-prod")
		}
		if x.Password != "" || x.AuthTokens != nil {
			s.warnPlain(server)
		}
		return s.modifyRegistry(c.Context(), server, r.ID, p)
	})
	x.add(c.Flags())
	secret.add(c.Flags())
	tokens.add(c.Flags())
	c.Flags().StringSliceVar(&empties, "clear", nil, "field to empty: RegistryHostIp, UserName, Password, VpcId, WhiteList, BlackList or ExtraParam (repeatable)")
	return c
}

// clear has a change empty fields.
func (p params) clear(names []string) {
	for i, name := range names {
		p[fmt.Sprintf("ClearFields.%d", i+1)] = name
	}
}

func (s *shell) modifyRegistry(ctx context.Context, server *client, id int64, p params) error {
	p["Id"] = number(id)
	if err := server.call(ctx, "ModifyImageRegistry", p, &struct{}{}); err != nil {
		return err
	}
	s.print("Changed registry %d.\n", id)
	return nil
}
