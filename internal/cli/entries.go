package cli

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"portolan"
)

// entry is one registry of a file to import.
type entry struct {
	settings
	line int

	// What the checks make of it: the parameters of AddPrivateRegistry, and the
	// registry that it will be, with names in their normal form.
	params params
	draft  *portolan.Registry
}

// mistakef is a mistake in a line of a file.
func mistakef(line int, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", line, fmt.Sprintf(format, args...))
}

// readEntries reads the registries of a YAML or CSV file, and answers all
// mistakes in its form.
func (s *shell) readEntries(path string) (entries []entry, mistakes []error, err error) {
	text, err := s.readValue("the file to import", path)
	if err != nil {
		return nil, nil, err
	}
	parse := parseYAML
	if strings.HasSuffix(strings.ToLower(path), ".csv") {
		parse = parseCSV
	}
	entries, mistakes = parse(text)
	if len(entries)+len(mistakes) == 0 {
		return nil, nil, usagef("%s has no registries", path)
	}
	return entries, mistakes, nil
}

// parseYAML reads a list of entries: those that are well formed, and the
// mistakes of the others. Mistakes tell the line and never quote it: it may
// hold a password.
func parseYAML(text string) (entries []entry, mistakes []error) {
	nodes, err := elements(text)
	if err != nil {
		return nil, []error{yamlMistake(err)}
	}
	if slices.ContainsFunc(nodes, func(n ast.Node) bool { return len(ast.Filter(ast.AliasType, n)) > 0 }) {
		return parseTied(text, nodes)
	}
	for _, n := range nodes {
		var (
			x    settings
			keys map[string]any
		)
		err := guarded(func() error {
			return errors.Join(yaml.NodeToValue(n, &x, yaml.Strict()), yaml.NodeToValue(n, &keys))
		})
		if err != nil {
			mistakes = append(mistakes, yamlMistake(err))
			continue
		}
		entries = append(entries, entryOf(n, x, keys))
	}
	return entries, mistakes
}

// parseTied reads entries that aliases tie together, so that none can be read
// without the others.
func parseTied(text string, nodes []ast.Node) (entries []entry, mistakes []error) {
	var (
		list []settings
		keys []map[string]any
	)
	if err := errors.Join(decodeYAML([]byte(text), &list), decodeYAML([]byte(text), &keys)); err != nil {
		return nil, []error{yamlMistake(err)}
	}
	if len(list) != len(nodes) || len(keys) != len(nodes) {
		return nil, []error{yamlMistake(errNotYAML)}
	}
	for i, n := range nodes {
		entries = append(entries, entryOf(n, list[i], keys[i]))
	}
	return entries, nil
}

func entryOf(n ast.Node, x settings, keys map[string]any) entry {
	x.given = map[string]bool{}
	for name, value := range keys {
		x.given[name] = value != nil
	}
	return entry{settings: x, line: n.GetToken().Position.Line}
}

// elements answers the elements of a list, with their places.
func elements(text string) (nodes []ast.Node, err error) {
	err = guarded(func() error {
		file, err := parser.ParseBytes([]byte(text), 0)
		if err != nil || len(file.Docs) == 0 || file.Docs[0].Body == nil {
			return err
		}
		list, ok := file.Docs[0].Body.(*ast.SequenceNode)
		if !ok {
			return errNotYAML
		}
		nodes = list.Values
		return nil
	})
	return nodes, err
}

func yamlMistake(err error) error {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		return mistakef(at.GetToken().Position.Line, "%s", at.GetMessage())
	}
	return errors.New("it is not a YAML list of registries; see portolan registry import --help")
}

var errNotYAML = errors.New("it is not YAML of the documented form")

// decodeYAML decodes a document and refuses unknown keys.
func decodeYAML(b []byte, into any) error {
	return guarded(func() error { return yaml.UnmarshalWithOptions(b, into, yaml.Strict()) })
}

// guarded reads YAML. The decoder panics on some documents that nobody writes
// on purpose, such as those with a tag on a map where a list is wanted.
func guarded(read func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errNotYAML
		}
	}()
	return read()
}

// parseCSV reads entries with the names of the YAML form in the first line:
// those that are well formed, and the mistakes of the others.
func parseCSV(text string) (entries []entry, mistakes []error) {
	r := csv.NewReader(strings.NewReader(text))
	names, err := r.Read()
	if err != nil {
		return nil, []error{errors.New("the first line must have the names of the columns, such as type,host,user")}
	}
	for i := range names {
		if names[i] = strings.TrimSpace(names[i]); !slices.Contains(csvColumns(), names[i]) {
			mistakes = append(mistakes, mistakef(1, "there is no column %q", names[i]))
		}
	}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if bad, ok := errors.AsType[*csv.ParseError](err); ok {
			mistakes = append(mistakes, mistakef(bad.Line, "does not have the columns of the first line, or a quotation mark is not closed"))
			if errors.Is(err, csv.ErrFieldCount) {
				continue
			}
			break
		}
		if err != nil {
			return entries, append(mistakes, errors.New("it is not a CSV file"))
		}
		line, _ := r.FieldPos(0)
		e := entry{line: line, settings: settings{given: map[string]bool{}}}
		wrong := e.fill(names, cells)
		if mistakes = append(mistakes, wrong...); wrong == nil {
			entries = append(entries, e)
		}
	}
	return entries, mistakes
}

// fill gives an entry the cells of its line. An empty cell is absent.
func (e *entry) fill(names, cells []string) (mistakes []error) {
	for i, name := range names {
		if cells[i] == "" {
			continue
		}
		e.given[name] = true
		if err := e.set(name, cells[i]); err != nil {
			mistakes = append(mistakes, mistakef(e.line, "%v", err))
		}
	}
	return mistakes
}

func csvColumns() []string {
	texts, numbers, lists := new(settings).places()
	return slices.Concat([]string{"http"}, slices.Collect(maps.Keys(texts)), slices.Collect(maps.Keys(numbers)), slices.Collect(maps.Keys(lists)))
}

// places are where the values of columns go.
func (x *settings) places() (texts map[string]*string, numbers map[string]*int, lists map[string]*[]string) {
	texts = map[string]*string{
		"type": &x.Type, "host": &x.Host, "name": &x.Name, "user": &x.User, "password": &x.Password, "passwordFile": &x.PasswordFile,
		"address": &x.Address, "region": &x.Region, "vpc": &x.VPC, "caFile": &x.CAFile, "certificateSha256": &x.CertificateSHA256,
		"whiteList": &x.WhiteList, "blackList": &x.BlackList, "syncWindow": &x.Window,
	}
	numbers = map[string]*int{"port": &x.Port, "transPerHour": &x.TransPerHour, "persistenceDay": &x.PersistenceDay, "requestsPerMinute": &x.PerMinute}
	lists = map[string]*[]string{"namespaces": &x.Namespaces, "repositories": &x.Repositories, "excludeRepositories": &x.Excludes}
	return texts, numbers, lists
}

// set gives an entry the value of a column; unknown columns are told once.
func (x *settings) set(name, value string) (err error) {
	texts, numbers, lists := x.places()
	switch {
	case texts[name] != nil:
		*texts[name] = value
	case numbers[name] != nil:
		*numbers[name], err = strconv.Atoi(value)
	case lists[name] != nil:
		*lists[name] = strings.Fields(value)
	case name == "http":
		x.HTTP, err = strconv.ParseBool(value)
	}
	if err != nil {
		return fmt.Errorf("%q is not a value of %s", value, name)
	}
	return nil
}
