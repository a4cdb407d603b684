package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"portolan/internal/store"
)

func webhookColumns() []column {
	return []column{
		{title: "ID", field: "WebhookId"},
		{title: "URL", field: "Url", wide: 48},
		{title: "EVENTS", field: "Events", wide: 48},
		{title: "REGISTRY", field: "RegistryId"},
		{title: "STATUS", field: "Status"},
		{field: "FailingSince", detail: true},
		{title: "LAST", field: "LastTime"},
		{field: "LastEvent", detail: true},
		{title: "OUTCOME", field: "LastOutcome", wide: 60},
		{title: "QUEUED", field: "Queued"},
		{field: "Dropped", detail: true},
		{field: "GmtCreate", detail: true},
	}
}

func (s *shell) webhook() *cobra.Command {
	return group(&cobra.Command{
		Use: "webhook", Short: "Have events sent to a URL",
		Long: `Has events sent to a URL, as signed messages: images that were added, retagged
or are gone, registries whose readings fail or are late, and credentials that end.`,
	}, s.webhookAdd(), s.webhookList(), s.webhookTest(), s.webhookRemove())
}

func (s *shell) webhookAdd() *cobra.Command {
	var (
		t        target
		registry string
		events   []string
	)
	c := &cobra.Command{
		Use: "add URL", Short: "Add a webhook; prints the secret that its messages are signed with",
		Long: `Adds a webhook, and prints the secret that its messages are signed with. A URL of
- is read from standard input: others on the machine can see what is on the
command line, and a URL may hold a secret.`,
		Example: "  portolan webhook add https://chat.example.com/hooks/portolan --event image.added --event reading.failing\n  portolan webhook add - < url",
		Args:    takes(1),
		RunE: func(c *cobra.Command, args []string) error {
			server, err := s.client(t)
			if err != nil {
				return err
			}
			p := params{"Url": args[0]}
			if args[0] == "-" {
				if p["Url"], err = s.readValue("URL", "-"); err != nil {
					return err
				}
			}
			for i, e := range events {
				p[fmt.Sprintf("Events.%d", i+1)] = e
			}
			if registry != "" {
				r, err := server.find(c.Context(), registry)
				if err != nil {
					return err
				}
				p["RegistryId"] = number(r.ID)
			}
			var made struct {
				Data struct {
					WebhookID string `json:"WebhookId"`
					Secret    string
				}
			}
			if err := server.call(c.Context(), "CreateEventWebhook", p, &made); err != nil {
				return err
			}
			s.tell("Added a webhook. Keep the secret: it is not shown again.")
			s.facts("Id", made.Data.WebhookID, "Secret", made.Data.Secret)
			return nil
		},
	}
	fs := c.Flags()
	fs.StringSliceVar(&events, "event", store.Events(), "what to tell of: "+strings.Join(store.Events(), ", ")+" (repeatable)")
	fs.StringVar(&registry, "registry", "", "only of the registry of this id or name")
	t.add(fs)
	complete(c, "event", store.Events())
	// An error would say that the flag is missing: it is added above.
	_ = c.RegisterFlagCompletionFunc("registry", s.completeRegistry(&t))
	return c
}

func (s *shell) webhookList() *cobra.Command {
	var (
		t    target
		form output
	)
	c := &cobra.Command{
		Use: "list", Short: "List webhooks, and how their messages arrive", Args: takes(0),
		RunE: func(c *cobra.Command, _ []string) error {
			server, err := s.client(t)
			if err != nil {
				return err
			}
			_, err = s.list(c.Context(), server, "DescribeEventWebhooks", "List", nil, listing{form: form.form, columns: webhookColumns(), empty: "No webhooks. Add one: portolan webhook add --help"})
			return err
		},
	}
	form.add(c, asJSON, asCSV)
	t.add(c.Flags())
	return c
}

func (s *shell) webhookTest() *cobra.Command {
	return s.oneWebhook(&cobra.Command{
		Use: "test ID", Short: "Send a test message now",
		Long: "Sends a test message now, and tells what the receiver said. The exit code is 3 if\nit does not take the message.",
	}, func(ctx context.Context, server *client, id string) error {
		var tested struct {
			Data struct {
				Success bool
				Millis  int64
				Message string
			}
		}
		if err := server.call(ctx, "TestEventWebhook", params{"WebhookId": id}, &tested); err != nil {
			return err
		}
		if !tested.Data.Success {
			return &exitError{ExitTestFailed, fmt.Errorf("the test message did not arrive: %s", tested.Data.Message)}
		}
		s.print("The test message was %s after %d ms.\n", tested.Data.Message, tested.Data.Millis)
		return nil
	})
}

func (s *shell) webhookRemove() *cobra.Command {
	return s.oneWebhook(&cobra.Command{
		Use: "remove ID", Short: "Remove a webhook, and the messages that wait for it", Aliases: []string{"rm", "delete"},
	}, func(ctx context.Context, server *client, id string) error {
		if err := server.call(ctx, "DeleteEventWebhook", params{"WebhookId": id}, &struct{}{}); err != nil {
			return err
		}
		s.print("Removed webhook %s.\n", id)
		return nil
	})
}

// oneWebhook is a command for one webhook.
func (s *shell) oneWebhook(c *cobra.Command, run func(ctx context.Context, server *client, id string) error) *cobra.Command {
	var t target
	c.Args = takes(1)
	c.RunE = func(c *cobra.Command, args []string) error {
		server, err := s.client(t)
		if err != nil {
			return err
		}
		return run(c.Context(), server, args[0])
	}
	t.add(c.Flags())
	return c
}
