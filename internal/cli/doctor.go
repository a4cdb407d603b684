package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portolan/internal/app"
)

// States of a check.
const (
	checkOK      = "ok"
	checkWarning = "warning"
	checkFailed  = "failed"
)

// check is what was looked at, what was seen, and what to mend.
type check struct{ Check, State, Seen, Remedy string }

// doctorFlags say which deployment to look at.
type doctorFlags struct {
	target
	store serveFlags
	form  output
	stale time.Duration
	zone  string
}

func (s *shell) doctor() *cobra.Command {
	var f doctorFlags
	c := &cobra.Command{
		Use: "doctor", Short: "Find out what is wrong with a deployment, and what to mend",
		Long: `Looks at a server from outside (endpoint, certificate, clock, access key,
registries) and, with --data on the server's own machine, from inside (folder,
database, master key). The exit code is 1 if a check failed.`,
		Example: "  portolan doctor --endpoint https://portolan.example.com\n  portolan doctor --data /var/lib/portolan --credentials-file /var/lib/portolan/root-credentials.json",
		Args:    takes(0),
		RunE:    func(c *cobra.Command, _ []string) error { return s.examine(c.Context(), &f, c.Flags()) },
	}
	fs := c.Flags()
	fs.SortFlags = false
	f.add(fs)
	f.store.addStore(fs)
	fs.DurationVar(&f.stale, "stale", 24*time.Hour, "time within which registries should have been read")
	addZone(fs, &f.zone)
	f.form.add(c, asJSON, asCSV)
	return c
}

func (s *shell) examine(ctx context.Context, f *doctorFlags, flags *pflag.FlagSet) error {
	if err := s.fromEnvironment(flags, storeFlags()...); err != nil {
		return err
	}
	failed := 0
	checks := func(yield func(any) bool) {
		for c := range s.checks(ctx, f) {
			if c.State == checkFailed {
				failed++
			}
			if !yield(c) {
				return
			}
		}
	}
	if err := s.showChecks(f.form.form, checks); err != nil {
		return err
	}
	if failed > 0 {
		return &exitError{ExitFailed, fmt.Errorf("%s failed", count(failed, "check", "checks"))}
	}
	return nil
}

// showChecks shows each check as soon as it is done, for people with what to
// do below it.
func (s *shell) showChecks(form string, checks iter.Seq[any]) error {
	if form != asTable {
		l := listing{shell: s, form: form, columns: []column{{field: "Check"}, {field: "State"}, {field: "Seen"}, {field: "Remedy"}}}
		_, err := l.print(encoded(checks))
		return err
	}
	for x := range checks {
		c, _ := x.(check)
		s.line.done()
		s.print("%-8s %-12s %s\n", c.State, c.Check, printable(c.Seen))
		if c.Remedy != "" {
			s.print("%22s%s\n", "-> ", c.Remedy)
		}
	}
	return nil
}

// checks does one check after the other; what depends on a failed one is left
// out.
func (s *shell) checks(ctx context.Context, f *doctorFlags) iter.Seq[check] {
	return func(yield func(check) bool) {
		if f.store.Data != "" {
			if !yield(folderCheck(f.store.Data)) || !yield(s.storeCheck(ctx, f)) {
				return
			}
		}
		c, err := s.client(f.target)
		if err != nil {
			yield(check{"client", checkFailed, firstLine(err), "give the server and the key to look with: --endpoint, and --credentials-file or --profile"})
			return
		}
		date, ok := c.serverChecks(ctx, yield)
		if !ok || !yield(clockCheck(date)) {
			return
		}
		if key := c.keyCheck(ctx); !yield(key) || key.State == checkFailed {
			return
		}
		s.registryChecks(ctx, c, f, yield)
	}
}

const private = 0o077 // what others must not have

// folderCheck looks at who can read the files of the server.
func folderCheck(folder string) check {
	const name = "data folder"
	for _, path := range []string{folder, filepath.Join(folder, "master.key"), filepath.Join(folder, "root-credentials.json"), filepath.Join(folder, "portolan.db")} {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && path != folder:
			continue
		case err != nil:
			return check{name, checkFailed, err.Error(), "give the folder of serve --data, and run this as the server's user"}
		case path == filepath.Join(folder, "portolan.db"): // the folder keeps others out
		case info.Mode().Perm()&private != 0:
			return check{name, checkFailed, fmt.Sprintf("others can read %s (mode %#o)", path, info.Mode().Perm()), "chmod go= " + path}
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "root-credentials.json")); err == nil {
		return check{name, checkWarning, "root-credentials.json is still in " + folder, "put the key into a safe place, or make users with keys of their own, and delete the file"}
	}
	return check{name, checkOK, "only the server's user can read " + folder, ""}
}

func (s *shell) storeCheck(ctx context.Context, f *doctorFlags) check {
	cfg := f.store.Config
	cfg.MasterKey = s.env("PORTOLAN_MASTER_KEY")
	over := s.line.wait("Opening the store")
	opened, err := app.OpenStore(ctx, cfg)
	over()
	if err != nil {
		return check{"store", checkFailed, err.Error(), "see what was seen; --database and --master-key-file must be those of serve"}
	}
	if err := opened.DB.Close(); err != nil {
		return check{"store", checkWarning, err.Error(), "look at the disk"}
	}
	return check{"store", checkOK, "the database answers, the master key fits", ""}
}

// serverChecks asks the server for anything, and looks at the way there. It
// answers the server's time.
func (c *client) serverChecks(ctx context.Context, yield func(check) bool) (date string, ok bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.endpoint.String(), http.NoBody)
	if err != nil {
		return "", yield(check{"server", checkFailed, err.Error(), "mend the endpoint"}) && false
	}
	over := c.line.wait("Waiting for " + c.endpoint.Host)
	resp, err := c.do(req, c.patience)
	over()
	if err != nil {
		seen, remedy := seenAndRemedy(err, "start the server, or mend --endpoint, --ca-file or the firewall")
		yield(check{"server", checkFailed, seen, remedy})
		return "", false
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	if !yield(check{"server", checkOK, c.address() + " answers", ""}) {
		return "", false
	}
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		const soon = 14 * 24 * time.Hour
		until := resp.TLS.PeerCertificates[0].NotAfter
		tls := check{"certificate", checkOK, "valid until " + instant(until), ""}
		if time.Until(until) < soon {
			tls.State, tls.Remedy = checkWarning, "renew it, and restart the server"
		}
		if !yield(tls) {
			return "", false
		}
	}
	return resp.Header.Get("Date"), true
}

// clockCheck compares the clocks: a signature is good for 15 minutes.
func clockCheck(date string) check {
	const near, far = time.Minute, 15 * time.Minute
	at, err := http.ParseTime(date)
	if err != nil {
		return check{"clock", checkWarning, "the server does not tell its time", "look whether a proxy takes the Date header away"}
	}
	switch d := time.Since(at).Abs().Round(time.Second); {
	case d > far:
		return check{"clock", checkFailed, fmt.Sprintf("the clocks differ by %s, and signatures are refused from %s", d, far), "set both clocks by NTP"}
	case d > near:
		return check{"clock", checkWarning, fmt.Sprintf("the clocks differ by %s", d), "set both clocks by NTP"}
	}
	return check{"clock", checkOK, "same as the server's", ""}
}

func (c *client) keyCheck(ctx context.Context) check {
	_, _, err := c.page(ctx, "PageImageRegistry", "List", params{"PageSize": "1"})
	if err != nil {
		otherwise := "is the endpoint that of a Portolan server?"
		if _, refused := errors.AsType[*refusal](err); refused {
			otherwise = "use a key of this server with a policy that allows yundun-sas:PageImageRegistry; the request id finds the log line"
		}
		seen, remedy := seenAndRemedy(err, otherwise)
		return check{"access key", checkFailed, seen, remedy}
	}
	return check{"access key", checkOK, c.key.ID + " is accepted", ""}
}

// firstLine is an error without what it goes on to advise.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// registryChecks tells which registries need attention.
func (s *shell) registryChecks(ctx context.Context, c *client, f *doctorFlags, yield func(check) bool) {
	zone, err := s.serverZone(f.zone)
	if err != nil {
		yield(check{"registries", checkFailed, err.Error(), "mend --time-zone"})
		return
	}
	n := 0
	w := window{now: time.Now(), stale: f.stale, zone: zone}
	for raw, err := range w.needing(c.rows(ctx, "PageImageRegistry", "List", nil)) {
		var r row
		if err == nil {
			err = json.Unmarshal(raw, &r)
		}
		if err != nil {
			yield(check{"registries", checkFailed, err.Error(), ""})
			return
		}
		n++
		seen := r.SyncErrorCode + ": " + r.SyncErrorMessage
		if r.SyncErrorCode == "" {
			seen = fmt.Sprintf("not read to the end within %s; it is %s", f.stale, r.SyncStatus)
		}
		if !yield(check{"registry " + number(r.ID), checkFailed, r.Name + ": " + seen, "portolan registry test " + number(r.ID)}) {
			return
		}
	}
	if w.ahead != "" {
		n++
		if !yield(check{"time zone", checkWarning, w.ahead, "mend --time-zone, and set both clocks by NTP"}) {
			return
		}
	}
	if n == 0 {
		yield(check{"registries", checkOK, "all are read", ""})
	}
}
