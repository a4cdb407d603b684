package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/pflag"

	"portolan"
)

// settings describe a registry: the flags of add and modify, and the entries
// of a file to import.
type settings struct {
	Type              string            `yaml:"type"`
	Host              string            `yaml:"host"`
	Name              string            `yaml:"name"`
	Port              int               `yaml:"port"`
	HTTP              bool              `yaml:"http"`
	User              string            `yaml:"user"`
	Password          string            `yaml:"password"`
	PasswordFile      string            `yaml:"passwordFile"`
	Address           string            `yaml:"address"`
	Region            string            `yaml:"region"`
	VPC               string            `yaml:"vpc"`
	Namespaces        []string          `yaml:"namespaces"`
	Repositories      []string          `yaml:"repositories"`
	AuthTokens        map[string]string `yaml:"authTokens"`
	CAFile            string            `yaml:"caFile"`
	CertificateSHA256 string            `yaml:"certificateSha256"`
	TransPerHour      int               `yaml:"transPerHour"`
	PersistenceDay    int               `yaml:"persistenceDay"`
	WhiteList         string            `yaml:"whiteList"`
	BlackList         string            `yaml:"blackList"`
	Excludes          []string          `yaml:"excludeRepositories"`
	PerMinute         int               `yaml:"requestsPerMinute"`
	Window            string            `yaml:"syncWindow"`

	// given has the names, as files have them, of what was given, also of what
	// was given empty.
	given map[string]bool
}

// add adds the flags that registries are described by.
func (x *settings) add(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVar(&x.Host, "host", "", "host name or address, without scheme and port")
	fs.StringVar(&x.Name, "name", "", "name to show (default the host)")
	fs.IntVar(&x.Port, "port", 0, "port (default 443, or 80 with --http)")
	fs.BoolVar(&x.HTTP, "http", false, "plain HTTP instead of HTTPS")
	fs.StringVar(&x.User, "user", "", "user to log in as; without one the registry is read anonymously")
	fs.StringSliceVar(&x.Namespaces, "namespace", nil, "read only below this path, such as a Harbor project (repeatable)")
	x.addManners(fs)
	fs.StringVar(&x.CAFile, "registry-ca-file", "", "PEM file of the authority that signed the registry's certificate")
	fs.StringVar(&x.CertificateSHA256, "certificate-sha256", "", "SHA-256 of the registry's certificate, trusted instead of an authority")
	fs.StringVar(&x.Address, "address", "", "address to dial instead of looking the host up")
	fs.StringVar(&x.Region, "region", "", "region label (default "+portolan.DefaultRegion+")")
	fs.StringVar(&x.VPC, "vpc", "", "VPC in which the registry is: an agent there reads it")
	fs.IntVar(&x.TransPerHour, "scans-per-hour", 0, "scans an hour at most (default 30)")
	fs.IntVar(&x.PersistenceDay, "keep-days", 0, "days for which images that are gone are remembered (default 30)")
	fs.StringVar(&x.WhiteList, "white-list", "", "the only addresses that may send reports and events, comma-separated")
	fs.StringVar(&x.BlackList, "black-list", "", "addresses that may not report, comma-separated")
}

// params are the settings as AddPrivateRegistry takes them. base is the folder
// that relative names of files start from.
func (x *settings) params(base string) (params, error) {
	extra, err := x.extra(base)
	if err != nil {
		return nil, err
	}
	p := params{
		"RegistryType": x.Type, "DomainName": x.Host, "RegistryName": x.Name, "Port": number(x.Port), "UserName": x.User, "Password": x.Password,
		"RegistryHostIp": x.Address, "RegistryRegionId": x.Region, "VpcId": x.VPC, "ExtraParam": extra,
		"TransPerHour": number(x.TransPerHour), "PersistenceDay": number(x.PersistenceDay), "WhiteList": x.WhiteList, "BlackList": x.BlackList,
	}
	if x.HTTP {
		p["ProtocolType"] = strconv.Itoa(portolan.ProtocolHTTP)
	}
	if x.VPC != "" {
		p["NetType"] = strconv.Itoa(portolan.NetVPC)
	}
	return p, nil
}

// extra is the parameter ExtraParam, "" when there is nothing for it. What was
// given empty is sent empty: that widens the scope, or ends the trust.
func (x *settings) extra(base string) (string, error) {
	e := map[string]any{}
	if len(x.Namespaces) > 0 || x.given["namespaces"] {
		e["namespaces"] = append([]string{}, x.Namespaces...)
	}
	if len(x.Repositories) > 0 || x.given["repositories"] {
		e["repositories"] = append([]string{}, x.Repositories...)
	}
	x.manners(e)
	if len(x.AuthTokens) > 0 || x.given["authTokens"] {
		e["authTokens"] = maps.Collect(maps.All(x.AuthTokens))
	}
	if x.CertificateSHA256 != "" || x.given["certificateSha256"] {
		e["certificateSha256"] = x.CertificateSHA256
	}
	if x.CAFile != "" || x.given["caFile"] {
		pem, err := x.authority(base)
		if err != nil {
			return "", err
		}
		e["caCertificate"] = pem
	}
	if len(e) == 0 {
		return "", nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return "", errors.New("encode the settings of the registry") // the cause could quote a token
	}
	return string(bytes.TrimSpace(b.Bytes())), nil
}

// authority reads the certificate of the registry's authority, "" for none.
func (x *settings) authority(base string) (string, error) {
	if x.CAFile == "" {
		return "", nil
	}
	b, err := os.ReadFile(inFolder(base, x.CAFile))
	if err != nil {
		return "", fmt.Errorf("read the certificate of the registry's authority: %w", err)
	}
	return string(b), nil
}

func inFolder(base, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(base, path)
}
