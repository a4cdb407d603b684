package intake

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"portolan"
)

// format is a form of events.
type format string

const (
	formatHarbor       format = "Harbor"
	formatQuay         format = "Quay"
	formatACR          format = "ACR"
	formatDistribution format = "distribution"
	formatZot          format = "zot"
)

// fits reports whether registries of a type send events of the form. Behind
// the Distribution API may be any product.
func (f format) fits(t portolan.RegistryType) bool {
	switch t {
	case portolan.Harbor:
		return f == formatHarbor
	case portolan.Quay:
		return f == formatQuay
	case portolan.ACR:
		return f == formatACR
	case portolan.OCI:
		return true
	default:
		return false
	}
}

// action is what an event says has happened.
type action string

const (
	actionPush   action = "push"
	actionDelete action = "delete"
	// actionNone is what changes no list of images: pulls, scans, quotas.
	actionNone action = ""
)

// hint is what an event says, and nobody has proven.
type hint struct {
	// id tells repetitions of the event apart from others; "" if nothing does.
	id     string
	action action
	path   string
	// tag and digest are for the log; either may be "".
	tag, digest string
	// host is where the event says that the repository is, as host or
	// host:port, "" if it does not say.
	host string
}

// eventError says why a body is no event, for who sent it.
type eventError struct{ text string }

func (e *eventError) Error() string { return e.text }

func malformed(text string, args ...any) error { return &eventError{fmt.Sprintf(text, args...)} }

var errFormats = malformed("The body is none of the events that are understood here: those of Harbor (default and CloudEvents), Quay, ACR, distribution and zot.")

// envelope has the members by which the forms are told apart.
type envelope struct {
	Events      json.RawMessage `json:"events"`
	PushData    json.RawMessage `json:"push_data"`
	EventData   json.RawMessage `json:"event_data"`
	DockerURL   *string         `json:"docker_url"`
	SpecVersion string          `json:"specversion"`
}

// decode reads an event of any of the forms. It answers no hints, and no
// error, for one that is well-formed and tells of nothing.
func decode(header http.Header, body []byte) (format, []hint, error) {
	if header.Get("Ce-Specversion") != "" { // CloudEvents with their attributes in the header
		return decodeCloudEvent(&cloudEvent{ID: header.Get("Ce-Id"), Source: header.Get("Ce-Source"), Type: header.Get("Ce-Type"), Data: body})
	}
	var e envelope
	if err := read(body, &e); err != nil {
		return "", nil, err
	}
	switch {
	case e.SpecVersion != "":
		var c cloudEvent
		if err := read(body, &c); err != nil {
			return "", nil, err
		}
		return decodeCloudEvent(&c)
	case e.Events != nil:
		return decodeDistribution(body)
	case e.EventData != nil:
		return decodeHarbor(body)
	case e.PushData != nil:
		return decodeACR(body)
	case e.DockerURL != nil:
		return decodeQuay(body)
	}
	return "", nil, errFormats
}

// read reads JSON. The error is for who sent it, so it quotes nothing.
func read(body []byte, into any) error {
	err := json.Unmarshal(body, into)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
		return malformed("The event's %.100q is not of its type.", e.Field)
	}
	return malformed("The body is not a JSON object.")
}

// maxPath is the length that specifications allow for a repository's path.
const maxPath = 255

// checked is a hint whose path can be one of a repository's.
func checked(h hint) ([]hint, error) {
	if h.path == "" {
		return nil, malformed("The event names no repository.")
	}
	if len(h.path) > maxPath || !repositoryPath(h.path) {
		return nil, malformed("The event's repository %.100q cannot be the path of one.", h.path)
	}
	return []hint{h}, nil
}

// repositoryPath reports whether all parts of a path are made of the
// characters of repositories, and none is one that stands for another.
func repositoryPath(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if strings.Trim(part, ".") == "" || strings.ContainsFunc(part, func(c rune) bool {
			return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._-", c)
		}) {
			return false
		}
	}
	return true
}

// hashOf identifies an event that has no id by all that it says. It is for
// forms that say when something happened: others say the same twice.
func hashOf(body []byte) string {
	return fmt.Sprintf("%x", sha256.Sum256(bytes.TrimSpace(body)))
}

// hostOf is the host of a URL or of a reference without a scheme.
func hostOf(place string) string {
	if !strings.Contains(place, "://") {
		host, _, _ := strings.Cut(place, "/")
		return strings.ToLower(host)
	}
	u, err := url.Parse(place)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}
