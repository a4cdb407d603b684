package cli

import (
	"strings"

	"github.com/spf13/pflag"
)

// setting is one of settings: its name in files, its flag, and the parameter
// that it becomes; those without one are parts of ExtraParam.
type setting struct{ name, flag, param string }

func settingNames() []setting {
	return []setting{
		{"type", "type", "RegistryType"},
		{"host", "host", "DomainName"},
		{"name", "name", "RegistryName"},
		{"port", "port", "Port"},
		{"http", "http", "ProtocolType"},
		{"user", "user", "UserName"},
		{"password", "", "Password"},
		{"address", "address", "RegistryHostIp"},
		{"region", "region", "RegistryRegionId"},
		{"vpc", "vpc", "VpcId"},
		{"namespaces", "namespace", ""},
		{"excludeRepositories", "exclude", ""},
		{"requestsPerMinute", "requests-per-minute", ""},
		{"syncWindow", "sync-window", ""},
		{"caFile", "registry-ca-file", ""},
		{"certificateSha256", "certificate-sha256", ""},
		{"transPerHour", "scans-per-hour", "TransPerHour"},
		{"persistenceDay", "keep-days", "PersistenceDay"},
		{"whiteList", "white-list", "WhiteList"},
		{"blackList", "black-list", "BlackList"},
	}
}

// givenFlags names the settings whose flags are on the command line.
func givenFlags(fs *pflag.FlagSet) map[string]bool {
	given := map[string]bool{}
	for _, n := range settingNames() {
		given[n.name] = n.flag != "" && fs.Changed(n.flag)
	}
	return given
}

// zeros names the numbers that were given as 0, which none may be.
func (x *settings) zeros() []setting {
	values := map[string]int{"port": x.Port, "transPerHour": x.TransPerHour, "persistenceDay": x.PersistenceDay}
	return x.empties(func(n setting) bool { value, is := values[n.name]; return is && value == 0 })
}

// zero refuses flags that were given as 0: no parameter stands for that, and
// nothing that was given may be dropped.
func (x *settings) zero() error {
	for _, n := range x.zeros() {
		return usagef("--%s must be at least 1; leave it out to leave it as it is", n.flag)
	}
	return nil
}

// cleared names the fields that a change is to empty, because their settings
// were given empty.
func (x *settings) cleared() (params []string, err error) {
	can := map[string]string{"user": x.User, "address": x.Address, "vpc": x.VPC, "whiteList": x.WhiteList, "blackList": x.BlackList}
	cannot := map[string]string{"host": x.Host, "name": x.Name, "region": x.Region}
	for _, n := range x.empties(func(n setting) bool { value, is := cannot[n.name]; return is && value == "" }) {
		return nil, usagef("--%s must not be empty; leave it out to leave it as it is", n.flag)
	}
	for _, n := range x.empties(func(n setting) bool { value, is := can[n.name]; return is && value == "" }) {
		params = append(params, n.param)
	}
	return params, nil
}

// empties are the settings that were given, and are empty.
func (x *settings) empties(empty func(setting) bool) []setting {
	var list []setting
	for _, n := range settingNames() {
		if x.given[n.name] && empty(n) {
			list = append(list, n)
		}
	}
	return list
}

// inFile says a refusal by the domain in the words of files: its first word is
// the parameter.
func inFile(message string) string {
	param, rest, _ := strings.Cut(message, " ")
	for _, n := range settingNames() {
		if n.param == param {
			return n.name + " " + rest
		}
	}
	return strings.TrimPrefix(message, "ExtraParam ")
}
