package test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"portolan/internal/app"
	"portolan/internal/sas"
)

// What the pages say of the operations is what there is.
func TestPagesCountOperations(t *testing.T) {
	t.Parallel()
	vendor, own := 0, 0
	for _, e := range app.Endpoints(&sas.Service{}) {
		if e.Extension {
			own++
		} else {
			vendor++
		}
	}
	for page, want := range map[string]string{
		"../README.md":    fmt.Sprintf("%d of Security Center, %d of our own", vendor, own),
		"../CHANGELOG.md": fmt.Sprintf("- %d operations of Security Center 2018-12-03 around image registries, %d of our own", vendor, own),
	} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%s does not say %q", page, want)
		}
	}
}
