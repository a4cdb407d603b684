package cli

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"portolan/internal/agent"
	"portolan/internal/secret"
)

// agentIdentity is what an agent keeps over restarts. The secret is written
// down before it is first used: should the answer to the enrolment be lost, the
// same pair of token and secret is sent again.
type agentIdentity struct {
	Secret string
	// TokenSHA256 tells another token, with which another secret begins.
	TokenSHA256 string
	token       string
}

// agentIdentity reads what an agent has kept, or makes it for a new token.
func (s *shell) agentIdentity(tokenFile, folder string) (*agentIdentity, error) {
	if folder == "" {
		folder = filepath.Dir(tokenFile)
	}
	path := filepath.Join(folder, filepath.Base(tokenFile)+".state")
	token, err := s.agentToken(tokenFile)
	if err != nil {
		return nil, err
	}
	kept, err := readIdentity(path)
	switch {
	case err != nil:
		return nil, err
	case kept == nil && token == "":
		return nil, usagef("there is neither the token file %s nor %s of an earlier start: portolan agent enroll makes a token", tokenFile, path)
	}
	sum := sha256.Sum256([]byte(token))
	if kept != nil && (token == "" || kept.TokenSHA256 == hex.EncodeToString(sum[:])) {
		kept.token = token
		return kept, nil
	}
	made := &agentIdentity{TokenSHA256: hex.EncodeToString(sum[:]), token: token}
	if made.Secret, err = secret.Alphanumeric(rand.Reader, agent.SecretLength); err != nil {
		return nil, err
	}
	b, err := json.Marshal(made) //nolint:gosec // it is what is kept, in a file of its own
	if err != nil {
		return nil, errors.New("encode the agent's secret") // the cause could quote it
	}
	if err := writePrivate(path, append(b, '\n'), true); err != nil {
		return nil, fmt.Errorf("keep the agent's secret: %w", err)
	}
	return made, nil
}

// agentToken reads the token, "" if the file is gone.
func (s *shell) agentToken(path string) (string, error) {
	token, err := s.readValue("--token-file", path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err == nil && len(token) != agent.TokenLength:
		return "", usagef("--token-file: %s does not have a token as portolan agent enroll makes it", path)
	}
	return token, err
}

// readIdentity reads what was kept, nil for nothing.
func readIdentity(path string) (*agentIdentity, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the agent's secret: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s is open to others than its owner (mode %04o): run chmod 600 %[1]s", path, mode)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the agent's secret: %w", err)
	}
	var kept agentIdentity
	if err := json.Unmarshal(b, &kept); err != nil || len(kept.Secret) != agent.SecretLength {
		return nil, fmt.Errorf("%s does not have the secret of an agent: remove it, and enrol the agent anew", path)
	}
	return &kept, nil
}
