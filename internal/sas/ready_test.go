package sas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan"
)

func TestReadyRow(t *testing.T) {
	t.Parallel()
	var c readyRows
	made := 0
	row := func(r *portolan.Registry) registryRow {
		made++
		return registryRow{ID: r.ID, RegistryName: r.Name, registryState: registryState{SyncStatus: "ok"}}
	}
	one, two := &portolan.Registry{ID: 1, Name: "a<b>&\"c\u2028é"}, &portolan.Registry{ID: 2}
	c.of([]*portolan.Registry{one}, row)
	rows := c.of([]*portolan.Registry{two, one}, row)
	if made != 2 {
		t.Errorf("%d rows were made, want each once", made)
	}
	if rows[0].ID != 2 || rows[1].ID != 1 {
		t.Errorf("rows %d and %d, want 2 and 1", rows[0].ID, rows[1].ID)
	}
	text := rows[1].AppendJSON([]byte("x"))
	var got registryRow
	if err := json.Unmarshal(text[1:], &got); err != nil {
		t.Fatal(err)
	}
	want := *rows[1]
	want.json = nil
	if d := cmp.Diff(want, got, cmp.AllowUnexported(registryRow{}, registryState{})); d != "" {
		t.Error(d)
	}
	if !bytes.Contains(text, []byte(`"a<b>&\"c\u2028é"`)) || bytes.Contains(text, []byte("Token")) {
		t.Errorf("not encoded as other answers are: %s", text)
	}
}

func TestReadyRowsAreBounded(t *testing.T) {
	t.Parallel()
	var c readyRows
	for i := range maxReady + 10 {
		r := &portolan.Registry{Name: fmt.Sprint(i)}
		if got := c.of([]*portolan.Registry{r}, func(r *portolan.Registry) registryRow { return registryRow{RegistryName: r.Name} }); got[0].RegistryName != r.Name {
			t.Fatalf("row of %s, want %s", got[0].RegistryName, r.Name)
		}
	}
	if len(c.rows) > maxReady {
		t.Errorf("%d rows are kept", len(c.rows))
	}
}
