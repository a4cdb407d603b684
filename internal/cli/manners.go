package cli

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manners are the settings of how a registry is read, as answers have them.
type manners struct {
	Paused              bool
	ExcludeRepositories []string
	RequestsPerMinute   int
	SyncWindow          string
}

// paused is "yes" or nothing.
func (m manners) paused() string {
	if m.Paused {
		return "yes"
	}
	return ""
}

func (x *settings) addManners(fs *pflag.FlagSet) {
	fs.StringSliceVar(&x.Excludes, "exclude", nil, "leave out repositories, such as 'team/tmp-*' or '**/cache' (repeatable)")
	fs.IntVar(&x.PerMinute, "requests-per-minute", 0, "requests a minute at most, 1 to 60000 (0 for any number)")
	fs.StringVar(&x.Window, "sync-window", "", "when scheduled readings run, in the server's time zone, such as 22:00-06:00")
}

// manners adds to ExtraParam how the registry is read.
func (x *settings) manners(extra map[string]any) {
	if len(x.Excludes) > 0 || x.given["excludeRepositories"] {
		extra["excludeRepositories"] = append([]string{}, x.Excludes...)
	}
	if x.PerMinute != 0 || x.given["requestsPerMinute"] {
		extra["requestsPerMinute"] = x.PerMinute
	}
	if x.Window != "" || x.given["syncWindow"] {
		extra["syncWindow"] = x.Window
	}
}

// otherManners reports whether the entry wants a registry read otherwise than
// it is.
func (e *entry) otherManners(has manners) bool {
	want := e.draft.Extra
	return e.given["excludeRepositories"] && !slices.Equal(want.Excludes, has.ExcludeRepositories) ||
		e.given["requestsPerMinute"] && want.RequestsPerMinute != has.RequestsPerMinute ||
		e.given["syncWindow"] && want.SyncWindow != has.SyncWindow
}

func (s *shell) registryPause() *cobra.Command {
	return s.one(&cobra.Command{
		Use: "pause", Short: "Stop reading a registry; what is known of it stays",
		Long: `Stops reading a registry until it is resumed. Its images stay as they are, and a
reading under way ends within half a minute. registry test works as ever.`,
		Example: "  portolan registry pause harbor-prod",
	}, func(c *cobra.Command, server *client, r *row) error {
		if err := server.call(c.Context(), "PauseImageRegistry", params{"RegistryId": number(r.ID)}, &struct{}{}); err != nil {
			return err
		}
		s.print("Paused registry %d (%s). To have it read again: portolan registry resume %d\n", r.ID, r.Name, r.ID)
		return nil
	})
}

func (s *shell) registryResume() *cobra.Command {
	return s.one(&cobra.Command{
		Use: "resume", Short: "Read a paused registry again",
		Long:    "Has a paused registry read again, at once and by its schedule.",
		Example: "  portolan registry resume harbor-prod",
	}, func(c *cobra.Command, server *client, r *row) error {
		if err := server.call(c.Context(), "ResumeImageRegistry", params{"RegistryId": number(r.ID)}, &struct{}{}); err != nil {
			return err
		}
		s.print("Resumed registry %d (%s); it is read now.\n", r.ID, r.Name)
		return nil
	})
}
