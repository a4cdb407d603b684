package cli

import (
	"errors"

	"portolan"
	"portolan/internal/registry"
)

// checkEntries reads the files that entries name, and checks each entry by the
// rules that the server has too, and all against each other. It answers every
// mistake.
func (s *shell) checkEntries(entries []entry, base string) (mistakes []error) {
	lines := map[string]int{}
	for i := range entries {
		e := &entries[i]
		wrong := s.checkEntry(e, base)
		for _, err := range wrong {
			mistakes = append(mistakes, mistakef(e.line, "%v", err))
		}
		if wrong != nil {
			continue
		}
		if first, twice := lines[e.identity()]; twice {
			mistakes = append(mistakes, mistakef(e.line, "it is the same registry as that of line %d (type, host, port, user, vpc and address)", first))
			continue
		}
		lines[e.identity()] = e.line
	}
	return mistakes
}

func (s *shell) checkEntry(e *entry, base string) (mistakes []error) {
	for _, n := range e.zeros() {
		mistakes = append(mistakes, errors.New(n.name+" must be at least 1"))
	}
	var err error
	if e.PasswordFile != "" {
		if e.Password, err = s.notEmpty("passwordFile", inFolder(base, e.PasswordFile)); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	if e.params, err = e.settings.params(base); err != nil {
		return append(mistakes, err)
	}
	if e.draft, err = draft(e); err != nil {
		mistakes = append(mistakes, err)
	}
	return mistakes
}

// draft makes the registry that an entry describes, by the server's own rules.
// Only which addresses may be dialled is not known here.
func draft(e *entry) (*portolan.Registry, error) {
	f := registry.Fields{
		Name: e.Name, DomainName: e.Host, HostIP: e.Address, UserName: e.User, Password: e.Password, VpcID: e.VPC, RegionID: e.Region,
		WhiteList: e.WhiteList, BlackList: e.BlackList, ExtraParam: e.params["ExtraParam"], Port: e.Port, Protocol: portolan.ProtocolHTTPS,
		TransPerHour: e.TransPerHour, PersistenceDay: e.PersistenceDay,
	}
	if e.HTTP {
		f.Protocol = portolan.ProtocolHTTP
	}
	if e.VPC != "" {
		f.NetType = portolan.NetVPC
	}
	if f.UserName != "" && f.Password == "" {
		f.Password = "-" // whether it needs one depends on what there is: see withoutPassword
	}
	rules := registry.New(registry.Config{CheckAddress: func(string) error { return nil }})
	d, err := rules.Draft(0, portolan.RegistryType(e.Type), f)
	if wrong, ok := errors.AsType[*portolan.Error](err); ok {
		return nil, errors.New(inFile(wrong.Message))
	}
	if err != nil {
		return nil, err
	}
	return d.Registry, nil
}

// withoutPassword tells the entries that would be added and have a user alone.
func (m *importer) withoutPassword(entries []entry) (mistakes []error) {
	for i := range entries {
		e := &entries[i]
		if _, found := m.existing[e.identity()]; !found && e.User != "" && e.Password == "" {
			mistakes = append(mistakes, mistakef(e.line, "a new registry with a user needs a password or passwordFile"))
		}
	}
	return mistakes
}
