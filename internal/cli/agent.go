package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"portolan/internal/netguard"
	"portolan/internal/tunnel"
)

// agentFlags are the flags of a running agent.
type agentFlags struct {
	servers, allowDial          []string
	vpc, tokenFile, stateDir    string
	caFile, logFormat, logLevel string
	plainHTTP                   bool
}

func (s *shell) agent() *cobra.Command {
	var f agentFlags
	c := group(&cobra.Command{
		Use:   "agent --server URL --vpc ID --token-file FILE",
		Short: "Carry a server's connections into a VPC",
		Long: `Runs next to registries that the server cannot reach, inside a VPC or behind
NAT: it opens one connection to the server, and dials for it. Registries of
NetType 2 are read by an agent of their account and VPC, and by nothing else.

At its first start an agent enrols with the token of portolan agent enroll,
which counts once. Its own secret is then kept beside the token file (or in
--state-dir), in a file that only its owner can read.

Addresses are judged where they are dialled. As for a server, loopback,
link-local, private, multicast and metadata addresses are refused: in a VPC,
where registries have private addresses, open their network with --allow-dial.

An agent is connected to each --server that is named. Where several servers
share a database, name all of them: any may read any registry.

Every flag is also an environment variable: --token-file is
PORTOLAN_TOKEN_FILE. Lists are comma-separated there.`,
		Example: `  portolan agent enroll --vpc vpc-0123456789 --save token
  portolan agent --server https://portolan.example.com --vpc vpc-0123456789 --token-file token --allow-dial 10.0.0.0/8
  portolan agent list`,
	}, s.agentEnroll(), s.agentList(), s.agentRevoke())
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := s.fromEnvironment(c.Flags()); err != nil {
			return err
		}
		return s.runAgent(c.Context(), &f)
	}
	f.add(c.Flags())
	return c
}

func (f *agentFlags) add(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringSliceVar(&f.servers, "server", nil, "URL of the server (repeatable)")
	fs.StringVar(&f.vpc, "vpc", "", "VPC that the agent was enrolled for")
	fs.StringVar(&f.tokenFile, "token-file", "", "file with the token of the enrolment, which is not needed again after the first start")
	fs.StringVar(&f.stateDir, "state-dir", "", "folder for the agent's own secret (default that of the token file)")
	fs.StringSliceVar(&f.allowDial, "allow-dial", nil, "private network in which registries may be dialled (repeatable)")
	fs.StringVar(&f.caFile, "ca-file", "", "PEM file of the authority that signed the server's certificate")
	fs.BoolVar(&f.plainHTTP, "plain-http", false, "allow a server on another machine without TLS, where others on the way can read and change everything")
	fs.StringVar(&f.logFormat, "log-format", "text", "text or json")
	fs.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
}

// runAgent keeps a session with each server until the context ends, or one
// of them does not want the agent.
func (s *shell) runAgent(ctx context.Context, f *agentFlags) error {
	servers, err := f.check()
	if err != nil {
		return err
	}
	logs := serveFlags{logFormat: f.logFormat, logLevel: f.logLevel}
	if err := logs.checkLog(); err != nil {
		return err
	}
	config, err := s.agentConfig(f, slog.New(logs.handler(s.err)))
	if err != nil {
		return err
	}
	running, ctx := errgroup.WithContext(ctx)
	for _, server := range servers {
		running.Go(func() error {
			c := *config
			c.Server = server
			err := tunnel.NewAgent(c).Run(ctx)
			if refusal, ok := errors.AsType[*tunnel.RefusalError](err); ok {
				return fmt.Errorf("%s does not take this agent: %s: %w", server.Host, refusal.Code, refusal)
			}
			return err
		})
	}
	return running.Wait()
}

// check reads the URLs, and refuses what an agent must not be started with.
func (f *agentFlags) check() ([]*url.URL, error) {
	switch {
	case len(f.servers) == 0:
		return nil, usagef("say which server the agent is for, as in --server https://portolan.example.com")
	case f.vpc == "":
		return nil, usagef("say which VPC the agent serves, as in --vpc vpc-0123456789: the one that it was enrolled for")
	case f.tokenFile == "":
		return nil, usagef("say where the token is, as in --token-file token; portolan agent enroll makes one")
	}
	var servers []*url.URL
	for _, text := range f.servers {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
			return nil, usagef("--server must be a URL such as https://portolan.example.com")
		}
		if u.Scheme == "http" && !f.plainHTTP && !loopback(u.Hostname()) {
			return nil, usagef("--server %s is on another machine and would be plain HTTP: use https, or --plain-http if nobody else is on the way", text)
		}
		servers = append(servers, u)
	}
	return servers, nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// agentConfig is what the sessions with all servers have in common.
func (s *shell) agentConfig(f *agentFlags, log *slog.Logger) (*tunnel.AgentConfig, error) {
	allow, err := prefixes("allow-dial", f.allowDial)
	if err != nil {
		return nil, err
	}
	guard, err := netguard.New(netguard.Config{Allow: allow, Permit: "If it is meant, start the agent with --allow-dial"})
	if err != nil {
		return nil, err
	}
	client, err := operatorClient(f.caFile)
	if err != nil {
		return nil, err
	}
	// Of the client only its transport: a timeout would end the session.
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		return nil, errors.New("the transport of the command is of another kind")
	}
	own, err := s.agentIdentity(f.tokenFile, f.stateDir)
	if err != nil {
		return nil, err
	}
	return &tunnel.AgentConfig{Transport: transport, VpcID: f.vpc, Secret: own.Secret, Token: own.token, Dial: guard.Dial, Log: log}, nil
}
