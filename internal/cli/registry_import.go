package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// importFlags are the flags of registry import.
type importFlags struct {
	target
	dryRun, resend bool
}

func (s *shell) registryImport() *cobra.Command {
	var f importFlags
	c := &cobra.Command{
		Use: "import FILE", Short: "Add or change many registries from a YAML or CSV file",
		Long: `Adds the registries of a file, and changes those that exist already where they
differ. Running it again changes nothing. A registry is the same if type, host,
port, user, vpc and address are. "-" reads YAML from standard input.

A YAML file is a list; a CSV file has the same names in its first line, and
separates namespaces by blanks:

  - type: harbor                      # harbor, quay, acr, oci
    host: harbor.example.com
    name: harbor-prod
    user: robot$portolan
    passwordFile: secrets/harbor.txt  # beside this file; or password:
    namespaces: [platform, data]

More names: port, http, region, vpc, address, repositories, authTokens, caFile,
certificateSha256, transPerHour, persistenceDay, whiteList, blackList,
excludeRepositories, requestsPerMinute, syncWindow. Registries of type CI/CD are
made one by one, with registry add, which tells the token of each.

Everything is checked before anything is sent: a file with mistakes changes
nothing. Which addresses may be dialled is the server's to say, so that only the
import itself finds those that it refuses.

A list that is empty (namespaces: []) and a text that is empty (whiteList: "")
empty what is there; what is absent stays. Passwords, tokens, repositories and
certificates cannot be read back, so they are not compared: --resend sends those
of the file for existing registries.`,
		Example: "  portolan registry import registries.yaml --dry-run\n  portolan registry import registries.yaml",
		Args:    takes(1),
		RunE:    func(c *cobra.Command, args []string) error { return s.importFile(c.Context(), &f, args[0]) },
	}
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and do nothing")
	c.Flags().BoolVar(&f.resend, "resend", false, "send what cannot be compared for existing registries too")
	f.add(c.Flags())
	return c
}

// importer adds and changes registries.
type importer struct {
	*shell
	client *client
	importFlags
	existing map[string]info
	counts   map[string]int
}

func (s *shell) importFile(ctx context.Context, f *importFlags, path string) error {
	entries, mistakes, err := s.readEntries(path)
	if err != nil {
		return err
	}
	mistakes = append(mistakes, s.checkEntries(entries, filepath.Dir(path))...)
	if mistakes != nil {
		return mistaken(path, mistakes)
	}
	server, err := s.client(f.target)
	if err != nil {
		return err
	}
	list, err := server.infos(ctx, "")
	if err != nil {
		return err
	}
	m := &importer{shell: s, client: server, importFlags: *f, existing: map[string]info{}, counts: map[string]int{}}
	for _, i := range list {
		m.existing[identity(i.Type, i.DomainName, i.Port, i.UserName, i.VpcID, i.HostIP)] = i
	}
	if mistakes := m.withoutPassword(entries); mistakes != nil {
		return mistaken(path, mistakes)
	}
	if slices.ContainsFunc(entries, func(e entry) bool { return e.params["Password"] != "" }) {
		s.warnPlain(server)
	}
	for i := range entries {
		if err := m.entry(ctx, &entries[i]); err != nil {
			m.tell("%s; %d not tried: the same command goes on from here", m.done(), len(entries)-i)
			return err
		}
	}
	return m.summary()
}

// mistaken tells all mistakes of a file at once.
func mistaken(path string, mistakes []error) error {
	lines := make([]error, len(mistakes))
	for i, err := range mistakes {
		lines[i] = fmt.Errorf("%s: %w", path, err)
	}
	return usagef("%w\n%s: nothing was done", errors.Join(lines...), count(len(mistakes), "mistake", "mistakes"))
}

// Outcomes of an entry.
const (
	outcomeAdded     = "added"
	outcomeChanged   = "changed"
	outcomeUnchanged = "unchanged"
	outcomeFailed    = "failed"
)

// entry takes up one entry. A refusal is told and counted; the others go on.
func (m *importer) entry(ctx context.Context, e *entry) error {
	outcome, detail, err := m.take(ctx, e)
	if _, refused := errors.AsType[*refusal](err); refused {
		outcome, detail, err = outcomeFailed, ": "+err.Error(), nil
	}
	if err != nil {
		return err
	}
	m.counts[outcome]++
	if m.dryRun && outcome != outcomeUnchanged {
		outcome = "would be " + outcome
	}
	m.print("%s: %s %s%s\n", outcome, e.Type, cmp.Or(e.Name, e.Host), detail)
	return nil
}

func (m *importer) take(ctx context.Context, e *entry) (outcome, detail string, err error) {
	if i, found := m.existing[e.identity()]; found {
		return m.change(ctx, e, i)
	}
	if m.dryRun {
		return outcomeAdded, "", nil
	}
	id, err := m.client.add(ctx, e.params)
	return outcomeAdded, " with id " + number(id), err
}

// change sends what differs.
func (m *importer) change(ctx context.Context, e *entry, i info) (outcome, detail string, err error) {
	var names []string
	if e.Namespaces != nil {
		if names, err = m.client.namespaces(ctx, i.ID); err != nil {
			return "", "", err
		}
	}
	diff := e.differs(i, names)
	if m.resend {
		diff["Password"], diff["ExtraParam"] = e.params["Password"], e.params["ExtraParam"]
	}
	maps.DeleteFunc(diff, func(_, value string) bool { return value == "" })
	if len(diff) == 0 {
		return outcomeUnchanged, "", nil
	}
	detail = fmt.Sprintf(" with id %d: %s", i.ID, strings.Join(slices.Sorted(maps.Keys(diff)), ", "))
	if m.dryRun {
		return outcomeChanged, detail, nil
	}
	diff["Id"] = number(i.ID)
	return outcomeChanged, detail, m.client.call(ctx, "ModifyImageRegistry", diff, &struct{}{})
}

// done counts what was done so far.
func (m *importer) done() string {
	return fmt.Sprintf("%d added, %d changed, %d unchanged, %d failed", m.counts[outcomeAdded], m.counts[outcomeChanged], m.counts[outcomeUnchanged], m.counts[outcomeFailed])
}

func (m *importer) summary() error {
	m.tell("%s", m.done())
	if m.counts[outcomeFailed] > 0 {
		return &exitError{ExitFailed, nil}
	}
	return nil
}

// identity is what makes two entries the same registry, as the server sees it.
func identity(kind, host string, port int, user, vpc, address string) string {
	return strings.Join([]string{kind, host, strconv.Itoa(port), user, vpc, address}, "\n")
}

func (e *entry) identity() string {
	r := e.draft
	return identity(string(r.Type), r.DomainName, r.Port, r.UserName, r.VpcID, r.HostIP)
}

// differs answers the parameters that the entry gives and the registry has
// otherwise.
func (e *entry) differs(i info, namespaces []string) params {
	diff := params{}
	for name, has := range map[string]string{
		"RegistryName": i.Name, "RegistryRegionId": i.RegionID, "TransPerHour": number(i.TransPerHour),
		"PersistenceDay": number(i.PersistenceDay), "WhiteList": i.WhiteList, "BlackList": i.BlackList,
	} {
		if e.params[name] != "" && e.params[name] != has {
			diff[name] = e.params[name]
		}
	}
	if i.ProtocolType != e.draft.Protocol {
		diff["ProtocolType"], diff["Password"] = number(e.draft.Protocol), e.params["Password"]
	}
	if e.Namespaces != nil && !slices.Equal(e.draft.Extra.Namespaces, slices.Sorted(slices.Values(namespaces))) {
		scope, _ := json.Marshal(map[string][]string{"namespaces": append([]string{}, e.draft.Extra.Namespaces...)}) // texts always encode
		diff["ExtraParam"] = string(scope)
	}
	if e.otherManners(i.manners) {
		diff["ExtraParam"] = e.params["ExtraParam"]
	}
	var empty []string
	for name, has := range map[string]string{"whiteList": i.WhiteList, "blackList": i.BlackList} {
		if e.given[name] && e.params[strings.ToUpper(name[:1])+name[1:]] == "" && has != "" {
			empty = append(empty, strings.ToUpper(name[:1])+name[1:])
		}
	}
	slices.Sort(empty)
	diff.clear(empty)
	return diff
}
