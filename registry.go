package portolan

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// RegistryType is the kind of a registry, exactly as the wire spells it.
type RegistryType string

// The registry types in the order of ListPrivateRegistryType. OCI is an
// extension: any registry that speaks the OCI Distribution API.
const (
	ACR    RegistryType = "acr"
	Harbor RegistryType = "harbor"
	Quay   RegistryType = "quay"
	CICD   RegistryType = "CI/CD"
	OCI    RegistryType = "oci"
)

// RegistryTypes lists every type in wire order.
func RegistryTypes() []RegistryType { return []RegistryType{ACR, Harbor, Quay, CICD, OCI} }

// Pull reports whether registries of this type are read by Portolan, rather
// than reporting their images themselves.
func (t RegistryType) Pull() bool { return t != CICD }

// Protocols and networks as the wire numbers them.
const (
	ProtocolHTTP  = 1
	ProtocolHTTPS = 2
	NetPublic     = 1
	NetVPC        = 2
)

// Limits of a registry's fields.
const (
	MaxRegistries      = 50_000
	MaxRegistryName    = 128
	MaxTransPerHour    = 100_000
	MaxPersistenceDay  = 3_650
	DefaultTransPer    = 30
	DefaultPersistence = 30
	DefaultRegion      = "cn-hangzhou"
	UndoDays           = 7
	maxAddressList     = 100
)

// Registry is one entry of the inventory. Secrets are never part of it: it
// only tells whether there are some.
type Registry struct {
	ID             int64
	AccountID      int64
	Type           RegistryType
	Name           string
	DomainName     string
	HostIP         string
	Port           int
	Protocol       int
	NetType        int
	VpcID          string
	RegionID       string
	Version        string
	UserName       string
	HasPassword    bool
	JenkinsEnv     string
	WhiteList      string
	BlackList      string
	TokenPrefix    string
	TransPerHour   int
	PersistenceDay int
	Extra          Extra
	InstanceID     string
	Created        time.Time
	Modified       time.Time
	Deleted        time.Time

	ImageCount      int
	RepositoryCount int
	SyncStatus      SyncStatus
	LastSync        time.Time
	SyncError       ErrorClass
	SyncMessage     string
	// Paused tells that it is not read until somebody resumes it.
	Paused bool
	// LastEvent is when its webhook last came, zero for never.
	LastEvent time.Time
	// CredentialExpires is when the credential that worked last ends, zero if
	// the registry does not tell.
	CredentialExpires time.Time
}

// Extra is the part of ExtraParam that is no secret. TokenMasks has, for each
// organisation with an auth token, what may be shown of it.
type Extra struct {
	Namespaces        []string          `json:"namespaces,omitempty"`
	Repositories      []string          `json:"repositories,omitempty"`
	TokenMasks        map[string]string `json:"tokenMasks,omitempty"`
	CACertificate     string            `json:"caCertificate,omitempty"`
	CertificateSHA256 string            `json:"certificateSha256,omitempty"`
	// Excludes are patterns of repositories that are left out.
	Excludes []string `json:"excludeRepositories,omitempty"`
	// RequestsPerMinute is what the registry's owner allows, 0 for any number.
	RequestsPerMinute int `json:"requestsPerMinute,omitempty"`
	// SyncWindow is when scheduled readings may start, as "22:00-06:00" in the
	// server's zone, "" for always.
	SyncWindow string `json:"syncWindow,omitempty"`
}

// Scope is every prefix that bounds what is read; empty means everything.
func (e Extra) Scope() []string {
	return append(append([]string(nil), e.Namespaces...), e.Repositories...)
}

// Credential is what a registry's entry keeps sealed.
type Credential struct {
	UserName   string            `json:"-"`
	Password   string            `json:"password,omitempty"`
	AuthTokens map[string]string `json:"authTokens,omitempty"`
}

// String hides the secrets, so that a credential can be printed by mistake
// without harm.
func (c Credential) String() string { return "credential of " + strconv.Quote(c.UserName) }

// GoString hides the secrets from %#v.
func (c Credential) GoString() string { return c.String() }

// What answers show instead of a secret: PasswordMask for a whole password,
// TokenMask behind the first characters of a token.
const (
	PasswordMask = "******"
	TokenMask    = "****"
)

// SyncStatus is the state of a registry's readings.
type SyncStatus string

// The states, as SyncStatus of the wire has them. Pending and running also
// serve a single reading's Status, with Syncing being the registry's word.
const (
	SyncPending SyncStatus = "pending"
	SyncRunning SyncStatus = "running"
	Syncing     SyncStatus = "syncing"
	SyncOK      SyncStatus = "ok"
	SyncPartial SyncStatus = "partial"
	SyncFailed  SyncStatus = "failed"
)

// Address is host and port as a URL has them.
func (r *Registry) Address() string {
	host := r.DomainName
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if r.Port == DefaultPort(r.Protocol) {
		return host
	}
	return host + ":" + strconv.Itoa(r.Port)
}

// DefaultPort is the port of a protocol when none is given.
func DefaultPort(protocol int) int {
	if protocol == ProtocolHTTP {
		return 80
	}
	return 443
}

// NormalizeDomain checks a host name or address without scheme, path or port
// and answers it lower-cased, punycoded and without a trailing dot.
func NormalizeDomain(param, s string) (string, error) {
	const want = "must be a host name or address without scheme, port or path, such as registry.example.com"
	if inner, ok := strings.CutPrefix(s, "["); ok { // as a URL has an IPv6 address
		if inner, ok = strings.CutSuffix(inner, "]"); ok && strings.Contains(inner, ":") {
			s = inner
		}
	}
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		return addr.Unmap().String(), nil
	}
	host, err := s, error(nil)
	if strings.ContainsFunc(s, func(c rune) bool { return c >= utf8.RuneSelf }) {
		host, err = idna.Lookup.ToASCII(s) // stricter than DNS, so only where it is needed
	}
	host = strings.TrimSuffix(host, ".")
	if err != nil || !utf8.ValidString(s) || host == "" || len(host) > 253 || !validLabels(host) {
		return "", Invalid(param, want)
	}
	return strings.ToLower(host), nil
}

func validLabels(host string) bool {
	for label := range strings.SplitSeq(host, ".") {
		ok := label != "" && len(label) <= 63 && !strings.HasPrefix(label, "-") && !strings.HasSuffix(label, "-")
		for _, c := range label {
			ok = ok && (c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z')
		}
		if !ok {
			return false
		}
	}
	return true
}

// ValidRegion reports whether s may be the label of a region.
func ValidRegion(s string) bool {
	for _, c := range s {
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// ValidRegistryName reports whether s may be the name of a registry: 1 to 128
// characters without control characters.
func ValidRegistryName(s string) bool {
	n := len([]rune(s))
	return n >= 1 && n <= MaxRegistryName && Printable(s)
}

// ParseAddressList reads a comma-separated list of addresses and CIDR
// prefixes, at most 100. Blank items are skipped.
func ParseAddressList(param, s string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for item := range strings.SplitSeq(s, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		prefix, err := parseAddressOrPrefix(item)
		if err != nil {
			return nil, Invalid(param, "holds %q, which is neither an address nor a CIDR prefix", item)
		}
		if list = append(list, prefix); len(list) > maxAddressList {
			return nil, Invalid(param, "holds more than %d addresses", maxAddressList)
		}
	}
	return list, nil
}

// errPrefix says that text is no prefix that an address can be compared with.
var errPrefix = errors.New("not an address or prefix")

// parseAddressOrPrefix answers IPv4 in its own form, however it was written:
// the address of a peer is compared in that form too.
func parseAddressOrPrefix(s string) (netip.Prefix, error) {
	addr, err := netip.ParseAddr(s)
	p := netip.PrefixFrom(addr, addr.BitLen())
	if strings.Contains(s, "/") {
		p, err = netip.ParsePrefix(s)
	}
	const mapped = 96 // bits before the IPv4 address in an IPv6 one
	switch {
	case err != nil || addr.Zone() != "":
		return netip.Prefix{}, errPrefix
	case !p.Addr().Is4In6():
		return p.Masked(), nil
	case p.Bits() < mapped:
		return netip.Prefix{}, errPrefix
	}
	return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped).Masked(), nil
}
