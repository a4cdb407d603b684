package portolan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is the path of the root package; the others are named below by what
// follows internal/, or by their folder.
const module = "portolan"

// rows is the import table: each package with the packages of this module that
// it may import, and why no others. What is not listed may not exist.
func rows() map[string][]string {
	above := []string{"rpc", "sign", "policy", "secret", "netguard", "store", "job", "connector"}
	root := "."
	return map[string][]string{
		// The domain knows nobody: everybody speaks its words.
		".": {},

		// Each is a thing of its own that can be understood, and tested, alone.
		"rpc":      {root},
		"sign":     {root},
		"policy":   {root},
		"secret":   {root},
		"netguard": {root},

		// Rows of the domain; what is stored must not depend on who stores it.
		"store": {root},
		// Makes databases for tests of everything that has a store.
		"store/storetest": {root, "store"},
		// Jobs commit in the store's transactions.
		"job": {root, "store"},

		// A source gets its client and its credential handed in: it cannot reach
		// the store, accounts or the network by itself.
		"connector": {root},
		// A kind knows the contract and what kinds share, never another kind.
		"connector/oci":    {root, "connector"},
		"connector/harbor": {root, "connector"},
		// ACR signs its calls. Its registry side is one of OCI's: what it has in
		// common with all others is read by that kind, which knows nothing of ACR.
		"connector/acr": {root, "connector", "connector/oci", "sign"},
		// An ACR for tests; it verifies signatures as the product does.
		"connector/acr/acrtest": {root, "connector/scripted", "sign"},
		"connector/quay":        {root, "connector"},
		// A Quay for tests; it knows what Quay says, not how it is read.
		"connector/quay/quaytest": {"connector/scripted"},
		// A Harbor for tests and for the demo; it knows what Harbor says, not how
		// it is read.
		"connector/harbor/harbortest": {root, "connector/scripted"},
		// What these fakes have in common; it knows no product.
		"connector/scripted": {},
		// The one place where the kinds are listed.
		"connector/all": {root, "connector", "connector/acr", "connector/oci", "connector/harbor", "connector/quay"},
		// The one suite for all kinds: it knows the contract only.
		"connector/connectortest": {root, "connector"},

		// Both ends of an agent's connection. It tells failures as netguard does,
		// and learns by functions who an agent is.
		"tunnel": {root, "netguard"},

		// Services own rules. They do not know each other: what one needs of
		// another is a function that app hands in.
		"iam":       append([]string{root}, above...),
		"registry":  append([]string{root}, above...),
		"inventory": append([]string{root}, above...),
		// Reads the store's outbox; what makes events writes it there.
		"event":  append([]string{root}, above...),
		"report": append([]string{root}, above...),
		// It keeps this process's end of tunnels, to cut what is revoked.
		"agent": append([]string{root, "tunnel"}, above...),

		// What comes without a signed call: it gets the rules as functions, but
		// for reports, whose parameters and answers are those of a call.
		"intake": {root, "rpc", "report"},

		// Operations know the services, and not how they are reached.
		"sas": append([]string{root, "iam", "registry", "inventory", "report", "agent", "event"}, above...),

		// HTTP knows no product: it gets endpoints.
		"gateway": {root, "rpc", "sign", "policy", "iam"},

		// These put everything together; nobody imports them but each other, in
		// this order.
		"app":         append([]string{root, "iam", "registry", "inventory", "report", "agent", "event", "intake", "sas", "gateway", "connector/all"}, above...),
		"cli/samples": {root},
		"cli": append([]string{
			root, "iam", "registry", "inventory", "sas", "gateway", "app", "cli/samples",
			"connector/harbor/harbortest", // the demo reads a Harbor that it brings along
			"agent", "tunnel",             // an agent is the far end, with a secret of the length that is wanted
		}, above...),
		"cmd/portolan": {"cli"},
		// The content of the registries that are read in benchmarks, also for the
		// reference registry, which is a module of its own.
		"bench/shelf": {},
		"bench":       append([]string{root, "iam", "registry", "inventory", "sas", "gateway", "connector/all", "app", "bench/shelf"}, above...),
		// Tests of the whole: they have no code that is not a test's.
		"test":        {},
		"test/faults": {},
	}
}

// foreign says which packages of other modules some packages are limited to,
// by prefix. Packages that are not listed may use what go.mod has.
func foreign() map[string][]string {
	return map[string][]string{
		// Names are folded here, host names are punycoded here.
		".": {"golang.org/x/text/", "golang.org/x/net/idna"},
		// Pure: what they answer depends on what they are given.
		"rpc":    {},
		"policy": {},
		"secret": {},
		// The national hash of ACS3-HMAC-SM3.
		"sign": {"github.com/emmansun/gmsm/"},
		// SQL lives here, with its drivers; a long list is read in parts at a time.
		"store": {"github.com/jackc/pgx/", "modernc.org/sqlite", "golang.org/x/sync/errgroup"},
		// What carries streams over one connection.
		"tunnel": {"github.com/hashicorp/yamux", "github.com/google/uuid"},
		// Nothing of the services knows more than a library of a page.
		"registry": {},
		"iam":      {},
		"agent":    {},
		"sas":      {},
	}
}

// databases are imported by those alone that keep SQL and jobs.
func databases() (prefixes, users []string) {
	return []string{"database/sql", "github.com/jackc/pgx", "modernc.org/sqlite", "github.com/riverqueue/"},
		[]string{"store", "store/storetest", "job", "bench"}
}

type listed struct {
	ImportPath, Dir                    string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports                            []string
}

// name is how the table calls the package.
func (p *listed) name() string { return nameOf(p.ImportPath) }

func nameOf(path string) string {
	if path == module {
		return "."
	}
	path = strings.TrimPrefix(path, module+"/")
	return strings.TrimPrefix(path, "internal/")
}

func packages(t *testing.T) []listed {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,GoFiles,TestGoFiles,XTestGoFiles,Imports", "./...")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var list []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// violations are the sentences about what breaks the tables.
func violations(list []listed) (found []string) {
	table, limits := rows(), foreign()
	prefixes, users := databases()
	seen := map[string]bool{}
	for i := range list {
		p := &list[i]
		name := p.name()
		seen[name] = true
		may, known := table[name]
		if !known {
			found = append(found, name+" is not in the import table: add it with its reason")
			continue
		}
		limit, limited := limits[name]
		for _, path := range p.Imports {
			ours := path == module || strings.HasPrefix(path, module+"/")
			first, _, _ := strings.Cut(path, "/")
			switch {
			case ours && !slices.Contains(may, nameOf(path)):
				found = append(found, name+" must not import "+nameOf(path))
			case !ours && begins(path, prefixes) && !slices.Contains(users, name):
				found = append(found, name+" must not import "+path+": SQL and jobs live in store and job")
			case !ours && limited && strings.Contains(first, ".") && !begins(path, limit):
				found = append(found, name+" must not import "+path)
			}
		}
	}
	for name := range table {
		if !seen[name] {
			found = append(found, name+" is in the import table and does not exist")
		}
	}
	slices.Sort(found)
	return found
}

func begins(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(path, p) })
}

func TestImports(t *testing.T) {
	t.Parallel()
	for _, sentence := range violations(packages(t)) {
		t.Error(sentence)
	}
}

// The test of the test: what breaks the table is found.
func TestImportsAreChecked(t *testing.T) {
	t.Parallel()
	list := []listed{
		{ImportPath: "portolan", Imports: []string{"strings", "golang.org/x/text/cases", "golang.org/x/net/html"}},
		{ImportPath: "portolan/internal/sas", Imports: []string{"portolan", "portolan/internal/store", "portolan/internal/gateway", "database/sql"}},
		{ImportPath: "portolan/internal/util"},
		{ImportPath: "portolan/internal/store", Imports: []string{"database/sql", "portolan/internal/rpc"}},
	}
	found := strings.Join(violations(list), "\n")
	for _, want := range []string{
		". must not import golang.org/x/net/html", "sas must not import gateway", "sas must not import database/sql", "util is not in the import table",
		"store must not import rpc", "iam is in the import table and does not exist",
	} {
		if !strings.Contains(found, want) {
			t.Errorf("not found: %s", want)
		}
	}
	for _, wrong := range []string{"sas must not import store", "store must not import database/sql", "import strings", "golang.org/x/text"} {
		if strings.Contains(found, wrong) {
			t.Errorf("found: %s", wrong)
		}
	}
}

// Each package says once what it knows and what it must not know.
func TestPackageComments(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		files := p.GoFiles
		if len(files) == 0 { // nothing but tests
			files = slices.Concat(p.TestGoFiles, p.XTestGoFiles)
		}
		var comments []string
		for _, file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc == nil {
				continue
			}
			comments = append(comments, file)
			if first := fmt.Sprintf("Package %s ", f.Name); f.Name.Name != "main" && !strings.HasSuffix(f.Name.Name, "_test") && !strings.HasPrefix(f.Doc.Text(), first) {
				t.Errorf("%s: the comment of %s does not begin with %q", p.name(), file, first)
			}
		}
		if len(comments) != 1 {
			t.Errorf("%s has package comments in %v, want one", p.name(), comments)
		}
	}
}
