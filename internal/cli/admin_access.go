package cli

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"portolan/internal/policy"
	"portolan/internal/store"
)

// done is a command of an account that tells what it did.
func (s *shell) done(c *cobra.Command, run func(ctx context.Context, a *administrator, args []string) (string, error)) *cobra.Command {
	return s.administer(c, true, func(ctx context.Context, a *administrator, args []string) error {
		text, err := run(ctx, a, args)
		if err == nil {
			s.print("%s\n", text)
		}
		return err
	})
}

func (s *shell) adminUser() *cobra.Command {
	list := s.administer(&cobra.Command{Use: "list", Short: "List users with their policies", Args: takes(0)}, true,
		func(ctx context.Context, a *administrator, _ []string) error {
			users, err := a.DB.Users(ctx, a.account)
			if err != nil {
				return err
			}
			policies := map[int64]string{}
			for _, u := range users {
				attached, err := a.DB.Attachments(ctx, a.account, u.ID)
				if err != nil {
					return err
				}
				names := make([]string, len(attached))
				for i, x := range attached {
					names[i] = x.Name
				}
				policies[u.ID] = strings.Join(names, ",")
			}
			return a.rows([]column{{title: "NAME", field: "Name"}, {title: "ID", field: "Id"}, {title: "POLICIES", field: "Policies"}, {title: "CREATED", field: "Created"}},
				each(users, func(u store.User) any {
					return map[string]any{"Name": u.Name, "Id": u.ID, "Policies": policies[u.ID], "Created": instant(u.Created)}
				}))
		})
	add := s.done(&cobra.Command{
		Use: "add NAME", Short: "Add a user; it may do nothing until a policy is attached", Args: takes(1),
		Example: "  portolan admin user add auditor --data /var/lib/portolan\n  portolan admin policy attach auditor AliyunYundunSASReadOnlyAccess --data /var/lib/portolan",
	}, func(ctx context.Context, a *administrator, args []string) (string, error) {
		_, err := a.IAM.AddUser(ctx, a.account, args[0])
		return "Added user " + args[0] + ".", err
	})
	del := s.done(&cobra.Command{Use: "delete NAME", Short: "Delete a user with its keys", Args: takes(1)},
		func(ctx context.Context, a *administrator, args []string) (string, error) {
			return "Deleted user " + args[0] + ".", a.IAM.DeleteUser(ctx, a.account, args[0])
		})
	return group(&cobra.Command{Use: "user", Short: "Users of an account"}, list, add, del)
}

func (s *shell) adminKey() *cobra.Command {
	var user, file string
	list := s.administer(&cobra.Command{Use: "list", Short: "List access keys", Args: takes(0)}, true,
		func(ctx context.Context, a *administrator, _ []string) error {
			keys, err := a.IAM.Keys(ctx, a.account, user)
			if err != nil {
				return err
			}
			return a.rows([]column{{title: "ID", field: "AccessKeyId"}, {title: "ACTIVE", field: "Active"}, {title: "CREATED", field: "Created"}},
				each(keys, func(k store.AccessKey) any {
					return map[string]any{"AccessKeyId": k.ID, "Active": k.Active, "Created": instant(k.Created)}
				}))
		})
	add := s.administer(&cobra.Command{
		Use: "add", Short: "Add an access key; the secret is shown once", Args: takes(0),
		Example: "  portolan admin key add --user auditor --save auditor.json --data /var/lib/portolan",
	}, true, func(ctx context.Context, a *administrator, _ []string) error {
		if err := unused(file); err != nil {
			return err
		}
		c, err := a.IAM.AddKey(ctx, a.account, user)
		if err != nil {
			return err
		}
		if err := s.secret(file, c); err != nil {
			// Nobody has seen the secret: the key is of no use.
			return errors.Join(err, a.IAM.DeleteKey(ctx, a.account, c.AccessKeyID))
		}
		return nil
	})
	for _, c := range []*cobra.Command{list, add} {
		c.Flags().StringVar(&user, "user", "", "user of the key (default the account itself)")
	}
	add.Flags().StringVar(&file, "save", "", "write the key to this file (mode 0600) instead of showing it")
	return group(&cobra.Command{Use: "key", Short: "Access keys"}, list, add,
		s.keyState("enable", "Let an access key sign again", true), s.keyState("disable", "Refuse what an access key signs", false),
		s.done(&cobra.Command{Use: "delete ID", Short: "Delete an access key", Args: takes(1)},
			func(ctx context.Context, a *administrator, args []string) (string, error) {
				return "Deleted access key " + args[0] + ".", a.IAM.DeleteKey(ctx, a.account, args[0])
			}))
}

func (s *shell) keyState(name, short string, active bool) *cobra.Command {
	return s.done(&cobra.Command{Use: name + " ID", Short: short, Args: takes(1)},
		func(ctx context.Context, a *administrator, args []string) (string, error) {
			return "Access key " + args[0] + ": " + name + "d.", a.IAM.SetKeyActive(ctx, a.account, args[0], active)
		})
}

func (s *shell) adminPolicy() *cobra.Command {
	put := s.done(&cobra.Command{
		Use: "put NAME FILE", Short: "Make or replace a custom policy from a JSON file", Args: takes(2),
		Example: "  portolan admin policy put harbor-readers policy.json --data /var/lib/portolan",
	}, func(ctx context.Context, a *administrator, args []string) (string, error) {
		document, err := s.readValue("the policy", args[1])
		if err != nil {
			return "", err
		}
		if !json.Valid([]byte(document)) {
			return "", usagef("%s is not JSON", args[1])
		}
		return "Saved policy " + args[0] + ".", a.IAM.PutPolicy(ctx, store.Policy{AccountID: a.account, Name: args[0], Document: document})
	})
	del := s.done(&cobra.Command{Use: "delete NAME", Short: "Delete a custom policy that is attached to nobody", Args: takes(1)},
		func(ctx context.Context, a *administrator, args []string) (string, error) {
			return "Deleted policy " + args[0] + ".", a.IAM.DeletePolicy(ctx, a.account, args[0])
		})
	attach := s.done(&cobra.Command{
		Use: "attach USER POLICY", Short: "Attach a policy to a user", Args: takes(2),
		Example: "  portolan admin policy attach auditor AliyunYundunSASReadOnlyAccess --data /var/lib/portolan",
	}, func(ctx context.Context, a *administrator, args []string) (string, error) {
		return "Attached " + args[1] + " to " + args[0] + ".", a.IAM.Attach(ctx, a.account, args[0], args[1])
	})
	detach := s.done(&cobra.Command{Use: "detach USER POLICY", Short: "Take a policy from a user", Args: takes(2)},
		func(ctx context.Context, a *administrator, args []string) (string, error) {
			return "Detached " + args[1] + " from " + args[0] + ".", a.IAM.Detach(ctx, a.account, args[0], args[1])
		})
	return group(&cobra.Command{Use: "policy", Short: "What users may do"}, s.policyList(), put, del, attach, detach)
}

func (s *shell) policyList() *cobra.Command {
	type row struct{ Name, Type, Description string }
	return s.administer(&cobra.Command{Use: "list", Short: "List policies", Args: takes(0)}, true,
		func(ctx context.Context, a *administrator, _ []string) error {
			custom, err := a.DB.Policies(ctx, a.account)
			if err != nil {
				return err
			}
			var rows []row
			for _, p := range policy.SystemPolicies() {
				rows = append(rows, row{p.Name, store.PolicySystem, p.Description})
			}
			for _, p := range custom {
				rows = append(rows, row{p.Name, store.PolicyCustom, p.Description})
			}
			return a.rows([]column{{title: "NAME", field: "Name"}, {title: "TYPE", field: "Type"}, {title: "DESCRIPTION", field: "Description", wide: 70}},
				each(rows, func(r row) any { return r }))
		})
}
