package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"portolan/internal/app"
	"portolan/internal/iam"
	"portolan/internal/store"
)

func (s *shell) admin() *cobra.Command {
	return group(&cobra.Command{
		Use: "admin", Short: "Accounts, users, keys and policies of a store",
		Long: `Looks after accounts, users, access keys and policies. These commands work on
the store itself, as its owner: --data (and --database, --master-key-file) as
for serve. The server may be running; changes act within two seconds.`,
	}, s.adminAccount(), s.adminUser(), s.adminKey(), s.adminPolicy())
}

// adminFlags say which store and which account.
type adminFlags struct {
	serveFlags
	account int64
	form    output
}

// administrator is an open store with the account to work on.
type administrator struct {
	*app.Store
	shell   *shell
	account int64
	form    string
}

// administer is a command on a store. ofAccount commands work on one account.
func (s *shell) administer(c *cobra.Command, ofAccount bool, run func(ctx context.Context, a *administrator, args []string) error) *cobra.Command {
	var f adminFlags
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if err := s.fromEnvironment(c.Flags(), storeFlags()...); err != nil {
			return err
		}
		f.logFormat, f.logLevel = "text", "info"
		if err := s.completeConfig(&f.serveFlags); err != nil {
			return err
		}
		f.Log = slog.New(f.handler(s.err))
		opened, err := app.OpenStore(c.Context(), f.Config)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, opened.DB.Close()) }()
		a := &administrator{Store: opened, shell: s, account: f.account, form: f.form.form}
		if ofAccount {
			if err := a.chooseAccount(c.Context()); err != nil {
				return err
			}
		}
		return run(c.Context(), a, args)
	}
	f.addStore(c.Flags())
	if ofAccount {
		c.Flags().Int64Var(&f.account, "account", 0, "id of the account (default the only one)")
	}
	if c.Name() == "list" {
		f.form.add(c, asJSON, asCSV)
	}
	return c
}

// chooseAccount takes the only account if none is named.
func (a *administrator) chooseAccount(ctx context.Context) error {
	list, err := a.DB.Accounts(ctx)
	if err != nil {
		return err
	}
	if a.account == 0 && len(list) == 1 {
		a.account = list[0].ID
	}
	for _, x := range list {
		if x.ID == a.account {
			return nil
		}
	}
	if a.account == 0 {
		return usagef("the store has %d accounts: name one with --account (portolan admin account list shows them)", len(list))
	}
	return usagef("there is no account %d; portolan admin account list shows them", a.account)
}

// rows prints rows that are made here.
func (a *administrator) rows(columns []column, rows iter.Seq[any]) error {
	l := listing{shell: a.shell, form: a.form, columns: columns, empty: "None."}
	_, err := l.print(encoded(rows))
	return err
}

func encoded(rows iter.Seq[any]) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		for row := range rows {
			b, err := json.Marshal(row)
			if !yield(b, err) {
				return
			}
		}
	}
}

// each turns a list into rows.
func each[T any](list []T, row func(T) any) iter.Seq[any] {
	return func(yield func(any) bool) {
		for _, x := range list {
			if !yield(row(x)) {
				return
			}
		}
	}
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// unused refuses a file that exists: it may have the only copy of a secret.
func unused(path string) error {
	if path == "" {
		return nil
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return usagef("--save: %s exists, and may have the only copy of a key: choose another name", path)
	}
	return nil
}

// secret shows new credentials: in a file that only the owner can read, else
// on standard output. They are never shown again.
func (s *shell) secret(path string, c iam.Credentials) error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return errors.New("encode the credentials") // the cause could quote them
	}
	b = append(b, '\n')
	if path == "" {
		_, err = s.out.Write(b)
		return err
	}
	if err := writePrivate(path, b, false); err != nil {
		return err
	}
	s.print("Saved access key %s in %s.\n", c.AccessKeyID, path)
	return nil
}

func (s *shell) adminAccount() *cobra.Command {
	file := ""
	add := s.administer(&cobra.Command{
		Use: "add NAME", Short: "Add an account with a root access key", Args: takes(1),
		Example: "  portolan admin account add team-b --data /var/lib/portolan --save team-b.json",
	}, false, func(ctx context.Context, a *administrator, args []string) error {
		if err := unused(file); err != nil {
			return err
		}
		saved := false
		return a.IAM.AddAccount(ctx, args[0], func(c iam.Credentials) error {
			if saved { // by an attempt whose transaction was tried again
				return nil
			}
			err := s.secret(file, c)
			saved = err == nil
			return err
		})
	})
	add.Flags().StringVar(&file, "save", "", "write the key to this file (mode 0600) instead of showing it")
	list := s.administer(&cobra.Command{Use: "list", Short: "List accounts", Args: takes(0)}, false,
		func(ctx context.Context, a *administrator, _ []string) error {
			accounts, err := a.DB.Accounts(ctx)
			if err != nil {
				return err
			}
			return a.rows([]column{{title: "ID", field: "Id"}, {title: "NAME", field: "Name"}, {title: "SUSPENDED", field: "Suspended"}, {title: "CREATED", field: "Created"}},
				each(accounts, func(x store.Account) any {
					return map[string]any{"Id": x.ID, "Name": x.Name, "Suspended": x.Suspended, "Created": instant(x.Created)}
				}))
		})
	return group(&cobra.Command{Use: "account", Short: "Accounts"}, list, add,
		s.suspension("suspend", "Refuse every call of an account", true), s.suspension("resume", "Take calls of an account again", false))
}

func (s *shell) suspension(name, short string, suspended bool) *cobra.Command {
	return s.administer(&cobra.Command{Use: name + " ID", Short: short, Args: takes(1)}, false,
		func(ctx context.Context, a *administrator, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return usagef("an account is named by its id, a number: %q is none", args[0])
			}
			if err := a.IAM.SuspendAccount(ctx, id, suspended); err != nil {
				return err
			}
			s.print("Account %d: %s.\n", id, map[bool]string{true: "suspended", false: "resumed"}[suspended])
			return nil
		})
}
