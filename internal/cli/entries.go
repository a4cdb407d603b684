package cli

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// readEntries reads the registries of a YAML or CSV file.
func (s *shell) readEntries(path string) ([]settings, error) {
	text, err := s.readValue("the file to import", path)
	if err != nil {
		return nil, err
	}
	parse := parseYAML
	if strings.HasSuffix(strings.ToLower(path), ".csv") {
		parse = parseCSV
	}
	entries, err := parse(text)
	if err != nil {
		return nil, usagef("%s: %w", path, err)
	}
	if len(entries) == 0 {
		return nil, usagef("%s has no registries", path)
	}
	for i, e := range entries {
		if e.Type == "" || e.Host == "" {
			return nil, usagef("%s: entry %d needs type and host", path, i+1)
		}
	}
	return entries, nil
}

// parseYAML reads a list of entries. Errors tell the line and never quote it:
// it may hold a password.
func parseYAML(text string) ([]settings, error) {
	var entries []settings
	err := decodeYAML([]byte(text), &entries)
	if err == nil {
		return entries, nil
	}
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		return nil, fmt.Errorf("line %d: %s", at.GetToken().Position.Line, at.GetMessage())
	}
	return nil, errors.New("it is not a YAML list of registries; see portolan registry import --help")
}

// decodeYAML decodes a document and refuses unknown keys. The decoder panics on
// some documents that nobody writes on purpose, such as those with a tag on a
// map where a list is wanted.
func decodeYAML(b []byte, into any) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("it is not YAML of the documented form")
		}
	}()
	return yaml.UnmarshalWithOptions(b, into, yaml.Strict())
}

// parseCSV reads entries with the names of the YAML form in the first line.
func parseCSV(text string) ([]settings, error) {
	r := csv.NewReader(strings.NewReader(text))
	names, err := r.Read()
	if err != nil {
		return nil, errors.New("the first line must have the names of the columns, such as type,host,user")
	}
	var entries []settings
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if bad, ok := errors.AsType[*csv.ParseError](err); ok {
			return nil, fmt.Errorf("line %d does not have the columns of the first line, or a quotation mark is not closed", bad.Line)
		}
		if err != nil {
			return nil, errors.New("it is not a CSV file")
		}
		line, _ := r.FieldPos(0)
		var e settings
		for i, name := range names {
			if err := e.set(strings.TrimSpace(name), cells[i]); err != nil {
				return nil, fmt.Errorf("line %d: %w", line, err)
			}
		}
		entries = append(entries, e)
	}
}

// set gives an entry the value of a column.
func (x *settings) set(name, value string) (err error) {
	texts := map[string]*string{
		"type": &x.Type, "host": &x.Host, "name": &x.Name, "user": &x.User, "password": &x.Password, "passwordFile": &x.PasswordFile,
		"address": &x.Address, "region": &x.Region, "vpc": &x.VPC, "caFile": &x.CAFile, "certificateSha256": &x.CertificateSHA256,
		"whiteList": &x.WhiteList, "blackList": &x.BlackList,
	}
	numbers := map[string]*int{"port": &x.Port, "transPerHour": &x.TransPerHour, "persistenceDay": &x.PersistenceDay}
	lists := map[string]*[]string{"namespaces": &x.Namespaces, "repositories": &x.Repositories}
	switch {
	case texts[name] != nil:
		*texts[name] = value
	case value == "":
	case numbers[name] != nil:
		*numbers[name], err = strconv.Atoi(value)
	case lists[name] != nil:
		*lists[name] = strings.Fields(value)
	case name == "http":
		x.HTTP, err = strconv.ParseBool(value)
	default:
		return fmt.Errorf("there is no column %q", name)
	}
	if err != nil {
		return fmt.Errorf("%q is not a value of %s", value, name)
	}
	return nil
}
