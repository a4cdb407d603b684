package store

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
)

// A column costs a driver more than what is in it; SQLite's takes a mutex for
// each. Rows of many columns that are read by the thousand are read as one
// text, in two thirds of the time.

// packed is the expression of columns as one text. They must be NOT NULL.
func packed(columns string) string { return "concat_ws(@US, " + columns + ")" }

const separator = "\x1f"

// errUnpacked is returned for a row that cannot be told from its packed text,
// because one of its texts holds the separator. It is to be read by its columns.
var errUnpacked = errors.New("a row cannot be read as one text")

// packedRow is a row as one text, to be scanned into integers and texts. Texts
// share its memory.
type packedRow string

// Scan implements scanner.
func (p packedRow) Scan(targets ...any) error {
	if p.columns() != len(targets) {
		return errUnpacked
	}
	return p.scanFirst(targets)
}

// columns is the number of columns, if no text holds the separator.
func (p packedRow) columns() int { return strings.Count(string(p), separator) + 1 }

// scanFirst scans the first columns.
func (p packedRow) scanFirst(targets []any) error {
	rest := string(p)
	for _, target := range targets {
		var field string
		if field, rest, _ = strings.Cut(rest, separator); !assign(target, field) {
			return errUnpacked
		}
	}
	return nil
}

// assign reports whether the field was one for the target.
func assign(target any, field string) bool {
	var err error
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
	return err == nil
}
