package harbortest

import (
	"bufio"
	"embed"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

//go:embed testdata/*.http
var recordings embed.FS

// Recording is one exchange with a real Harbor 2.15.2. Secrets, tokens and
// cookies in it are dummies.
type Recording struct {
	Name    string
	Request *http.Request // without a body
	Status  int
	Header  http.Header
	Body    string
}

// Load reads a recording by its name without ".http".
func Load(name string) (Recording, error) {
	raw, err := recordings.ReadFile("testdata/" + name + ".http")
	if err != nil {
		return Recording{}, fmt.Errorf("recording %s: %w", name, err)
	}
	sent, got, found := strings.Cut(string(raw), "\n###\n")
	if !found {
		return Recording{}, fmt.Errorf("recording %s has no answer", name)
	}
	rec := Recording{Name: name}
	head, _, _ := strings.Cut(sent, "\n\n")
	if rec.Request, err = http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\n\n"))); err != nil {
		return Recording{}, fmt.Errorf("recording %s: %w", name, err)
	}
	head, rec.Body, _ = strings.Cut(strings.ReplaceAll(got, "\r\n", "\n"), "\n\n")
	return rec, rec.readHead(head)
}

// readHead reads status and header by hand: the body stands in the recording
// as decoded, whatever the head says of its form.
func (rec *Recording) readHead(head string) error {
	first, rest, _ := strings.Cut(head, "\n")
	fields := strings.Fields(first)
	if len(fields) < 2 {
		return fmt.Errorf("recording %s has no status", rec.Name)
	}
	status, err := strconv.Atoi(fields[1])
	if err != nil {
		return fmt.Errorf("recording %s: %w", rec.Name, err)
	}
	rec.Status, rec.Header = status, http.Header{}
	for line := range strings.SplitSeq(rest, "\n") {
		if name, value, found := strings.Cut(line, ":"); found {
			rec.Header.Add(name, strings.TrimSpace(value))
		}
	}
	for _, name := range []string{"Content-Length", "Transfer-Encoding", "Connection"} {
		rec.Header.Del(name)
	}
	return nil
}

// Names lists all recordings.
func Names() ([]string, error) {
	entries, err := recordings.ReadDir("testdata")
	if err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".http"))
	}
	return names, nil
}

// Replay plays recordings by path, page and user; the first that fits a
// request wins. A query that was recorded exactly is played as it is;
// otherwise a whole list in one page answers for any order and selection of
// fields.
func Replay(names ...string) (http.Handler, error) {
	var list []Recording
	for _, name := range names {
		rec, err := Load(name)
		if err != nil {
			return nil, err
		}
		list = append(list, rec)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { replay(w, r, list) }), nil
}

func replay(w http.ResponseWriter, r *http.Request, list []Recording) {
	for _, fits := range []func(Recording, *http.Request) bool{Recording.same, Recording.answers} {
		for _, rec := range list {
			if fits(rec, r) {
				a := answer{status: rec.Status, header: rec.Header, body: rec.Body}
				a.write(w, 0)
				return
			}
		}
	}
	failed(http.StatusNotFound, "NOT_FOUND", "nothing was recorded for this request").write(w, 0)
}

// same reports whether exactly this was asked by the same user.
func (rec Recording) same(r *http.Request) bool {
	return rec.by(r) && rec.Request.URL.Query().Encode() == r.URL.Query().Encode()
}

// answers reports whether the recording holds all that is asked for.
func (rec Recording) answers(r *http.Request) bool {
	had, asked := rec.Request.URL.Query(), r.URL.Query()
	if !rec.by(r) || number(asked.Get("page"), 1) != number(had.Get("page"), 1) || had.Get("q") != asked.Get("q") {
		return false
	}
	return rec.Status != http.StatusOK || !strings.Contains(rec.Header.Get("Link"), "rel=")
}

// by reports whether the same user asked for the same path. The path is
// compared decoded once, so that both ways to encode slashes match.
func (rec Recording) by(r *http.Request) bool {
	had, _, _ := rec.Request.BasicAuth()
	asks, _, _ := r.BasicAuth()
	return had == asks && decoded(rec.Request.URL) == decoded(r.URL)
}

func decoded(u *url.URL) string {
	if path, err := url.PathUnescape(u.Path); err == nil {
		return path
	}
	return u.Path
}
