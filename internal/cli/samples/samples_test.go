package samples_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	"portolan/internal/cli/samples"
)

func TestCounts(t *testing.T) {
	t.Parallel()
	handler, err := samples.New()
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string, into any) {
		t.Helper()
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			t.Fatalf("GET %s: %v", path, err)
		}
	}
	var catalogue struct{ Repositories []string }
	get("/v2/_catalog?n=100", &catalogue)
	tags := 0
	for _, name := range catalogue.Repositories {
		var list struct{ Tags []string }
		get("/v2/"+name+"/tags/list", &list)
		tags += len(list.Tags)
	}
	if len(catalogue.Repositories) != samples.Repositories || tags != samples.Tags {
		t.Errorf("%d repositories with %d tags, want %d with %d", len(catalogue.Repositories), tags, samples.Repositories, samples.Tags)
	}
}
