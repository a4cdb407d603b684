package cli

import (
	"context"
	"net/netip"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"portolan"
)

// noSecret stands in addresses for a secret that nobody can tell any more.
const noSecret = "SECRET"

func (s *shell) registryWebhook() *cobra.Command {
	var fresh bool
	c := s.one(&cobra.Command{
		Use: "webhook", Short: "Show how a registry tells Portolan of changes",
		Long: `Shows what to enter in the registry, so that it tells Portolan of every push and
deletion and the change is seen within seconds. The address has a secret, which
is shown when it is made and never again; --new-secret makes one, and the one
before it is refused from then on.`,
		Example: `  portolan registry webhook harbor-prod --new-secret
  portolan registry webhook harbor-prod`,
	}, func(c *cobra.Command, server *client, r *row) error {
		return s.showWebhook(c.Context(), server, r, fresh)
	})
	c.Flags().BoolVar(&fresh, "new-secret", false, "make a new secret; the address of before no longer works")
	return c
}

func (s *shell) showWebhook(ctx context.Context, server *client, r *row, fresh bool) error {
	if r.Type == string(portolan.CICD) {
		return usagef("registry %d is of type CI/CD: builds report to it with its token, it has no webhook", r.ID)
	}
	path := "/hooks/" + number(r.ID) + "/" + noSecret
	if fresh {
		var answer struct{ Data struct{ Path string } }
		if err := server.call(ctx, "RefreshRegistryWebhook", params{"RegistryId": number(r.ID)}, &answer); err != nil {
			return err
		}
		path = answer.Data.Path
	}
	url := server.endpoint.JoinPath(path).String()
	s.warnUnreachable(server)
	if err := webhookSettings(portolan.RegistryType(r.Type)).Execute(s.out, struct{ URL string }{url}); err != nil {
		return err
	}
	if !fresh {
		s.tell("\nThe secret is shown only when it is made: put it in the place of %s, or make a new one with --new-secret.", noSecret)
	}
	return nil
}

// warnUnreachable warns of an address that a registry cannot or should not use.
func (s *shell) warnUnreachable(c *client) {
	if !s.warnLoopback(c, "the registry") && c.endpoint.Scheme == "http" {
		s.tell("warning: over plain HTTP others on the way can read the secret; use https")
	}
}

// warnLoopback warns of an address by which another machine does not reach the
// server, and reports whether it did.
func (s *shell) warnLoopback(c *client, who string) bool {
	host := c.endpoint.Hostname()
	addr, err := netip.ParseAddr(host)
	local := host == "localhost" || err == nil && addr.IsLoopback()
	if local {
		s.tell("warning: %s is an address of this machine only; use the one by which %s reaches the server (--endpoint)", host, who)
	}
	return local
}

// webhookSettings is what to enter in the products that a registry of a type
// may be.
func webhookSettings(t portolan.RegistryType) *template.Template {
	text := map[portolan.RegistryType]string{
		portolan.Harbor: settingsHarbor, portolan.Quay: settingsQuay, portolan.ACR: settingsACR,
	}[t]
	if text == "" {
		text = settingsDistribution + "\n" + settingsZot
	}
	return template.Must(template.New("webhook").Parse("URL  {{.URL}}\n\n" + strings.TrimLeft(text, "\n")))
}

const (
	settingsHarbor = `
Harbor: for each project, Webhooks > New Webhook
  Notify Type     http
  Payload Format  Default (CloudEvents is understood too)
  Event Type      Artifact pushed, Artifact deleted, and no others
  Endpoint URL    {{.URL}}
  Auth Header     empty
or, for each project, POST /api/v2.0/projects/PROJECT/webhook/policies
  {"name": "portolan", "enabled": true, "event_types": ["PUSH_ARTIFACT", "DELETE_ARTIFACT"],
   "targets": [{"type": "http", "address": "{{.URL}}", "payload_format": "Default"}]}
Harbor tells of no deleted tags and no tags made by its own pages: these are seen
by the next scheduled reading.
`
	settingsQuay = `
Quay: for each repository, Settings > Events and Notifications > Create Notification
  When this event occurs        Push to Repository (repo_push)
  Then issue a notification to  Webhook POST
  Webhook URL                   {{.URL}}
  POST JSON body template       empty
or, for each repository, POST /api/v1/repository/NAMESPACE/NAME/notification/
  {"event": "repo_push", "method": "webhook", "config": {"url": "{{.URL}}"}, "eventConfig": {}, "title": "portolan"}
Quay tells of no deletions: these are seen by the next scheduled reading. It
switches a notification off after three failures; reset it there.
`
	settingsACR = `
ACR: for each repository, Trigger > Create
  Name     portolan
  URL      {{.URL}}
  Trigger  All
ACR sends to https on port 443 with a certificate of a public authority, or to
http. It tells of no deletions: these are seen by the next scheduled reading.
`
	settingsDistribution = `
distribution (registry:2, registry:3): in its configuration file
  notifications:
    endpoints:
      - name: portolan
        url: {{.URL}}
        timeout: 5s
        threshold: 5
        backoff: 10s
        ignore:
          mediatypes:
            - application/octet-stream
          actions:
            - pull
`
	settingsZot = `zot: in its configuration file
  "extensions": {
    "events": {
      "enable": true,
      "sinks": [{"type": "http", "address": "{{.URL}}", "timeout": "5s"}]
    }
  }
`
)
