package cli

import (
	"context"

	"github.com/spf13/cobra"
)

// syncFlags are the flags of registry sync.
type syncFlags struct {
	target
	full, confirm, noWait, all bool
}

func (s *shell) registrySync() *cobra.Command {
	var f syncFlags
	c := &cobra.Command{
		Use: "sync REGISTRY", Short: "Read a registry now, and wait for the end",
		Long: `Reads a registry now and waits until that has ended. The exit code is 4 if the
reading fails or is partial. --all has every registry read within 10 minutes.`,
		Example: `  portolan registry sync harbor-prod
  portolan registry sync harbor-prod --confirm-vanished    many images are gone, and that is right
  portolan registry sync --all`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return takes(1)(c, args)
			}
			return nil
		},
		ValidArgsFunction: s.completeRegistry(&f.target),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case f.all == (len(args) == 1):
				return usagef("name one registry, or give --all")
			case f.all:
				return s.syncAll(c.Context(), f.target)
			}
			return s.syncOne(c.Context(), &f, args[0])
		},
	}
	fs := c.Flags()
	fs.SortFlags = false
	fs.BoolVar(&f.full, "full", false, "read every repository, whatever the source says about changes")
	fs.BoolVar(&f.confirm, "confirm-vanished", false, "believe that images which disappeared are gone")
	fs.BoolVar(&f.noWait, "no-wait", false, "do not wait for the end")
	fs.BoolVar(&f.all, "all", false, "every registry, spread over 10 minutes")
	f.add(fs)
	return c
}

func (s *shell) syncAll(ctx context.Context, t target) error {
	server, err := s.client(t)
	if err != nil {
		return err
	}
	if err := server.call(ctx, "RefreshContainerAssets", params{"AssetType": "IMAGE"}, &struct{}{}); err != nil {
		return err
	}
	s.print("Every registry will be read within 10 minutes.\n")
	return nil
}

func (s *shell) syncOne(ctx context.Context, f *syncFlags, name string) error {
	server, err := s.client(f.target)
	if err != nil {
		return err
	}
	r, err := server.find(ctx, name)
	if err != nil {
		return err
	}
	var answer struct {
		Data struct {
			SyncID string `json:"SyncId"`
		}
	}
	p := params{"RegistryId": number(r.ID), "Full": yes(f.full), "ConfirmVanished": yes(f.confirm)}
	if err := server.call(ctx, "SyncImageRegistry", p, &answer); err != nil {
		return err
	}
	if f.noWait {
		s.print("%s\n", answer.Data.SyncID)
		return nil
	}
	l, err := s.wait(ctx, server, r.ID, answer.Data.SyncID)
	if err != nil {
		return err
	}
	return s.result(l)
}

// yes writes a parameter that is absent when false.
func yes(b bool) string {
	if b {
		return "true"
	}
	return ""
}
