package store

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// A column costs a driver more than what is in it; SQLite's takes a mutex for
// each. Rows of many columns that are read by the thousand are read as one
// text, in two thirds of the time.

// errUnpacked is returned for a row that cannot be told from its packed text,
// because one of its texts holds the separator or one of its columns is NULL.
// It is to be read by its columns.
var errUnpacked = errors.New("a row cannot be read as one text")

const separator = "\x1f"

// packed is the expression of columns as one text.
func packed(columns string) string { return "concat_ws(@US, " + columns + ")" }

// unpacking makes a scanner of whole rows one of packed ones. Its targets may
// be integers and texts.
func unpacking[T any](scan func(scanner) (T, error)) func(scanner) (T, error) {
	var p packedRow
	return func(row scanner) (T, error) {
		p.row = row
		return scan(&p)
	}
}

type packedRow struct{ row scanner }

// Scan implements scanner. The texts share the memory of the whole row.
func (p *packedRow) Scan(targets ...any) error {
	var text string
	if err := p.row.Scan(&text); err != nil {
		return err
	}
	if strings.Count(text, separator) != len(targets)-1 {
		return errUnpacked
	}
	for i, target := range targets {
		var field string
		field, text, _ = strings.Cut(text, separator)
		if err := assign(target, field); err != nil {
			return fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return nil
}

func assign(target any, field string) (err error) {
	if field == "" {
		field = "" // and not an empty piece of the row, which would keep it
	}
	switch t := target.(type) {
	case *string:
		*t = field
	case *int64:
		*t, err = strconv.ParseInt(field, 10, 64)
	case *int:
		*t, err = strconv.Atoi(field)
	default: // a string type
		reflect.ValueOf(target).Elem().SetString(field)
	}
	return err
}
