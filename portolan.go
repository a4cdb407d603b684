// Package portolan is the domain of the inventory: the words that every other
// package uses, their validation, and the errors that reach the wire.
//
// It knows nothing of HTTP, SQL, or any registry product, and imports only the
// standard library, golang.org/x/text and golang.org/x/net/idna.
//
// # Glossary
//
//   - account: a tenant with a 16-digit id. It owns registries, users and
//     policies; nothing of one account shows in another's answers.
//   - registry: a place that stores images (acr, harbor, quay, oci) or reports
//     them (CI/CD).
//   - repository: a path in a registry. Its namespace is everything before the
//     last slash (it may be empty), its name the rest.
//   - image: one (registry, repository, digest) with its tags. An index is one
//     image; its children are platforms of it.
//   - accessory: a signature, attestation, SBOM or other referrer.
//   - other artifact: a Helm chart, WASM module, policy, model and the like.
//   - reading, sync: one attempt to list a registry; complete or not for each
//     repository.
//   - ledger: what a reading listed and what became of every row.
//   - generation: the number of a reading's result; readers see the published
//     one until the next is published.
package portolan

// Version is the version of this build, set by the linker for releases.
var Version = "0.1.0-dev"

// UserAgent is what Portolan calls itself towards registries.
func UserAgent() string { return "Portolan/" + Version }
