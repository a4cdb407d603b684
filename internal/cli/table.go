package cli

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// column is one column of a list. Tables cut a text that is wider than wide;
// programs get all of it.
type column struct {
	title, field string
	wide         int
	show         func(row map[string]any) string
	// detail columns are left out of tables.
	detail bool
}

// listing prints rows as they come.
type listing struct {
	shell   *shell
	form    string
	columns []column
	// empty is told to a person when there are no rows.
	empty string
}

// print writes the rows and answers how many there were.
func (l *listing) print(rows iter.Seq2[json.RawMessage, error]) (int, error) {
	switch l.form {
	case asJSON:
		return l.json(rows)
	case asCSV:
		return l.csv(rows)
	}
	return l.table(rows)
}

func (l *listing) json(rows iter.Seq2[json.RawMessage, error]) (n int, err error) {
	for row, err := range rows {
		if err != nil {
			return n, err
		}
		var b bytes.Buffer
		b.WriteString(",\n  ")
		if n == 0 {
			b.Reset()
			b.WriteString("[\n  ")
		}
		if err := json.Indent(&b, row, "  ", "  "); err != nil {
			return n, err
		}
		if _, err := l.shell.out.Write(b.Bytes()); err != nil {
			return n, err
		}
		n++
	}
	end := "\n]\n"
	if n == 0 {
		end = "[]\n"
	}
	_, err = io.WriteString(l.shell.out, end)
	return n, err
}

func (l *listing) csv(rows iter.Seq2[json.RawMessage, error]) (n int, err error) {
	w := csv.NewWriter(l.shell.out)
	titles := make([]string, len(l.columns))
	for i, c := range l.columns {
		titles[i] = c.field
	}
	if err := w.Write(titles); err != nil {
		return 0, err
	}
	for raw, err := range rows {
		if err != nil {
			w.Flush()
			return n, err
		}
		row, err := decodeRow(raw)
		if err != nil {
			return n, err
		}
		cells := make([]string, len(l.columns))
		for i, c := range l.columns {
			cells[i] = text(row[c.field])
		}
		if err := w.Write(cells); err != nil {
			return n, err
		}
		n++
	}
	w.Flush()
	return n, w.Error()
}

func (l *listing) table(rows iter.Seq2[json.RawMessage, error]) (n int, err error) {
	w := tabwriter.NewWriter(l.shell.out, 0, 0, 2, ' ', 0)
	p := l.shell.line
	defer p.done()
	for raw, err := range rows {
		if err != nil {
			return n, errors.Join(w.Flush(), err)
		}
		row, err := decodeRow(raw)
		if err != nil {
			return n, err
		}
		if n == 0 {
			l.line(w, func(c column) string { return c.title })
		}
		l.line(w, func(c column) string { return c.cell(row) })
		if n++; n%pageSize == 0 {
			p.say(count(n, "row", "rows") + " …")
		}
	}
	p.done()
	if n == 0 && l.empty != "" {
		l.shell.tell("%s", l.empty)
	}
	return n, w.Flush()
}

// line writes a line of a table, without blanks at its end.
func (l *listing) line(w io.Writer, cell func(column) string) {
	var cells []string
	for _, c := range l.columns {
		if !c.detail {
			cells = append(cells, cell(c))
		}
	}
	_, _ = io.WriteString(w, strings.TrimRight(strings.Join(cells, "\t"), "\t")+"\n") // told by Flush
}

func (c *column) cell(row map[string]any) string {
	show := c.show
	if show == nil {
		show = field(c.field, func(value string) string { return value })
	}
	t := printable(show(row))
	if runes := []rune(t); c.wide > 0 && len(runes) > c.wide {
		t = string(runes[:c.wide-1]) + "…"
	}
	if t == "" {
		t = "-"
	}
	return t
}

// printable takes out what could steer a terminal: names and messages come
// from registries.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return '?'
	}, text)
}

func decodeRow(raw json.RawMessage) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var row map[string]any
	if err := dec.Decode(&row); err != nil {
		return nil, fmt.Errorf("a row of the answer is not a JSON object: %w", err)
	}
	return row, nil
}

// text writes a JSON value in a cell; lists are comma-separated.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		words := make([]string, len(v))
		for i, item := range v {
			words[i] = text(item)
		}
		return strings.Join(words, ",")
	}
	return fmt.Sprint(v)
}

// field shows a field of a row in another way.
func field(name string, show func(string) string) func(map[string]any) string {
	return func(row map[string]any) string { return show(text(row[name])) }
}

// shownDigits is as much of a digest as people compare.
const shownDigits = 12

func shortDigest(d string) string { return d[:min(len(d), shownDigits)] }

// size writes bytes, which the wire has as text.
func size(n string) string {
	bytes, err := strconv.ParseFloat(n, 64)
	if err != nil {
		return n
	}
	units := []string{"B", "KB", "MB", "GB", "TB"}
	i := 0
	for ; bytes >= 1000 && i < len(units)-1; i++ {
		bytes /= 1000
	}
	if i == 0 {
		return fmt.Sprintf("%.0f B", bytes)
	}
	return fmt.Sprintf("%.1f %s", bytes, units[i])
}

// knownSize writes the size of an image, nothing for one that nobody told.
func knownSize(n string) string {
	if n == "0" {
		return ""
	}
	return size(n)
}

// day writes milliseconds as a date.
func day(ms string) string {
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil || n <= 0 {
		return ""
	}
	return time.UnixMilli(n).UTC().Format(time.DateOnly)
}

// facts prints names and values below each other, but for empty values.
func (s *shell) facts(pairs ...string) {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for pair := range slices.Chunk(pairs, 2) {
		if value := pair[len(pair)-1]; value != "" {
			_, _ = fmt.Fprintf(w, "%s\t%s\n", pair[0], printable(value))
		}
	}
	_ = w.Flush() // Main tells
}

// answer prints a JSON document for people and programs.
func (s *shell) answer(body []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", "  "); err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	b.WriteByte('\n')
	_, err := s.out.Write(b.Bytes())
	return err
}

// list prints a paged operation to its end.
func (s *shell) list(ctx context.Context, c *client, operation, field string, p params, l listing) (int, error) {
	l.shell = s
	return l.print(c.rows(ctx, operation, field, p))
}

// count writes a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
