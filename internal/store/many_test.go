package store

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan"
)

func TestRowsAsValues(t *testing.T) {
	t.Parallel()
	rows := [][]any{{int64(1), portolan.Digest("a"), 2, []byte("x")}, {int64(3), portolan.Digest("b"), 4, []byte(nil)}}
	text, err := tuples(2, rows[0])
	if args := flat(rows); err != nil || text != "VALUES ($1,$2,$3,$4),($5,$6,$7,$8)" || !cmp.Equal(args, slices.Concat(rows...)) {
		t.Errorf("%s %v %v", text, args, err)
	}
	text, err = unnested(2, rows[0])
	want := []any{[]int64{1, 3}, []string{"a", "b"}, []int64{2, 4}, [][]byte{[]byte("x"), nil}}
	if args := columns(rows); err != nil || text != "SELECT * FROM unnest($1::bigint[],$2::text[],$3::bigint[],$4::bytea[])" || !cmp.Equal(args, want) {
		t.Errorf("%s %s %v", text, cmp.Diff(want, args), err)
	}
	if _, err := unnested(1, []any{1.5}); err == nil {
		t.Error("a number with a fraction has no column")
	}
}

// Lists of any length make few texts.
func TestFewTexts(t *testing.T) {
	t.Parallel()
	tx := &Tx{db: &DB{dialect: sqliteDialect}}
	texts := map[string]bool{}
	for n := 1; n <= 200; n++ {
		var args []any
		values := make([]int64, n)
		for i := range values {
			values[i] = int64(i)
		}
		texts[amongNumbers(tx, &args, values)] = true
		if len(args) < n || len(args) > 2*n+2 || args[n-1] != int64(n-1) || args[len(args)-1] != int64(n-1) {
			t.Errorf("%d values are %v", n, args)
		}
	}
	if len(texts) != 8 {
		t.Errorf("%d texts", len(texts))
	}
	tx.db.dialect = postgres
	args := []any{"before"}
	if text := amongTexts(tx, &args, []portolan.Digest{"a", "b"}); text != "= ANY($2::text[])" || !cmp.Equal(args, []any{"before", []string{"a", "b"}}) {
		t.Errorf("%s %v", text, args)
	}
	args = nil
	from, text, err := tx.amongDigests(t.Context(), &args, []portolan.Digest{"sha256:0123456789", "sha256:0123", ""})
	found := []string{"01234567", "0123", ""}
	if want := "substr(i.digest, 8, 8) = ANY($1::text[]) AND i.digest = ANY($2::text[])"; err != nil || from != "images i" || text != want || !cmp.Equal(args[0], any(found)) {
		t.Errorf("%s %s %v %v", from, text, args, err)
	}
}
