package cli

import "github.com/spf13/cobra"

func (s *shell) agentList() *cobra.Command {
	var (
		t    target
		form output
		vpc  string
	)
	c := &cobra.Command{
		Use: "list", Short: "List agents", Args: takes(0),
		RunE: func(c *cobra.Command, _ []string) error {
			server, err := s.client(t)
			if err != nil {
				return err
			}
			l := listing{form: form.form, empty: "No agents. Enrol one: portolan agent enroll --help", columns: []column{
				{title: "ID", field: "AgentId"},
				{title: "NAME", field: "AgentName", wide: 32},
				{title: "VPC", field: "VpcId", wide: 32},
				{title: "STATUS", field: "Status"},
				{title: "SERVERS", field: "Servers"},
				{title: "STREAMS", field: "Streams"},
				{title: "LAST SEEN", field: "LastSeenTime"},
				{title: "VERSION", field: "Version"},
				{title: "ADDRESS", field: "Address"},
				{title: "CREATED", field: "CreateTime", detail: true},
				{title: "TOKEN UNTIL", field: "TokenExpireTime", detail: true},
			}}
			_, err = s.list(c.Context(), server, "DescribeAgents", "List", params{"VpcId": vpc}, l)
			return err
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&vpc, "vpc", "", "only those of this VPC")
	form.add(c, asJSON, asCSV)
	t.add(c.Flags())
	return c
}

func (s *shell) agentRevoke() *cobra.Command {
	var t target
	c := &cobra.Command{
		Use: "revoke ID", Short: "Cut an agent off for good", Args: takes(1),
		Long: `Revokes an agent: what it carries is cut at once, on every server within two
seconds, and it cannot connect again. A token that was not used counts no more.`,
		RunE: func(c *cobra.Command, args []string) error {
			server, err := s.client(t)
			if err != nil {
				return err
			}
			if err := server.call(c.Context(), "RevokeAgent", params{"AgentId": args[0]}, &struct{}{}); err != nil {
				return err
			}
			s.print("Revoked agent %s.\n", args[0])
			return nil
		},
	}
	t.add(c.Flags())
	return c
}
