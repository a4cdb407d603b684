package cli

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (s *shell) registry() *cobra.Command {
	return group(&cobra.Command{
		Use: "registry", Short: "Add, read and look after registries",
		Long: "Adds, reads and looks after registries. A registry is named by its id or by its name.",
	},
		s.registryAdd(), s.registryImport(), s.registryList(), s.registryShow(), s.registryTest(), s.registryModify(),
		s.registryRemove(), s.registryRestore(), s.registrySync(), s.registryPause(), s.registryResume(), s.registryLedger(), s.registryExplain(), s.registryToken(), s.registryWebhook(), s.registryRetention(),
	)
}

// one is a command for one registry.
func (s *shell) one(c *cobra.Command, run func(c *cobra.Command, server *client, r *row) error) *cobra.Command {
	var t target
	c.Use += " REGISTRY"
	c.Args = takes(1)
	c.RunE = func(c *cobra.Command, args []string) error {
		server, err := s.client(t)
		if err != nil {
			return err
		}
		r, err := server.find(c.Context(), args[0])
		if err != nil {
			return err
		}
		return run(c, server, r)
	}
	c.ValidArgsFunction = s.completeRegistry(&t)
	t.add(c.Flags())
	return c
}

// completeRegistry completes the name of a registry, which it asks the server
// for. A shell that waits shows no errors.
func (s *shell) completeRegistry(t *target) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		const limit = 2 * time.Second
		const none = cobra.ShellCompDirectiveNoFileComp
		server, err := s.client(*t)
		if err != nil || len(args) > 0 {
			return nil, none
		}
		ctx, cancel := context.WithTimeout(c.Context(), limit)
		defer cancel()
		rows, _, err := server.page(ctx, "PageImageRegistry", "List", params{"RegistryNameLike": typed, "PageSize": strconv.Itoa(pageSize)})
		if err != nil {
			return nil, none
		}
		var names []string
		for _, raw := range rows {
			var r row
			if json.Unmarshal(raw, &r) == nil && strings.HasPrefix(r.Name, typed) {
				names = append(names, cobra.CompletionWithDesc(r.Name, r.Type+" "+r.DomainName))
			}
		}
		return names, none
	}
}
