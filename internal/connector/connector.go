// Package connector reads registries: it holds the contract that every kind of
// registry fulfils and what they share (error classes, the token flow, Link
// headers, classification of manifests, retries and pace).
//
// It knows registries and nothing of Portolan's store, accounts or API. No
// page number, link, token or HTTP status crosses the contract: a cursor is
// opaque, completeness is an iterator that ends without an error, and a
// failure has a class. A source never says that something is gone; only the
// engine concludes that, from a complete listing.
package connector

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"

	"portolan"
)

// Config is all that a source may know of the registry it reads.
type Config struct {
	// BaseURL has scheme and host, with the port when it is not the default.
	BaseURL *url.URL
	// Credential is empty for anonymous reading.
	Credential portolan.Credential
	// Scope bounds what is listed: prefixes at a slash boundary, empty for all.
	Scope []string
	// Client sends every request. Its transport checks addresses, keeps the
	// pace, retries and counts; it follows no redirect to another host with
	// credentials.
	Client *http.Client
	// Slow tells that the registry asked, in a way that is its own, to be asked
	// less often, and to wait before the next request. Nil where nobody listens.
	Slow func(wait time.Duration)
	// Now is the clock.
	Now func() time.Time
}

// Open makes a source. It sends nothing: the first request is Probe's.
type Open func(Config) (Source, error)

// Source reads one registry. Its methods may be called at the same time.
type Source interface {
	// Probe proves the identity that the credential stands for and tells what
	// answered. It is called before a listing and again after it; a source
	// that cannot prove who it is any more must fail here, with
	// BadCredentials.
	Probe(context.Context) (Probe, error)

	// Repositories lists the catalogue within the scope, in an order of the
	// source's choice, starting after the cursor of an earlier repository
	// ("" for the start). The list is complete if it ends without an error.
	// A path may come twice.
	Repositories(ctx context.Context, after string) iter.Seq2[Repository, error]

	// Images lists one repository: a row for each row of the source (a tag, or
	// for Harbor an artifact). The repository is complete if the list ends
	// without an error and no row carries one. A repository that the source
	// does not know ends in an error for which errors.Is(err, ErrNotExist)
	// holds. The source writes what the registry announces into the Listing
	// while it goes.
	Images(ctx context.Context, l *Listing) iter.Seq2[Row, error]
}

// BulkLister is the ability to list all repositories of a group at once.
// It is used for a group whose repositories' Expect add up to MaxBulk or less,
// if Probe said Bulk.
type BulkLister interface {
	// GroupImages lists the images of all repositories of the group that
	// l.Repository.Group names. Each row names its repository.
	GroupImages(ctx context.Context, l *Listing) iter.Seq2[Row, error]
}

// MaxBulk is the largest number of expected rows that are listed in bulk.
const MaxBulk = 2_000

// ChangeFeed is the ability to tell which repositories changed.
type ChangeFeed interface {
	// Changes answers the paths of repositories that changed after since, and
	// whether the feed is proven to be working and complete since then.
	// An unproven feed is no feed.
	Changes(ctx context.Context, since time.Time) (paths []string, proven bool, err error)
}

// Announcer is the ability to prepare for what will be read soon: a source
// whose registry gives out tokens gets one for many repositories. What is
// announced need not be read, and what was not announced may be.
type Announcer interface {
	// Announce tells paths of repositories in the order in which they will be
	// read. A source knows those of its own catalogue already; it is for a
	// reading that goes on with a new source.
	Announce(paths []string)
}

// Expirer is the ability to tell when the credential ends.
type Expirer interface {
	// CredentialExpires answers when it ends, zero for never, and whether that
	// could be found out. It is asked after Probe; that it does not know is no
	// failure.
	CredentialExpires(context.Context) (at time.Time, known bool)
}

// Probe is what a source found out about its registry and itself.
type Probe struct {
	Product  string // "Harbor", "distribution", "zot", "OCI registry"
	Version  string // "" when the product does not tell
	Identity string // who the registry says we are; "anonymous" without a credential
	Warnings []string
	// Bulk and Feed tell that the abilities of the same name can be used here.
	Bulk bool
	Feed bool
}

// Repository is one entry of the catalogue.
type Repository struct {
	Path string
	// Group is the unit of bulk listing (Harbor's project), "" without one.
	Group string
	// Expect is the number of rows the source announces for it, -1 if unknown.
	Expect int
	// Fingerprint differs when something changed; equality alone proves
	// nothing without a proven ChangeFeed. "" if there is none.
	Fingerprint string
	// Visibility is "public", "private" or "" when the source does not tell.
	Visibility string
	// Cursor resumes the catalogue after this entry.
	Cursor string
}

// Listing is the reading of one repository or group: what is asked for, and
// what the registry announced.
type Listing struct {
	Repository Repository
	// Resume continues after the row that had this cursor; "" from the start.
	Resume string
	// Known answers from memory; never nil.
	Known Known

	// Listed counts the rows of the source, where its pages are decoded, each
	// once: the ledger compares it with what became of them.
	Listed int
	// Announced is the total that the source states, -1 if it states none.
	Announced int
	// ManifestsRead counts manifests fetched and decoded.
	ManifestsRead int
	// Truncated is set when the list was cut by the source (a repeated or
	// foreign Link, fewer rows than announced); the list then ends in an error.
	Truncated bool
}

// Known is what the engine remembers, so that a source asks its registry only
// for what is new.
type Known interface {
	// Facts answers what is known of the digests in the account; a manifest is
	// fetched once, ever. Unknown digests are left out.
	Facts(ctx context.Context, digests []portolan.Digest) (map[portolan.Digest]Facts, error)
	// Resolved answers the digest of a tag of the listed repository if this
	// same reading has resolved it before it was interrupted.
	Resolved(tag string) (portolan.Digest, bool)
}

// Facts is what a manifest says: true of a digest wherever it is found.
type Facts struct {
	Kind         portolan.Kind
	MediaType    string
	ArtifactType string
	// ImageID is the digest of the image's configuration, "" for an index.
	ImageID portolan.Digest
	// Size in bytes of the manifest, configuration and layers; for an index on
	// a source that does not tell, that of its first platform.
	Size int64
	// Created is when the image was built, zero if not known.
	Created time.Time
	// Subject is the digest that an accessory refers to.
	Subject portolan.Digest
	// Platforms of an index, as os/architecture[/variant].
	Platforms []string
}

// Complete reports whether the facts come from a manifest. Those of a digest
// that was only seen under accessory tags do not: they have a Kind and nothing
// else, and are not remembered.
func (f Facts) Complete() bool { return f.MediaType != "" }

// Tag is a name of a digest. Pushed is zero when the source does not tell.
type Tag = portolan.Tag

// Row is one row of a source's list.
type Row struct {
	// Repository is the path, set by bulk lists.
	Repository string
	Digest     portolan.Digest
	Tags       []Tag
	Facts
	// Pushed is when the digest first came into the repository, zero if the
	// source does not tell.
	Pushed time.Time
	// Cursor resumes the list after this row; "" if it cannot be resumed here.
	Cursor string
	// Err says why this row could not be read. The list goes on, and the
	// repository counts as failed.
	Err error
}
