package secret_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"regexp"
	"testing"
	"testing/iotest"

	"portolan/internal/secret"
)

func TestGenerate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		make func(io.Reader) (string, error)
		want *regexp.Regexp
	}{
		"access key id":     {secret.NewAccessKeyID, regexp.MustCompile(`^LTAI5t[A-Za-z0-9]{18}$`)},
		"access key secret": {secret.NewAccessKeySecret, regexp.MustCompile(`^[A-Za-z0-9]{30}$`)},
		"token":             {secret.NewToken, regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)},
		"hook secret":       {secret.NewHookSecret, regexp.MustCompile(`^[0-9a-f]{32}$`)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := map[string]bool{}
			for range 100 {
				text, err := tt.make(rand.Reader)
				if err != nil || !tt.want.MatchString(text) || seen[text] {
					t.Fatalf("made %q, %v (again: %t)", text, err, seen[text])
				}
				seen[text] = true
			}
			broken := errors.New("no randomness")
			if text, err := tt.make(iotest.ErrReader(broken)); !errors.Is(err, broken) || text != "" {
				t.Errorf("without randomness: %q, %v", text, err)
			}
			if text, err := tt.make(bytes.NewReader(make([]byte, 5))); !errors.Is(err, io.ErrUnexpectedEOF) || text != "" {
				t.Errorf("with too little randomness: %q, %v", text, err)
			}
		})
	}
}

// TestAlphanumericIsFair: bytes that would favour some characters are drawn
// again, and all characters appear.
func TestAlphanumericIsFair(t *testing.T) {
	t.Parallel()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	text, err := secret.Alphanumeric(io.MultiReader(bytes.NewReader(every[248:]), bytes.NewReader(every[:248])), 248)
	if err != nil {
		t.Fatal(err)
	}
	count := map[rune]int{}
	for _, c := range text {
		count[c]++
	}
	for c, n := range count {
		if n != 4 {
			t.Errorf("%q comes %d times, want 4", c, n)
		}
	}
	if len(count) != 62 {
		t.Errorf("%d characters appear, want 62", len(count))
	}
}
