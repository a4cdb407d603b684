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

// errUnpacked is returned for a row that cannot be told from its packed text: one
// of its texts holds the separator, or a column is not what it should be. It is
// to be read by its columns.
var errUnpacked = errors.New("a row cannot be read as one text")

// packedRow is a row as one text, to be scanned into integers and texts. Texts
// share its memory.
type packedRow string

// Scan implements scanner. The first columns are enough.
func (p packedRow) Scan(targets ...any) error {
	rest := string(p)
	for _, target := range targets {
		var field string
		if field, rest, _ = strings.Cut(rest, separator); !assign(target, field) {
			return errUnpacked
		}
	}
	return nil
}

// fits reports whether a row has as many columns, with integers where they are
// expected, so that scanning it cannot fail.
func (p packedRow) fits(integers []bool) bool {
	column, start, digits := 0, 0, 0
	for i := range len(p) {
		switch c := p[i]; {
		case c == separator[0]:
			if integers[column] && digits == 0 {
				return false
			}
			if column++; column == len(integers) {
				return false
			}
			start, digits = i+1, 0
		case '0' <= c && c <= '9':
			digits++
		case integers[column] && (c != '-' || i > start):
			return false
		}
	}
	return column == len(integers)-1 && (!integers[column] || digits > 0)
}

// integersOf are the columns that a scan of rows takes as integers.
func integersOf[T any](scan func(scanner) (T, error)) []bool {
	var k kinds
	_, _ = scan(&k)
	return k
}

// kinds is a row that tells what it is scanned into.
type kinds []bool

// Scan implements scanner.
func (k *kinds) Scan(targets ...any) error {
	for _, target := range targets {
		switch target.(type) {
		case *int, *int64:
			*k = append(*k, true)
		default:
			*k = append(*k, false)
		}
	}
	return errUnpacked // there is nothing in it
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
