package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/pflag"
	"golang.org/x/term"

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
	fs.StringVar(&x.CAFile, "registry-ca-file", "", "PEM file of the authority that signed the registry's certificate")
	fs.StringVar(&x.CertificateSHA256, "certificate-sha256", "", "SHA-256 of the registry's certificate, trusted instead of an authority")
	fs.StringVar(&x.Address, "address", "", "address to dial instead of looking the host up")
	fs.StringVar(&x.Region, "region", "", "region label (default "+portolan.DefaultRegion+")")
	fs.StringVar(&x.VPC, "vpc", "", "VPC in which the registry is")
	fs.IntVar(&x.TransPerHour, "scans-per-hour", 0, "scans an hour at most (default 30)")
	fs.IntVar(&x.PersistenceDay, "keep-days", 0, "days for which images that are gone are remembered (default 30)")
	fs.StringVar(&x.WhiteList, "white-list", "", "the only addresses that may report, comma-separated")
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

// extra is the parameter ExtraParam, "" when there is nothing for it.
func (x *settings) extra(base string) (string, error) {
	var e struct {
		Namespaces        []string          `json:"namespaces,omitempty"`
		Repositories      []string          `json:"repositories,omitempty"`
		AuthTokens        map[string]string `json:"authTokens,omitempty"`
		CACertificate     string            `json:"caCertificate,omitempty"`
		CertificateSHA256 string            `json:"certificateSha256,omitempty"`
	}
	e.Namespaces, e.Repositories, e.AuthTokens, e.CertificateSHA256 = x.Namespaces, x.Repositories, x.AuthTokens, x.CertificateSHA256
	if x.CAFile != "" {
		b, err := os.ReadFile(inFolder(base, x.CAFile))
		if err != nil {
			return "", fmt.Errorf("read the certificate of the registry's authority: %w", err)
		}
		e.CACertificate = string(b)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return "", errors.New("encode the settings of the registry") // the cause could quote a token
	}
	if text := string(bytes.TrimSpace(b.Bytes())); text != "{}" {
		return text, nil
	}
	return "", nil
}

func inFolder(base, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(base, path)
}

// password says where a password comes from: never from the command line,
// where others on the machine can see it.
type password struct {
	file  string
	stdin bool
	ask   bool
}

func (p *password) add(fs *pflag.FlagSet) {
	fs.StringVar(&p.file, "password-file", "", "file with the password")
	fs.BoolVar(&p.stdin, "password-stdin", false, "read the password from standard input")
	fs.BoolVar(&p.ask, "ask-password", false, "ask for the password")
}

// read answers the password. It asks on a terminal when ask says so, or when a
// password is needed and nothing says where it is.
func (s *shell) readPassword(ctx context.Context, p password, needed bool, prompt string) (string, error) {
	switch {
	case p.file != "" && p.stdin || p.ask && (p.file != "" || p.stdin):
		return "", usagef("give one of --password-file, --password-stdin and --ask-password")
	case p.file != "":
		return s.readValue("--password-file", p.file)
	case p.stdin:
		return s.readValue("--password-stdin", "-")
	case !p.ask && !needed:
		return "", nil
	}
	f, ok := s.in.(*os.File)
	if !ok || !terminal(f) {
		return "", usagef("a password is needed, and there is no terminal to ask on: use --password-file or --password-stdin")
	}
	return s.prompt(ctx, f, prompt)
}

// prompt asks on a terminal, without echo. An interrupt ends the wait and
// leaves the terminal as it was.
func (s *shell) prompt(ctx context.Context, f *os.File, prompt string) (string, error) {
	fd := int(f.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	_, _ = fmt.Fprint(s.err, prompt)
	defer s.tell("")
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // a read of a terminal cannot be called off: it ends with the program
		b, err := term.ReadPassword(fd)
		answers <- answer{b, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil {
			return "", fmt.Errorf("read the password: %w", a.err)
		}
		return string(a.text), nil
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(fd, before))
	}
}
