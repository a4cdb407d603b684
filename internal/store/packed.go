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
// because one of its texts holds the separator. It is to be read by its columns.
var errUnpacked = errors.New("a row cannot be read as one text")

const separator = "\x1f"

// packed is the expression of columns as one text. They must be NOT NULL.
func packed(columns string) string { return "concat_ws(@US, " + columns + ")" }

// unpacking makes a scanner of whole rows one of packed ones. Its targets may
// be integers and texts.
func unpacking[T any](scan func(scanner) (T, error)) func(scanner) (T, error) {
	p := packedRow{known: map[string]string{}}
	return func(row scanner) (T, error) {
		p.row = row
		return scan(&p)
	}
}

type packedRow struct {
	row scanner
	// known are texts met before: types, regions and versions repeat.
	known map[string]string
}

const maxKnown = 1_000

// Scan implements scanner.
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
		if err := p.assign(target, field); err != nil {
			return fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return nil
}

func (p *packedRow) assign(target any, field string) (err error) {
	switch t := target.(type) {
	case *string:
		*t = p.own(field)
	case *int64:
		*t, err = strconv.ParseInt(field, 10, 64)
	case *int:
		*t, err = strconv.Atoi(field)
	default: // a string type
		reflect.ValueOf(target).Elem().SetString(p.own(field))
	}
	return err
}

// own is a text that does not keep the whole row in memory.
func (p *packedRow) own(field string) string {
	if field == "" {
		return ""
	}
	if known, ok := p.known[field]; ok {
		return known
	}
	field = strings.Clone(field)
	if len(p.known) < maxKnown {
		p.known[field] = field
	}
	return field
}
