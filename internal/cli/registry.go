package cli

import "github.com/spf13/cobra"

func (s *shell) registry() *cobra.Command {
	return group(&cobra.Command{
		Use: "registry", Short: "Add, read and look after registries",
		Long: "Adds, reads and looks after registries. A registry is named by its id or by its name.",
	},
		s.registryAdd(), s.registryImport(), s.registryList(), s.registryShow(), s.registryTest(), s.registryModify(),
		s.registryRemove(), s.registryRestore(), s.registrySync(), s.registryLedger(), s.registryExplain(),
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
	t.add(c.Flags())
	return c
}
