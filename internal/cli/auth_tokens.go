package cli

import (
	"strings"

	"github.com/spf13/pflag"
)

// authTokenFiles say where the auth tokens of organisations come from: never
// from the command line, where others on the machine can see them.
type authTokenFiles []string

func (a *authTokenFiles) add(fs *pflag.FlagSet) {
	fs.StringArrayVar((*[]string)(a), "auth-token-file", nil, "ORGANISATION=FILE with the auth token of one of Quay's organisations (repeatable)")
}

// readAuthTokens answers the tokens by organisation, nil for none.
func (s *shell) readAuthTokens(files authTokenFiles) (map[string]string, error) {
	var tokens map[string]string
	for _, item := range files {
		organisation, path, ok := strings.Cut(item, "=")
		if !ok || organisation == "" || path == "" {
			return nil, usagef("--auth-token-file: %q is not ORGANISATION=FILE", item)
		}
		if tokens[organisation] != "" {
			return nil, usagef("--auth-token-file: %s is given twice", organisation)
		}
		token, err := s.readValue("--auth-token-file", path)
		if err != nil {
			return nil, err
		}
		if token = strings.TrimSpace(token); token == "" {
			return nil, usagef("--auth-token-file: the auth token of %s is empty", organisation)
		}
		if tokens == nil {
			tokens = map[string]string{}
		}
		tokens[organisation] = token
	}
	return tokens, nil
}
