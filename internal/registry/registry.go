// Package registry has the rules of adding, changing, deleting and restoring
// registries: which fields go together, what a change needs, what stays
// secret.
//
// It knows the store and hands secrets to functions that seal them. It must
// not know the wire's encodings, how a registry is read, or who may call.
package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"portolan"
	"portolan/internal/secret"
	"portolan/internal/store"
)

// Fields are what a call gives; zero values are absent.
type Fields struct {
	Name, DomainName, HostIP, UserName, Password string
	VpcID, RegionID, Version                     string
	WhiteList, BlackList, ExtraParam             string
	Port, Protocol, NetType                      int
	TransPerHour, PersistenceDay                 int
}

// Config of a Service.
type Config struct {
	DB *store.DB
	// Seal seals a credential for a registry, by its InstanceID.
	Seal   func(r *portolan.Registry, c portolan.Credential) ([]byte, error)
	Unseal func(r *portolan.Registry, sealed []byte) (portolan.Credential, error)
	// CheckAddress refuses a literal host that must not be dialled.
	CheckAddress func(host string) error
	// Tokens makes the hashes by which tokens of CI/CD registries are recognised.
	Tokens *secret.Hasher
	// Hooks makes the keyed hashes of webhooks' secrets.
	Hooks *secret.Hasher
	// Request asks for a reading in the transaction.
	Request func(ctx context.Context, tx *store.Tx, q store.SyncRequest) (string, error)
}

// Service changes registries.
type Service struct{ Config }

// New makes a Service.
func New(c Config) *Service { return &Service{c} }

// Draft is a registry that passed all checks, with its credential.
type Draft struct {
	Registry   *portolan.Registry
	Credential portolan.Credential
}

// Draft checks the fields of a new registry as Add does, and saves nothing.
func (s *Service) Draft(account int64, t portolan.RegistryType, f Fields) (*Draft, error) {
	switch {
	case t == "":
		return nil, portolan.Missing("RegistryType")
	case !slices.Contains(portolan.RegistryTypes(), t) || !t.Pull():
		return nil, portolan.Invalid("RegistryType", "must be one of acr, harbor, quay, oci")
	case f.DomainName == "":
		return nil, portolan.Missing("DomainName")
	}
	d := draft(account, t)
	if err := s.apply(d, f); err != nil {
		return nil, err
	}
	if d.Registry.Name == "" {
		d.Registry.Name = d.Registry.DomainName
	}
	return d, nil
}

// draft is a registry of which nothing is given but its type.
func draft(account int64, t portolan.RegistryType) *Draft {
	return &Draft{Registry: &portolan.Registry{
		AccountID: account, Type: t, Protocol: portolan.ProtocolHTTPS, NetType: portolan.NetPublic,
		RegionID: portolan.DefaultRegion, Version: "V2",
		TransPerHour: portolan.DefaultTransPer, PersistenceDay: portolan.DefaultPersistence,
		SyncStatus: portolan.SyncPending, InstanceID: store.NewInstanceID(),
	}}
}

// Add makes a registry and asks for its first reading.
func (s *Service) Add(ctx context.Context, account int64, t portolan.RegistryType, f Fields) (*portolan.Registry, error) {
	d, err := s.Draft(account, t, f)
	if err != nil {
		return nil, err
	}
	r := d.Registry
	sealed, err := s.seal(d)
	if err != nil {
		return nil, err
	}
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		if r.ID, err = addRegistry(ctx, tx, r, sealed); err != nil {
			return err
		}
		_, err = s.Request(ctx, tx, store.SyncRequest{AccountID: account, RegistryID: r.ID, Cause: portolan.CauseAdd})
		return err
	})
	if errors.Is(err, store.ErrConflict) {
		return nil, s.exists(ctx, r)
	}
	if err != nil {
		return nil, fmt.Errorf("add a registry: %w", err)
	}
	return r, nil
}

// addRegistry adds a registry if the account may have one more.
func addRegistry(ctx context.Context, tx *store.Tx, r *portolan.Registry, sealed []byte) (int64, error) {
	n, err := tx.CountRegistries(ctx, r.AccountID)
	if err != nil {
		return 0, err
	}
	if n >= portolan.MaxRegistries {
		return 0, portolan.Refused("LimitExceeded.Registry", "An account holds up to %d registries, those deleted in the last %d days included.",
			portolan.MaxRegistries, portolan.UndoDays)
	}
	return tx.AddRegistry(ctx, r, sealed)
}

func (s *Service) seal(d *Draft) ([]byte, error) {
	if d.Credential.Password == "" && len(d.Credential.AuthTokens) == 0 {
		return nil, nil
	}
	return s.Seal(d.Registry, d.Credential)
}

// exists names the registry that is in the way.
func (s *Service) exists(ctx context.Context, r *portolan.Registry) error {
	id, err := s.DB.SameRegistry(ctx, r)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("a registry was in the way and is gone: %w", store.ErrConflict)
	}
	if err != nil {
		return err
	}
	return portolan.Refused("RegistryAlreadyExists", "The same registry (type, host, port, user, VPC and host address) exists with Id %d.", id)
}

// clearable are the fields that a change may empty.
func clearable() []string {
	return []string{"RegistryHostIp", "UserName", "Password", "VpcId", "WhiteList", "BlackList", "ExtraParam"}
}

// Modify changes a registry. A change of where its secrets are sent needs the
// secrets again; after a change of how it is read, it is read at once.
func (s *Service) Modify(ctx context.Context, account, id int64, f Fields, clear []string) error {
	for _, name := range clear {
		if !slices.Contains(clearable(), name) {
			return portolan.Invalid("ClearFields", "holds %q; it may name %s", name, strings.Join(clearable(), ", "))
		}
	}
	var changed *portolan.Registry
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		src, err := tx.Source(ctx, account, id)
		if err != nil {
			return err
		}
		before := *src.Registry
		d := &Draft{Registry: src.Registry}
		if d.Credential, err = s.stored(&src); err != nil {
			return err
		}
		secret := d.Credential
		if err := s.change(d, f, clear, &before); err != nil {
			return err
		}
		changed = d.Registry
		return s.save(ctx, tx, d, &before, secret.Password != d.Credential.Password || !maps.Equal(secret.AuthTokens, d.Credential.AuthTokens))
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return portolan.ErrRegistryNotExist
	case errors.Is(err, store.ErrConflict):
		return s.exists(ctx, changed)
	case err != nil:
		return fmt.Errorf("change registry %d: %w", id, err)
	}
	return nil
}

func (s *Service) stored(src *store.Source) (portolan.Credential, error) {
	if src.Credential == nil {
		return portolan.Credential{UserName: src.Registry.UserName}, nil
	}
	c, err := s.Unseal(src.Registry, src.Credential)
	c.UserName = src.Registry.UserName
	return c, err
}

// fits refuses what says how a registry is read for one that is not read.
func fits(t portolan.RegistryType, f Fields) error {
	if t.Pull() {
		return nil
	}
	for _, p := range []struct {
		name  string
		given bool
	}{
		{"DomainName", f.DomainName != ""},
		{"RegistryHostIp", f.HostIP != ""},
		{"Port", f.Port != 0},
		{"ProtocolType", f.Protocol != 0},
		{"NetType", f.NetType != 0},
		{"VpcId", f.VpcID != ""},
		{"RegistryVersion", f.Version != ""},
		{"UserName", f.UserName != ""},
		{"Password", f.Password != ""},
		{"ExtraParam", f.ExtraParam != ""},
	} {
		if p.given {
			return portolan.Invalid(p.name, "cannot be changed of a registry of type CI/CD: it is not read, it reports its images")
		}
	}
	return nil
}

func (s *Service) change(d *Draft, f Fields, clear []string, before *portolan.Registry) error {
	if err := fits(d.Registry.Type, f); err != nil {
		return err
	}
	empty(d, clear)
	if err := s.apply(d, f); err != nil {
		return err
	}
	if !redirects(before, d.Registry) {
		return nil
	}
	const why = "%s is mandatory for this action: it changes where the registry's secrets are sent, so they must be given again."
	if before.HasPassword && f.Password == "" && !slices.Contains(clear, "Password") && !slices.Contains(clear, "UserName") {
		return portolan.Refused("MissingPassword", why, "Password")
	}
	if len(before.Extra.TokenMasks) > 0 && len(d.Registry.Extra.TokenMasks) > 0 && !givesTokens(f.ExtraParam) {
		return portolan.Refused("MissingPassword", why, "authTokens in ExtraParam")
	}
	return nil
}

func empty(d *Draft, clear []string) {
	r := d.Registry
	for _, name := range clear {
		switch name {
		case "RegistryHostIp":
			r.HostIP = ""
		case "UserName":
			r.UserName, r.HasPassword, d.Credential.UserName, d.Credential.Password = "", false, "", ""
		case "Password":
			r.HasPassword, d.Credential.Password = false, ""
		case "VpcId":
			r.VpcID, r.NetType = "", portolan.NetPublic
		case "WhiteList":
			r.WhiteList = ""
		case "BlackList":
			r.BlackList = ""
		case "ExtraParam":
			r.Extra, d.Credential.AuthTokens = portolan.Extra{}, nil
		}
	}
}

// redirects reports whether a change alters where secrets go or what is
// trusted on the way.
func redirects(a, b *portolan.Registry) bool {
	return a.DomainName != b.DomainName || a.HostIP != b.HostIP || a.Port != b.Port || a.Protocol != b.Protocol || a.NetType != b.NetType ||
		a.VpcID != b.VpcID || a.Extra.CACertificate != b.Extra.CACertificate || a.Extra.CertificateSHA256 != b.Extra.CertificateSHA256
}

func (s *Service) save(ctx context.Context, tx *store.Tx, d *Draft, before *portolan.Registry, secretChanged bool) error {
	r := d.Registry
	var sealed []byte
	if secretChanged {
		var err error
		if sealed, err = s.Seal(r, d.Credential); err != nil {
			return err
		}
	}
	if err := tx.SetRegistry(ctx, r, sealed); err != nil {
		return err
	}
	read := secretChanged || redirects(before, r) || before.UserName != r.UserName || !slices.Equal(before.Extra.Scope(), r.Extra.Scope()) ||
		!slices.Equal(before.Extra.Excludes, r.Extra.Excludes)
	switch {
	case !r.Type.Pull():
		return nil
	case !read && before.Extra.SyncWindow != r.Extra.SyncWindow:
		return tx.HastenSync(ctx, r.ID, tx.Now()) // the schedule then looks at the new window
	case !read:
		return nil
	}
	_, err := s.Request(ctx, tx, store.SyncRequest{AccountID: r.AccountID, RegistryID: r.ID, Cause: portolan.CauseAdd, Fresh: true})
	return err
}

// Delete hides a registry; it can be restored for UndoDays.
func (s *Service) Delete(ctx context.Context, account, id int64) error {
	err := s.DB.Update(ctx, func(tx *store.Tx) error { return tx.DeleteRegistry(ctx, account, id) })
	if errors.Is(err, store.ErrNotFound) {
		return portolan.ErrRegistryNotExist
	}
	return err
}

// Restore brings back a registry deleted within UndoDays and reads it.
func (s *Service) Restore(ctx context.Context, account, id int64) error {
	var r *portolan.Registry
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		err := tx.RestoreRegistry(ctx, account, id, tx.Now().Add(-portolan.UndoDays*24*time.Hour))
		if err != nil {
			return err
		}
		if r, err = tx.Registry(ctx, account, id); err != nil || !r.Type.Pull() {
			return err
		}
		_, err = s.Request(ctx, tx, store.SyncRequest{AccountID: account, RegistryID: id, Cause: portolan.CauseAdd, Fresh: true})
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return portolan.ErrRegistryNotExist
	case errors.Is(err, store.ErrConflict):
		return portolan.Refused("RegistryAlreadyExists", "The same registry (type, host, port, user, VPC and host address) was added since; delete that one first.")
	}
	return err
}

// apply checks the given fields and writes them into the draft.
func (s *Service) apply(d *Draft, f Fields) error {
	for _, step := range []func(*Draft, Fields) error{applyNames, applyNetwork, s.applyAddress, applySecrets, applyLimits} {
		if err := step(d, f); err != nil {
			return err
		}
	}
	return applyExtra(d, f.ExtraParam)
}

func applyNames(d *Draft, f Fields) error {
	r := d.Registry
	if f.Name != "" {
		if !portolan.ValidRegistryName(f.Name) {
			return portolan.Invalid("RegistryName", "must be 1 to %d characters without control characters", portolan.MaxRegistryName)
		}
		r.Name = f.Name
	}
	if f.RegionID != "" {
		if !portolan.ValidRegion(f.RegionID) {
			return portolan.Invalid("RegistryRegionId", "must be 1 to 64 of a-z, 0-9 and -")
		}
		r.RegionID = f.RegionID
	}
	switch f.Version {
	case "", "V2":
	case "V1":
		return portolan.Refused("UnsupportedOperation", "RegistryVersion V1 is not supported: the registry API v1 is gone from all products. Use V2.")
	default:
		return portolan.Invalid("RegistryVersion", "must be V2")
	}
	return nil
}

func applyNetwork(d *Draft, f Fields) error {
	r := d.Registry
	protocol := r.Protocol
	switch f.Protocol {
	case 0:
	case portolan.ProtocolHTTP, portolan.ProtocolHTTPS:
		r.Protocol = f.Protocol
	default:
		return portolan.Invalid("ProtocolType", "must be 1 (HTTP) or 2 (HTTPS)")
	}
	if f.Port < 0 || f.Port > 65_535 {
		return portolan.Invalid("Port", "must be an integer from 1 to 65535")
	}
	if f.Port > 0 {
		r.Port = f.Port
	} else if r.Port == 0 || r.Port == portolan.DefaultPort(protocol) {
		r.Port = portolan.DefaultPort(r.Protocol)
	}
	switch f.NetType {
	case 0:
	case portolan.NetPublic, portolan.NetVPC:
		r.NetType = f.NetType
	default:
		return portolan.Invalid("NetType", "must be 1 (Internet) or 2 (VPC)")
	}
	return applyVPC(r, f)
}

func applyVPC(r *portolan.Registry, f Fields) error {
	const maxVPC = 64
	if f.NetType == portolan.NetPublic && f.VpcID == "" {
		r.VpcID = ""
	}
	if f.VpcID != "" {
		if len(f.VpcID) > maxVPC || !portolan.Printable(f.VpcID) {
			return portolan.Invalid("VpcId", "must be at most %d characters without control characters", maxVPC)
		}
		r.VpcID = f.VpcID
	}
	if r.NetType == portolan.NetVPC && r.VpcID == "" {
		return portolan.Missing("VpcId")
	}
	if r.NetType == portolan.NetPublic && r.VpcID != "" {
		return portolan.Invalid("VpcId", "goes with NetType 2 only")
	}
	return nil
}

func (s *Service) applyAddress(d *Draft, f Fields) error {
	r := d.Registry
	if f.DomainName != "" {
		host, err := portolan.NormalizeDomain("DomainName", f.DomainName)
		if err != nil {
			return err
		}
		r.DomainName = host
	}
	if f.HostIP != "" {
		addr, err := netip.ParseAddr(f.HostIP)
		if err != nil || addr.Zone() != "" {
			return portolan.Invalid("RegistryHostIp", "must be an IP address such as 203.0.113.10")
		}
		r.HostIP = addr.Unmap().String()
	}
	if r.NetType == portolan.NetVPC || !r.Type.Pull() {
		return nil // the VPC's agent has rules of its own; a CI/CD registry is not dialled
	}
	for _, literal := range []struct{ name, host string }{{"DomainName", r.DomainName}, {"RegistryHostIp", r.HostIP}} {
		if literal.host == "" || s.CheckAddress(literal.host) == nil {
			continue
		}
		return portolan.Refused("AddressForbidden", "%s %s is an address that Portolan does not dial. Start the server with --allow-dial for its network if that is intended.", literal.name, literal.host)
	}
	return nil
}

func applySecrets(d *Draft, f Fields) error {
	const maxUser, maxPassword = 256, 64 << 10
	if f.UserName != "" {
		if len(f.UserName) > maxUser || !portolan.Printable(f.UserName) {
			return portolan.Invalid("UserName", "must be at most %d bytes without control characters", maxUser)
		}
		d.Registry.UserName, d.Credential.UserName = f.UserName, f.UserName
	}
	if f.Password != "" {
		switch {
		case f.Password == portolan.PasswordMask:
			return portolan.Invalid("Password", "is the mask that answers show; leave it out to keep the stored one")
		case len(f.Password) > maxPassword:
			return portolan.Invalid("Password", "must be at most %d bytes", maxPassword)
		}
		d.Registry.HasPassword, d.Credential.Password = true, f.Password
	}
	if d.Registry.UserName == "" && d.Registry.HasPassword {
		return portolan.Missing("UserName")
	}
	if d.Registry.UserName != "" && !d.Registry.HasPassword {
		return portolan.Missing("Password")
	}
	return nil
}

func applyLimits(d *Draft, f Fields) error {
	r := d.Registry
	for _, n := range []struct {
		name       string
		given, max int
		into       *int
	}{
		{"TransPerHour", f.TransPerHour, portolan.MaxTransPerHour, &r.TransPerHour},
		{"PersistenceDay", f.PersistenceDay, portolan.MaxPersistenceDay, &r.PersistenceDay},
	} {
		if n.given < 0 || n.given > n.max {
			return portolan.Invalid(n.name, "must be an integer from 1 to %d", n.max)
		}
		if n.given > 0 {
			*n.into = n.given
		}
	}
	for _, l := range []struct {
		name, given string
		into        *string
	}{{"WhiteList", f.WhiteList, &r.WhiteList}, {"BlackList", f.BlackList, &r.BlackList}} {
		if _, err := portolan.ParseAddressList(l.name, l.given); err != nil {
			return err
		}
		if l.given != "" {
			*l.into = l.given
		}
	}
	return nil
}
