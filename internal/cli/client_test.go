package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A server that never answers ends a call with a message, also when nobody
// watches.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then is it told that the client has gone
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	s := &shell{env: func(string) string { return "" }}
	c, err := s.client(target{endpoint: server.URL, credentials: credentialsFile(t)})
	if err != nil {
		t.Fatal(err)
	}
	if c.patience != 30*time.Second {
		t.Errorf("patience %s", c.patience)
	}
	c.patience = 50 * time.Millisecond
	err = c.call(t.Context(), "PageImageRegistry", nil, &struct{}{})
	seen, remedy := seenAndRemedy(err, "")
	if want := "cannot reach " + server.URL + ": no answer within 50ms"; seen != want || remedy == "" {
		t.Errorf("error %q, want %q and a remedy", seen, want)
	}
}

func credentialsFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(path, []byte(`{"AccessKeyId":"LTAI5tSomeone","AccessKeySecret":"secret"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A wait shows a line from the first second on, and takes it away.
func TestProgressOfWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := &progress{to: &out, on: true}
		shown := func() string {
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			return out.String()
		}
		over := p.wait("Waiting for the server")
		<-time.After(noticeable / 2)
		if line := shown(); line != "" {
			t.Errorf("a line after half a second: %q", line)
		}
		<-time.After(2 * noticeable)
		if want := "\rWaiting for the server … 1s\rWaiting for the server … 2s"; shown() != want {
			t.Errorf("line %q, want %q", shown(), want)
		}
		if over(); p.width != 0 || !strings.HasSuffix(shown(), " \r") {
			t.Errorf("the line stays: %q", shown())
		}
	})
}

// A line that knows more than that there is a wait stays.
func TestProgressOfOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := &progress{to: &out, on: true}
		p.say("1000 rows …")
		over := p.wait("Waiting for the server")
		<-time.After(2 * noticeable)
		synctest.Wait()
		over()
		if d := cmp.Diff("\r1000 rows …", out.String()); d != "" {
			t.Error(d)
		}
	})
}

// A network that fails in the middle of an import ends with what was done.
func TestImportCut(t *testing.T) {
	t.Parallel()
	added := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("X-Acs-Action") {
		case "ListPrivateRegistryList":
			_, _ = io.WriteString(w, `{"ImageRegistryInfos":[]}`)
		case "AddPrivateRegistry":
			if added++; added > 2 {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err == nil {
					err = conn.Close()
				}
				if err != nil {
					t.Error(err)
				}
				return
			}
			_, _ = io.WriteString(w, `{"Data":{"Id":7}}`)
		}
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "registries.csv")
	if err := os.WriteFile(file, []byte("type,host\noci,a.example.com\noci,b.example.com\noci,c.example.com\noci,d.example.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := Main(context.Background(), []string{"registry", "import", file, "--endpoint", server.URL, "--credentials-file", credentialsFile(t)},
		bytes.NewReader(nil), &out, &errs, func(string) string { return "" })
	if code != ExitFailed || !strings.Contains(errs.String(), "2 added, 0 changed, 0 unchanged, 0 failed; 2 not tried") ||
		!strings.Contains(errs.String(), "cannot reach ") || strings.Count(out.String(), "added: ") != 2 {
		t.Errorf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
}

// A result that cannot be written is no success.
func TestUnwritable(t *testing.T) {
	t.Parallel()
	var errs bytes.Buffer
	code := Main(t.Context(), []string{"version"}, bytes.NewReader(nil), brokenWriter{}, &errs, func(string) string { return "" })
	if code != ExitFailed || !strings.Contains(errs.String(), "write the result: no room") {
		t.Errorf("exit code %d\n%s", code, errs.String())
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no room") }
