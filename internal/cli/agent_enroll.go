package cli

import (
	"cmp"
	"context"
	"errors"

	"github.com/spf13/cobra"
)

// enrolFlags are the flags of agent enroll.
type enrolFlags struct {
	target
	vpc, name, file string
	hours           int
}

func (s *shell) agentEnroll() *cobra.Command {
	var f enrolFlags
	c := &cobra.Command{
		Use: "enroll --vpc ID", Short: "Make the token with which an agent enrols",
		Long: `Enrols an agent for a VPC, and shows the token that it is started with the
first time. The token counts once, and is shown once.`,
		Example: "  portolan agent enroll --vpc vpc-0123456789 --name harbor-lab --save token",
		Args:    takes(0),
		RunE: func(c *cobra.Command, _ []string) error {
			if f.vpc == "" {
				return usagef("say which VPC the agent is to serve, as in --vpc vpc-0123456789: as registries name it")
			}
			if c.Flags().Changed("token-hours") && f.hours < 1 {
				return usagef("--token-hours must be at least 1")
			}
			if err := unused(f.file); err != nil {
				return err
			}
			return s.enroll(c.Context(), &f)
		},
	}
	fs := c.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.vpc, "vpc", "", "VPC that the agent serves")
	fs.StringVar(&f.name, "name", "", "name to show (default the VPC)")
	fs.StringVar(&f.file, "save", "", "write the token to this file (mode 0600) instead of showing it")
	fs.IntVar(&f.hours, "token-hours", 0, "hours for which the token counts (default 24, at most 720)")
	f.add(fs)
	return c
}

func (s *shell) enroll(ctx context.Context, f *enrolFlags) error {
	server, err := s.client(f.target)
	if err != nil {
		return err
	}
	s.warnPlain(server)
	var answer struct {
		Data struct {
			AgentID         string `json:"AgentId"`
			Token           string
			TokenExpireTime string
		}
	}
	p := params{"VpcId": f.vpc, "AgentName": f.name, "TokenHours": number(f.hours)}
	if err := server.call(ctx, "EnrollAgent", p, &answer); err != nil {
		return err
	}
	d := answer.Data
	if f.file == "" {
		s.print("%s\n", d.Token)
	} else if err := writePrivate(f.file, []byte(d.Token+"\n"), false); err != nil {
		// Nobody has seen the token: the agent is of no use.
		return errors.Join(err, server.call(ctx, "RevokeAgent", params{"AgentId": d.AgentID}, &struct{}{}))
	}
	file := cmp.Or(f.file, "FILE")
	s.tell("Enrolled agent %s for VPC %s. Its token counts once, until %s, and is not shown again.\n"+
		"Start the agent in the VPC: portolan agent --server %s --vpc %s --token-file %s --allow-dial NETWORK", d.AgentID, f.vpc, d.TokenExpireTime, server.address(), f.vpc, file)
	s.warnLoopback(server, "the agent")
	return nil
}
