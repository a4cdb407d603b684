package registry

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"portolan"
)

const (
	extraParam = "ExtraParam"
	maxScope   = 1_000
	maxPath    = 512
	maxToken   = 64 << 10
	maxTrust   = 64 << 10
	// A token shorter than this shows nothing of itself.
	maskableToken = 20
	shownOfToken  = 8
)

// extra is what ExtraParam says; a nil field was not said, an empty one is to
// be emptied.
type extra struct {
	namespaces, repositories   *[]string
	excludes                   *[]string
	perMinute                  *perMinute
	window                     *string
	authTokens                 *map[string]string
	caCertificate, certificate *string
}

// parseExtra reads the documented form, a list of {namespace, authToken}, or
// the object with everything. Text that may hold secrets is never quoted in
// errors, keys are.
func parseExtra(text string) (extra, error) {
	raw := json.RawMessage(strings.TrimSpace(text))
	switch {
	case !utf8.Valid(raw):
	case bytes.HasPrefix(raw, []byte("[")):
		return parseExtraList(raw)
	case bytes.HasPrefix(raw, []byte("{")):
		return parseExtraObject(raw)
	}
	return extra{}, errExtra()
}

func errExtra() error {
	return portolan.Invalid(extraParam, "must be a JSON object or a JSON list of objects, each value of its documented type")
}

func parseExtraObject(raw json.RawMessage) (extra, error) {
	var x extra
	var tokens json.RawMessage
	fields := map[string]any{
		"namespaces": &x.namespaces, "repositories": &x.repositories, "authTokens": &tokens,
		"caCertificate": &x.caCertificate, "certificateSha256": &x.certificate,
		"excludeRepositories": &x.excludes, "requestsPerMinute": &x.perMinute, "syncWindow": &x.window,
	}
	given, err := members(raw, slices.Sorted(maps.Keys(fields)))
	if err != nil {
		return x, err
	}
	for key, value := range given {
		if err := json.Unmarshal(value, fields[key]); err != nil {
			return x, portolan.Invalid(extraParam, "has a %s that is not of its documented type", key)
		}
	}
	if tokens == nil || string(tokens) == "null" {
		return x, nil
	}
	list, err := members(tokens, nil)
	if err != nil {
		return x, err
	}
	named := map[string]string{}
	for namespace, value := range list {
		if err := addToken(named, namespace, value); err != nil {
			return x, err
		}
	}
	x.authTokens = &named
	return x, nil
}

func parseExtraList(raw json.RawMessage) (extra, error) {
	var x extra
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return x, errExtra()
	}
	namespaces, tokens := []string{}, map[string]string{}
	for i, item := range items {
		given, err := members(item, []string{"authToken", "namespace"})
		if err != nil {
			return x, err
		}
		var namespace string
		if err := json.Unmarshal(given["namespace"], &namespace); err != nil || namespace == "" {
			return x, portolan.Invalid(extraParam, "item %d has no namespace", i+1)
		}
		namespaces = append(namespaces, namespace)
		token := given["authToken"]
		if token == nil || string(token) == "null" || string(token) == `""` {
			continue
		}
		if err := addToken(tokens, namespace, token); err != nil {
			return x, err
		}
	}
	x.namespaces = &namespaces
	if len(tokens) > 0 {
		x.authTokens = &tokens
	}
	return x, nil
}

// members takes an object apart. Each key may come once, and only known ones
// if known is not nil.
func members(raw json.RawMessage, known []string) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errExtra()
	}
	given := map[string]json.RawMessage{}
	for dec.More() {
		t, err := dec.Token()
		key, ok := t.(string)
		var value json.RawMessage
		if err != nil || !ok || dec.Decode(&value) != nil {
			return nil, errExtra()
		}
		switch {
		case known != nil && !slices.Contains(known, key):
			return nil, portolan.Invalid(extraParam, "has the unknown key %q; it may have %s", key, strings.Join(known, ", "))
		case given[key] != nil:
			return nil, portolan.Invalid(extraParam, "has the key %q twice", key)
		}
		given[key] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, errExtra()
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, portolan.Invalid(extraParam, "must be one JSON value with nothing after it")
	}
	return given, nil
}

func addToken(tokens map[string]string, namespace string, value json.RawMessage) error {
	name, err := cleanPath("authTokens", namespace)
	if err != nil {
		return err
	}
	var token string
	switch err := json.Unmarshal(value, &token); {
	case err != nil || token == "" || len(token) > maxToken:
		return portolan.Invalid(extraParam, "has an auth token for %q that is not a text of 1 to %d bytes", name, maxToken)
	case strings.HasSuffix(token, portolan.TokenMask):
		return portolan.Invalid(extraParam, "has the mask that answers show as the auth token for %q; leave authTokens out to keep the stored ones", name)
	case tokens[name] != "":
		return portolan.Invalid(extraParam, "has two auth tokens for %q", name)
	case len(tokens) == maxScope:
		return portolan.Invalid(extraParam, "has more than %d authTokens", maxScope)
	}
	tokens[name] = token
	return nil
}

// givesTokens reports whether ExtraParam has auth tokens.
func givesTokens(text string) bool {
	x, err := parseExtra(text)
	return err == nil && x.authTokens != nil && len(*x.authTokens) > 0
}

// applyExtra writes what ExtraParam says into the draft; what it does not say
// stays.
func applyExtra(d *Draft, text string) error {
	if text == "" {
		return nil
	}
	x, err := parseExtra(text)
	if err != nil {
		return err
	}
	e := &d.Registry.Extra
	if err := setScope(&e.Namespaces, "namespaces", x.namespaces); err != nil {
		return err
	}
	if err := setScope(&e.Repositories, "repositories", x.repositories); err != nil {
		return err
	}
	if err := applyTrust(e, x); err != nil {
		return err
	}
	if err := applyManners(e, x); err != nil {
		return err
	}
	if x.authTokens == nil {
		return nil
	}
	d.Credential.AuthTokens, e.TokenMasks = *x.authTokens, map[string]string{}
	for namespace, token := range *x.authTokens {
		e.TokenMasks[namespace] = MaskToken(token)
	}
	return nil
}

// MaskToken is what may be shown of a token: its first 8 characters if it is
// long enough to keep the rest secret.
func MaskToken(token string) string {
	runes := []rune(token)
	if len(runes) < maskableToken {
		return portolan.TokenMask
	}
	return string(runes[:shownOfToken]) + portolan.TokenMask
}

func setScope(into *[]string, key string, paths *[]string) error {
	if paths == nil {
		return nil
	}
	if len(*paths) > maxScope {
		return portolan.Invalid(extraParam, "has more than %d %s", maxScope, key)
	}
	seen := map[string]bool{}
	for _, p := range *paths {
		clean, err := cleanPath(key, p)
		if err != nil {
			return err
		}
		seen[clean] = true
	}
	*into = slices.Sorted(maps.Keys(seen))
	return nil
}

func cleanPath(key, p string) (string, error) {
	p = strings.Trim(p, "/")
	if p == "" || len(p) > maxPath || !portolan.Printable(p) || strings.Contains(p, "//") {
		return "", portolan.Invalid(extraParam, "has an item of %s that is not a path such as team/app", key)
	}
	return p, nil
}

func applyTrust(e *portolan.Extra, x extra) error {
	if x.caCertificate != nil {
		if *x.caCertificate != "" && !certificates(*x.caCertificate) {
			return portolan.Invalid(extraParam, "has a caCertificate that is not PEM text of certificates of at most %d bytes", maxTrust)
		}
		e.CACertificate = *x.caCertificate
	}
	if x.certificate == nil {
		return nil
	}
	sum := strings.ToLower(strings.ReplaceAll(*x.certificate, ":", ""))
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != 32 && len(raw) != 0 {
		return portolan.Invalid(extraParam, "has a certificateSha256 that is not 64 hex digits")
	}
	e.CertificateSHA256 = sum
	return nil
}

// certificates reports whether PEM text holds certificates and nothing else:
// a private key that was pasted along must not be kept.
func certificates(text string) bool {
	if len(text) > maxTrust {
		return false
	}
	found := false
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err != nil || block.Type != "CERTIFICATE" {
			return false
		}
		found = true
	}
	return found
}
