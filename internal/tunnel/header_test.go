package tunnel

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"portolan"
	"portolan/internal/netguard"
)

// Whatever a dial fails with fits into a header, and comes out again.
func TestAnswerFits(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", strings.Repeat("<", 100_000), strings.Repeat("\x00", 1000), strings.Repeat("ü", 1000), strings.Repeat("\xff", 1000)} {
		var b bytes.Buffer
		if err := writeHeader(&b, answerOf(&netguard.Error{Class: portolan.DNSFailure, Message: text, Remedy: text})); err != nil {
			t.Fatalf("%.10q: %v", text, err)
		}
		b.WriteString("rest")
		var a answer
		if err := readHeader(&b, &a); err != nil || b.String() != "rest" {
			t.Fatalf("%.10q: %v, then %q", text, err, b.String())
		}
		if err := a.failure("x"); err == nil || !utf8.ValidString(err.Error()) {
			t.Errorf("%.10q: %q", text, err)
		}
	}
	if err := writeHeader(new(bytes.Buffer), request{strings.Repeat("x", maxHeader)}); !errors.Is(err, errHeader) {
		t.Errorf("too much is written: %v", err)
	}
}

// A header that is too large is not even read.
func TestLargeHeader(t *testing.T) {
	t.Parallel()
	for size, fits := range map[int]bool{maxHeader: true, maxHeader + 1: false} {
		body := "{" + strings.Repeat(" ", size-2) + "}"
		b := bytes.NewBufferString(string([]byte{byte(size >> 8), byte(size)}) + body)
		if err := readHeader(b, new(request)); (err == nil) != fits || !fits && (!errors.Is(err, errHeader) || b.Len() != size) {
			t.Errorf("%d bytes: %v, %d left", size, err, b.Len())
		}
	}
}

func FuzzReadHeader(f *testing.F) {
	for _, seed := range []string{"", "\x00", "\x00\x02{}", "\x00\x10{\"address\":\"x\"}", "\xff\xff{", "\x00\x1c{\"class\":\"x\",\"message\":\"\\n\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var a answer
		if err := readHeader(bytes.NewReader(b), &a); err != nil {
			return
		}
		err := a.failure("agent")
		if (err == nil) != (a.Class == "") {
			t.Errorf("%q is the failure %v", b, err)
		}
		if err != nil && (len(err.Error()) > 3*maxText || !portolan.Printable(err.Error())) {
			t.Errorf("%q is told as %q", b, err)
		}
	})
}
