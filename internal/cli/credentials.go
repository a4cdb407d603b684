package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"portolan/internal/iam"
	"portolan/internal/sign"
)

// Names in the environment: the vendor's for keys, ours for the rest.
const (
	envKeyID    = "ALIBABA_CLOUD_ACCESS_KEY_ID"
	envSecret   = "ALIBABA_CLOUD_ACCESS_KEY_SECRET"
	envToken    = "ALIBABA_CLOUD_SECURITY_TOKEN"
	envEndpoint = envPrefix + "ENDPOINT"
	envProfile  = envPrefix + "PROFILE"
	envKeyFile  = envPrefix + "CREDENTIALS_FILE"
)

const defaultProfile = "default"

// profile is one server with the key to sign with.
type profile struct {
	Endpoint        string `yaml:"endpoint,omitempty"`
	CAFile          string `yaml:"caFile,omitempty"`
	AccessKeyID     string `yaml:"accessKeyId,omitempty"`
	AccessKeySecret string `yaml:"accessKeySecret,omitempty"`
}

// profiles is the file of profiles.
type profiles struct {
	Profiles map[string]profile `yaml:"profiles"`
}

func (s *shell) profilePath() (string, error) {
	folder := s.env("XDG_CONFIG_HOME")
	if folder == "" {
		home := s.env("HOME")
		if home == "" {
			return "", errors.New("neither XDG_CONFIG_HOME nor HOME says where the profiles are")
		}
		folder = filepath.Join(home, ".config")
	}
	return filepath.Join(folder, "portolan", "config.yaml"), nil
}

// loadProfiles reads the file of profiles; a missing one is empty.
func (s *shell) loadProfiles() (profiles, error) {
	p := profiles{Profiles: map[string]profile{}}
	path, err := s.profilePath()
	if err != nil {
		return p, nil //nolint:nilerr // without a home there are no profiles
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("read the profiles: %w", err)
	}
	if err := decodeYAML(b, &p); err != nil {
		return p, fmt.Errorf("%s is not a file of profiles; write it anew with portolan configure", path) // the cause quotes secrets
	}
	if p.Profiles == nil {
		p.Profiles = map[string]profile{}
	}
	return p, nil
}

// profile answers the profile of a name, by default that of the environment.
func (s *shell) profile(name string) (profile, error) {
	wanted := name != "" || s.env(envProfile) != ""
	if name == "" {
		name = s.env(envProfile)
	}
	if name == "" {
		name = defaultProfile
	}
	all, err := s.loadProfiles()
	if err != nil {
		return profile{}, err
	}
	p, ok := all.Profiles[name]
	if !ok && wanted {
		return p, usagef("there is no profile %q; make it with portolan configure --profile %s", name, name)
	}
	return p, nil
}

// key finds what to sign with: the file that the command line names, else a
// profile that it names, else the environment, else the default profile.
func (s *shell) key(t target, p profile) (sign.Key, error) {
	file := t.credentials
	if file == "" && t.profile != "" && p.AccessKeyID != "" && p.AccessKeySecret != "" {
		return sign.Key{ID: p.AccessKeyID, Secret: p.AccessKeySecret}, nil
	}
	if file == "" && s.env(envKeyID) == "" {
		file = s.env(envKeyFile)
	}
	if file != "" {
		return keyFromFile(file)
	}
	key := sign.Key{ID: s.env(envKeyID), Secret: s.env(envSecret), SecurityToken: s.env(envToken)}
	if key.ID == "" && key.Secret == "" {
		key = sign.Key{ID: p.AccessKeyID, Secret: p.AccessKeySecret}
	}
	switch {
	case key.ID == "" && key.Secret == "":
		return key, usagef(`no access key to sign with; give one of
  --credentials-file DIR/root-credentials.json (the server made it in its data folder), or %s
  %s and %s in the environment
  a profile: portolan configure`, envKeyFile, envKeyID, envSecret)
	case key.ID == "" || key.Secret == "":
		return key, usagef("%s and %s go together", envKeyID, envSecret)
	}
	return key, nil
}

func keyFromFile(path string) (sign.Key, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return sign.Key{}, fmt.Errorf("read the credentials: %w", err)
	}
	var c iam.Credentials
	if err := json.Unmarshal(b, &c); err != nil || c.AccessKeyID == "" || c.AccessKeySecret == "" {
		return sign.Key{}, usagef("%s is not a credentials file: it must be JSON with AccessKeyId and AccessKeySecret", path)
	}
	return sign.Key{ID: c.AccessKeyID, Secret: c.AccessKeySecret}, nil
}
