package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portolan/internal/agent"
)

// An agent is the same after a restart, with its token or without, and another
// one with another token.
func TestAgentIdentity(t *testing.T) {
	t.Parallel()
	s := &shell{}
	folder, state := t.TempDir(), t.TempDir()
	file, kept := filepath.Join(folder, "token"), filepath.Join(state, "token.state")
	write := func(token string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	identity := func() *agentIdentity {
		t.Helper()
		i, err := s.agentIdentity(file, state)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	fails := func(want string) {
		t.Helper()
		if _, err := s.agentIdentity(file, state); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	fails("neither the token file")
	write("short")
	fails("does not have a token")
	write(strings.Repeat("a", agent.TokenLength))
	first := identity()
	if len(first.Secret) != agent.SecretLength || first.token != strings.Repeat("a", agent.TokenLength) {
		t.Errorf("made %+v", first)
	}
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kept as %v, %v", info, err)
	}
	if again := identity(); *again != *first {
		t.Errorf("again %+v, was %+v", again, first)
	}
	write(strings.Repeat("b", agent.TokenLength))
	second := identity()
	if second.Secret == first.Secret {
		t.Error("another token has the same secret")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if again := identity(); again.Secret != second.Secret || again.token != "" {
		t.Errorf("without the token %+v", again)
	}
	if err := os.Chmod(kept, 0o640); err != nil {
		t.Fatal(err)
	}
	fails("run chmod 600")
	if err := os.WriteFile(kept, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(kept, 0o600); err != nil {
		t.Fatal(err)
	}
	fails("enrol the agent anew")
}

func TestAgentFlags(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		server string
		plain  bool
		want   string
	}{
		"https":              {"https://portolan.example.com", false, ""},
		"https with a path":  {"https://portolan.example.com/portolan", false, ""},
		"loopback":           {"http://127.0.0.1:9743", false, ""},
		"loopback v6":        {"http://[::1]:9743", false, ""},
		"localhost":          {"http://localhost:9743", false, ""},
		"plain":              {"http://portolan.example.com", false, "would be plain HTTP"},
		"plain and meant":    {"http://portolan.example.com", true, ""},
		"no scheme":          {"portolan.example.com:9743", false, "must be a URL"},
		"a password":         {"https://a:hunter2@portolan.example.com", false, "must be a URL"},
		"another scheme":     {"ftp://portolan.example.com", false, "must be a URL"},
		"an address like it": {"http://127.0.0.1.example.com", false, "would be plain HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := agentFlags{servers: []string{tt.server}, vpc: "vpc-1", tokenFile: "token", plainHTTP: tt.plain}
			_, err := f.check()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2")) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
