package store

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// insertMany inserts rows, of as many columns each, and answers how many were
// inserted.
func (tx *Tx) insertMany(ctx context.Context, into string, rows [][]any, suffix string) (inserted int64, err error) {
	err = tx.withRows(ctx, into+" @ROWS "+suffix, rows, func(ctx context.Context, text string, args []any) error {
		n, err := tx.exec(ctx, text, args...)
		inserted += n
		return err
	})
	return inserted, err
}

// withRows hands on a statement with rows in the place of @ROWS, and its
// arguments, in parts. The text is made once for parts of the same size.
func (tx *Tx) withRows(ctx context.Context, statement string, rows [][]any, run func(ctx context.Context, text string, args []any) error) error {
	var text string
	size := 0
	return inFew(ctx, tx, rows, func(ctx context.Context, part [][]any) error {
		if len(part) != size {
			values, err := tx.db.dialect.values(len(part), part[0])
			if err != nil {
				return err
			}
			text, size = strings.Replace(statement, "@ROWS", values, 1), len(part)
		}
		return run(ctx, text, tx.db.dialect.rows(part))
	})
}

// unwatched is the context for a statement that is soon over. SQLite's driver
// has a goroutine watch over each whose context can end, which takes longer than
// to write or find a row: there the end is looked for between them.
func (tx *Tx) unwatched(ctx context.Context) context.Context {
	if tx.db.Postgres() {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// inFew hands a list on in parts of as many as a statement takes.
func inFew[T any](ctx context.Context, tx *Tx, list []T, do func(ctx context.Context, part []T) error) error {
	inner := tx.unwatched(ctx)
	for part := range slices.Chunk(list, tx.db.dialect.together) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := do(inner, part); err != nil {
			return err
		}
	}
	return nil
}

// tuples are rows as a list of values each.
func tuples(n int, first []any) (string, error) {
	var b strings.Builder
	for i := range n * len(first) {
		switch {
		case i == 0:
			b.WriteString("VALUES ($1")
		case i%len(first) == 0:
			b.WriteString("),($" + strconv.Itoa(i+1))
		default:
			b.WriteString(",$" + strconv.Itoa(i+1))
		}
	}
	return b.String() + ")", nil
}

func flat(rows [][]any) []any { return slices.Concat(rows...) }

// unnested are rows as a list for each column, so that the text does not depend
// on how many there are.
func unnested(_ int, first []any) (string, error) {
	types := make([]string, len(first))
	for n, v := range first {
		switch reflect.ValueOf(v).Kind() {
		case reflect.String:
			types[n] = "text"
		case reflect.Int, reflect.Int64:
			types[n] = "bigint"
		case reflect.Slice:
			types[n] = "bytea"
		default:
			return "", fmt.Errorf("no column can be made of a %T", v)
		}
		types[n] = "$" + strconv.Itoa(n+1) + "::" + types[n] + "[]"
	}
	return "SELECT * FROM unnest(" + strings.Join(types, ",") + ")", nil
}

func columns(rows [][]any) []any {
	args := make([]any, len(rows[0]))
	for n, first := range rows[0] {
		switch reflect.ValueOf(first).Kind() {
		case reflect.String:
			args[n] = column(rows, n, reflect.Value.String)
		case reflect.Slice:
			args[n] = column(rows, n, reflect.Value.Bytes)
		default:
			args[n] = column(rows, n, reflect.Value.Int)
		}
	}
	return args
}

func column[T any](rows [][]any, n int, of func(reflect.Value) T) []T {
	list := make([]T, len(rows))
	for i, row := range rows {
		list[i] = of(reflect.ValueOf(row[n]))
	}
	return list
}

// marks appends values to the arguments and answers their placeholders.
func marks[T any](args *[]any, values []T) string {
	var b strings.Builder
	for i, v := range values {
		*args = append(*args, v)
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("$" + strconv.Itoa(len(*args)))
	}
	return b.String()
}

// amongTexts is the condition that something is among values, which it appends
// to the arguments: the text of a statement should not depend on how many there
// are, or on few numbers of them.
func amongTexts[T ~string](tx *Tx, args *[]any, values []T) string {
	if !tx.db.dialect.lists {
		return "IN (" + marks(args, padded(values)) + ")"
	}
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = string(v)
	}
	*args = append(*args, list)
	return "= ANY($" + strconv.Itoa(len(*args)) + "::text[])"
}

// amongNumbers is amongTexts for numbers.
func amongNumbers(tx *Tx, args *[]any, values []int64) string {
	if !tx.db.dialect.lists {
		return "IN (" + marks(args, padded(values)) + ")"
	}
	*args = append(*args, values)
	return "= ANY($" + strconv.Itoa(len(*args)) + "::bigint[])"
}

// padded repeats the last of some values up to one of few lengths, so that the
// texts of the statements that look them up stay few.
func padded[T any](values []T) []T {
	if len(values) < 2 {
		return values
	}
	n := 4
	for n < len(values) {
		n *= 2
	}
	return append(slices.Clip(values), slices.Repeat(values[len(values)-1:], n-len(values))...)
}
