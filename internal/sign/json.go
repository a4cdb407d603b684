package sign

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"unicode/utf8"

	"portolan"
)

// json reads a JSON object. It goes by tokens, since decoding into a map would
// hide a name that comes twice.
func (d *decoder) json(body []byte) error {
	if !utf8.Valid(body) {
		return portolan.Invalid("The body", "must be text in UTF-8")
	}
	tokens := json.NewDecoder(bytes.NewReader(body))
	tokens.UseNumber()
	if t, err := tokens.Token(); err != nil || t != json.Delim('{') {
		return portolan.Invalid("The body", "must be a JSON object")
	}
	if err := d.jsonObject(tokens, ""); err != nil {
		return err
	}
	if _, err := tokens.Token(); err != io.EOF {
		return portolan.Invalid("The body", "must be one JSON object and nothing after it")
	}
	return nil
}

// jsonObject reads up to the closing brace. Each level lengthens the name, so
// that the limit of names bounds the depth.
func (d *decoder) jsonObject(tokens *json.Decoder, prefix string) error {
	for tokens.More() {
		key, err := tokens.Token()
		if err != nil {
			return badJSON(tokens)
		}
		name, _ := key.(string)
		if name == "" {
			return portolan.Invalid("The body", "has an empty name near byte %d", tokens.InputOffset())
		}
		if err := d.jsonValue(tokens, prefix+name); err != nil {
			return err
		}
	}
	return closeJSON(tokens)
}

func (d *decoder) jsonList(tokens *json.Decoder, prefix string) error {
	for i := 1; tokens.More(); i++ {
		if err := d.jsonValue(tokens, prefix+strconv.Itoa(i)); err != nil {
			return err
		}
	}
	return closeJSON(tokens)
}

func (d *decoder) jsonValue(tokens *json.Decoder, name string) error {
	if err := d.checkName(name); err != nil {
		return err
	}
	token, err := tokens.Token()
	if err != nil {
		return badJSON(tokens)
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return d.jsonObject(tokens, name+".")
		}
		return d.jsonList(tokens, name+".")
	case string:
		return d.add(name, t)
	case json.Number:
		return d.add(name, t.String())
	case bool:
		return d.add(name, strconv.FormatBool(t))
	}
	return nil // null
}

func closeJSON(tokens *json.Decoder) error {
	if _, err := tokens.Token(); err != nil {
		return badJSON(tokens)
	}
	return nil
}

// badJSON tells the place only: the decoder's own message quotes the body.
func badJSON(tokens *json.Decoder) error {
	return portolan.Invalid("The body", "is not valid JSON near byte %d", tokens.InputOffset())
}
