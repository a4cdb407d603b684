package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os/exec"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"portolan"
)

// envReportToken has the token of the registry; it is never on the command
// line, where others on the machine can see it.
const envReportToken = envPrefix + "REPORT_TOKEN"

// reportFlags are the flags of report.
type reportFlags struct {
	server, tokenFile, caFile      string
	registry                       int64
	metadata, imageIDFile, inspect string
	runInspect                     bool
	label                          string
	attempts                       int
	form                           output
}

func (s *shell) report() *cobra.Command {
	var f reportFlags
	c := &cobra.Command{
		Use:   "report IMAGE[:TAG][@DIGEST]",
		Short: "Report an image that a build made",
		Long: `Reports an image to a registry of type CI/CD, with the registry's token, from
--token-file or the variable PORTOLAN_REPORT_TOKEN. A build that cannot reach
the server tries again; a report that came twice counts once.

The host in the image's name is left out. The digest comes from the name, from
what the build tool wrote (--metadata-file takes that of buildx, kaniko, buildah
and jib), or from docker or podman (--inspect). Jenkins, GitLab CI and GitHub
Actions are recognised, and job, build, commit and branch are reported too.`,
		Example: `  portolan report team/app:1.0 --server https://portolan.example.com --registry 12 --token-file token
  portolan report registry.example.com/team/app:1.0 --metadata-file build.json
  docker inspect team/app:1.0 | portolan report team/app:1.0 --inspect-file -`,
		Args: takes(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := s.fromEnvironment(c.Flags(), "server", "registry", "token-file", "ca-file"); err != nil {
				return err
			}
			return s.sendReport(c.Context(), &f, args[0])
		},
	}
	fs := c.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.server, "server", "", "URL of the server (default $PORTOLAN_SERVER, $PORTOLAN_ENDPOINT, or "+defaultEndpoint+")")
	fs.Int64Var(&f.registry, "registry", 0, "id of the registry (default $PORTOLAN_REGISTRY)")
	fs.StringVar(&f.tokenFile, "token-file", "", "file with the registry's token (default $PORTOLAN_REPORT_TOKEN is the token itself)")
	fs.StringVar(&f.caFile, "ca-file", "", "PEM file of the authority that signed the server's certificate (default $PORTOLAN_CA_FILE)")
	fs.StringVar(&f.metadata, "metadata-file", "", "file that the build tool wrote: JSON of buildx or jib, or a digest")
	fs.StringVar(&f.imageIDFile, "iidfile", "", "file with the image's id, as docker and buildah build --iidfile write it")
	fs.BoolVar(&f.runInspect, "inspect", false, "ask docker or podman on this machine about the image")
	fs.StringVar(&f.inspect, "inspect-file", "", "file with what docker or podman inspect printed, - for standard input")
	fs.StringVar(&f.label, "label", "", "text about the build, instead of what its environment tells")
	fs.IntVar(&f.attempts, "attempts", 6, "how often to try while the server cannot be reached")
	f.form.add(c, asJSON)
	return c
}

func (s *shell) sendReport(ctx context.Context, f *reportFlags, image string) error {
	r, err := parseReference(image)
	if err != nil {
		return &exitError{ExitUsage, err}
	}
	if f.registry < 1 {
		return usagef("say which registry the report is for: --registry ID (portolan registry list shows it), or PORTOLAN_REGISTRY")
	}
	if f.attempts < 1 {
		return usagef("--attempts must be at least 1")
	}
	known, err := s.reportFacts(ctx, f, &r)
	if err != nil {
		return err
	}
	if r.tag == "" && known.digest == "" {
		return usagef("%s: say which image it is: a tag as in %[1]s:1.0, a digest as in %[1]s@sha256:…, or --metadata-file", image)
	}
	server, token, err := s.reportTo(f)
	if err != nil {
		return err
	}
	data, err := s.submit(ctx, server, f, token, s.reportValues(f, &r, &known))
	if err != nil {
		return err
	}
	if f.form.form == asJSON {
		return s.answer(data)
	}
	var receipt struct {
		TaskID string `json:"TaskId"`
		UUID   string `json:"Uuid"`
	}
	if err := json.Unmarshal(data, &receipt); err != nil {
		return fmt.Errorf("the answer to the report is not in its documented form: %w", err)
	}
	s.print("Reported %s: image %s, task %s.\n", image, receipt.UUID, receipt.TaskID)
	return nil
}

// reportFacts gathers what is known of the image.
func (s *shell) reportFacts(ctx context.Context, f *reportFlags, r *reference) (facts, error) {
	known := facts{digest: r.digest}
	if f.runInspect && f.inspect != "" {
		return known, usagef("give one of --inspect and --inspect-file")
	}
	for _, source := range []struct {
		flag, path string
		parse      func(text, path string) (facts, error)
	}{{"--metadata-file", f.metadata, parseMetadata}, {"--iidfile", f.imageIDFile, parseImageID}, {"--inspect-file", f.inspect, parseInspect}} {
		if source.path == "" {
			continue
		}
		text, err := s.readValue(source.flag, source.path)
		if err != nil {
			return known, err
		}
		if err := known.add(source.flag+": "+source.path, text, r.path, source.parse); err != nil {
			return known, err
		}
	}
	if !f.runInspect {
		return known, nil
	}
	text, err := inspectImage(ctx, r)
	if err != nil {
		return known, err
	}
	return known, known.add("--inspect", text, r.path, parseInspect)
}

// add takes in what a source says.
func (f *facts) add(what, text, path string, parse func(text, path string) (facts, error)) error {
	said, err := parse(strings.TrimSpace(text), path)
	if errors.Is(err, errNoFacts) {
		return usagef("%s %w", what, err)
	}
	if err == nil {
		err = f.merge(said)
	}
	if err != nil {
		return usagef("%s: %w", what, err)
	}
	return nil
}

func parseImageID(text, _ string) (f facts, err error) {
	if f.imageID, err = portolan.ParseDigest(text); err != nil {
		return f, errors.New("the file has no image id, which is sha256: and 64 hex digits")
	}
	return f, nil
}

// inspectImage asks docker, or podman where there is no docker.
func inspectImage(ctx context.Context, r *reference) (string, error) {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	name := r.name
	for _, tool := range []string{"docker", "podman"} {
		file, err := exec.LookPath(tool)
		if err != nil {
			continue
		}
		var stderr bytes.Buffer
		cmd := exec.CommandContext(ctx, file, "image", "inspect", "--", name) //nolint:gosec // two fixed names, and an argument that is none of their flags
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("--inspect: %s image inspect %s: %w: %s", tool, name, err, strings.TrimSpace(stderr.String()))
		}
		return string(out), nil
	}
	return "", usagef("--inspect: there is neither docker nor podman on this machine")
}

// reportTo answers the server and the token.
func (s *shell) reportTo(f *reportFlags) (*client, string, error) {
	endpoint, err := s.endpoint(target{endpoint: f.server}, profile{})
	if err != nil {
		return nil, "", err
	}
	c := &client{endpoint: endpoint, line: s.line, patience: patience, named: "--server"}
	if c.http, err = operatorClient(f.caFile); err != nil {
		return nil, "", err
	}
	token := s.env(envReportToken)
	if f.tokenFile != "" {
		if token, err = s.readValue("--token-file", f.tokenFile); err != nil {
			return nil, "", err
		}
	}
	token = strings.TrimSpace(token)
	switch {
	case token == "":
		return nil, "", usagef("the registry's token is needed: --token-file FILE, or %s in the environment", envReportToken)
	case strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c >= utf8.RuneSelf }):
		return nil, "", usagef("the registry's token is one word, and what was given is not: is it the right file or variable?")
	}
	return c, token, nil
}

// reportValues are the parameters.
func (s *shell) reportValues(f *reportFlags, r *reference, known *facts) url.Values {
	namespace, name := portolan.SplitRepository(r.path)
	label := cmp.Or(f.label, buildOf(s.env))
	form := url.Values{}
	for name, value := range map[string]string{
		"Namespace": namespace, "RepoName": name, "Tag": r.tag, "Digest": string(known.digest), "ImageId": string(known.imageID),
		"ImageSize": number(known.size), "ImageCreate": number(known.created), "JenkinsEnv": label,
	} {
		if value != "" {
			form.Set(name, value)
		}
	}
	return form
}

// Waits between attempts, twice as long each time.
const (
	firstBackoff = time.Second
	lastBackoff  = 30 * time.Second
)

// passing is a failure that may be over soon. wait is how long the server asks
// to wait, 0 if it does not say.
type passing struct {
	err  error
	wait time.Duration
}

func (p *passing) Error() string { return p.err.Error() }

func (p *passing) Unwrap() error { return p.err }

// submit sends a report until it is answered, as often as the flags say, and
// answers Data of the answer.
func (s *shell) submit(ctx context.Context, c *client, f *reportFlags, token string, form url.Values) (json.RawMessage, error) {
	s.warnPlainToken(c)
	for attempt, backoff := 1, firstBackoff; ; attempt, backoff = attempt+1, min(2*backoff, lastBackoff) {
		data, err := c.reportOnce(ctx, f.registry, token, form)
		again, ok := errors.AsType[*passing](err)
		if !ok || attempt >= f.attempts || ctx.Err() != nil {
			return data, err
		}
		wait := cmp.Or(again.wait, backoff)
		s.tell("%s\nTrying again in %s, %d of %d.", err, wait, attempt+1, f.attempts)
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// reportOnce sends a report once.
func (c *client) reportOnce(ctx context.Context, registry int64, token string, form url.Values) (json.RawMessage, error) {
	u := *c.endpoint
	u.Path = path.Join("/", u.Path, "reports", number(registry))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{
		"Authorization": {"Bearer " + token}, "Content-Type": {"application/x-www-form-urlencoded"}, "User-Agent": {portolan.UserAgent()},
	}
	defer c.line.wait("Waiting for " + c.endpoint.Host)()
	resp, err := c.do(req, c.patience)
	if err != nil {
		return nil, passingUnlessUntrusted(err)
	}
	defer func() { _ = resp.Body.Close() }()
	const most = 1 << 20
	body, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return nil, &passing{err: c.unreachable(err)}
	}
	if resp.StatusCode != http.StatusOK {
		return nil, c.reportRefused(resp, body)
	}
	var answer struct{ Data json.RawMessage }
	if err := json.Unmarshal(body, &answer); err != nil || answer.Data == nil {
		return nil, fmt.Errorf("%s answered not as a Portolan server does: is the URL right (--server)?", c.address())
	}
	return answer.Data, nil
}

// passingUnlessUntrusted tells a network that fails from a server whose
// certificate is not trusted, which no wait will change.
func passingUnlessUntrusted(err error) error {
	if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted || errors.Is(err, context.Canceled) {
		return err
	}
	return &passing{err: err}
}

// reportRefused is the error of an answer that is none to a report.
func (c *client) reportRefused(resp *http.Response, body []byte) error {
	err := c.refused(resp, body)
	r, told := errors.AsType[*refusal](err)
	switch {
	case resp.StatusCode >= http.StatusInternalServerError, resp.StatusCode == http.StatusTooManyRequests:
		p := &passing{err: err}
		if told {
			p.wait = r.wait
		}
		return p
	case told && r.Code == portolan.ErrNoPermission.Code:
		return &hinted{err, "The token is not that of the registry, was replaced, or the registry takes no reports from this address: the server's log says which."}
	}
	return err
}

// warnPlainToken warns before the token is sent in the clear to another machine.
func (s *shell) warnPlainToken(c *client) {
	host := c.endpoint.Hostname()
	addr, err := netip.ParseAddr(host)
	if c.endpoint.Scheme == "http" && host != "localhost" && (err != nil || !addr.IsLoopback()) {
		s.tell("warning: the token goes to %s over plain HTTP, where others on the way can read it; use https", net.JoinHostPort(host, c.endpoint.Port()))
	}
}
