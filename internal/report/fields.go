package report

import (
	"regexp"
	"strings"
	"time"
	"unicode"

	"portolan"
	"portolan/internal/store"
)

// Limits of a report's fields.
const (
	// MaxLabel is the length of JenkinsEnv in characters.
	MaxLabel = 4_096
	maxPath  = 255
	// ahead is by how much a build's clock may be fast.
	ahead = 24 * time.Hour
)

// Fields are the parameters of a report, of the signed operation and of the
// receiver alike, as CreateJenkinsImageScanTask of Sas 2018-12-03 has them.
// Zero values are absent.
type Fields struct {
	Digest      string `range:",200" doc:"The digest of the image, or of its index if it has several platforms: 64 hex digits, with or without sha256:. Tag or Digest is needed." example:"a8c9f3765684cd8d9053db9523eab58878e99a199217500efd9ae2a860a7e01e"`
	ImageCreate int64  `doc:"When the image was built, in milliseconds." example:"1717430400000"`
	ImageID     string `rpc:"ImageId" range:",200" doc:"The digest of the image's configuration, as Digest." example:"b10ef7b245c34a0822055c74fc4a0e8b5baf0279306316b2c517a501ed250b1e"`
	ImageSize   int64  `range:"0," doc:"The size of the image in bytes." example:"6120340"`
	ImageUpdate int64  `doc:"When the image last changed, in milliseconds; when its tag came to it if absent." example:"1717430498600"`
	JenkinsEnv  string `in:"query" range:",4096" doc:"A label of the build, kept with the image and, the last one, with the registry. The command line sends JSON." example:"release"`
	Namespace   string `range:",255" doc:"The path of the repository before its last slash." example:"platform/auth"`
	RepoName    string `required:"true" range:",255" doc:"The last part of the repository's path." example:"server"`
	Tag         string `range:",128" doc:"The tag that names the image. Tag or Digest is needed." example:"1.8.0"`
	UUID        string `rpc:"Uuid" range:",64" doc:"The image that this is, if the build knows; ignored unless it is one of the repository." example:"5b268326-273e-44fc-a0e3-9482435c0000"`
}

// tagForm is what the OCI Distribution API lets a tag be.
var tagForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)

// report checks the fields and answers what they say.
func (f *Fields) report(now time.Time) (q store.Report, err error) {
	if f.Tag == "" && f.Digest == "" {
		return q, portolan.Refused("MissingTag", "Tag or Digest is mandatory for this action: a report names its image by one of them.")
	}
	if f.Tag != "" && !tagForm.MatchString(f.Tag) {
		return q, portolan.Invalid("Tag", "must be 1 to 128 of A-Z, a-z, 0-9, _, . and -, and not begin with . or -")
	}
	q = store.Report{Tag: f.Tag, UUID: f.UUID, Size: f.ImageSize, Build: f.JenkinsEnv}
	if q.Path, err = f.path(); err != nil {
		return q, err
	}
	for _, d := range []struct {
		name, text string
		into       *portolan.Digest
	}{{"Digest", f.Digest, &q.Digest}, {"ImageId", f.ImageID, &q.ImageID}} {
		if d.text == "" {
			continue
		}
		if *d.into, err = portolan.ParseDigest(d.text); err != nil {
			return q, portolan.Invalid(d.name, "must be 64 hex digits, with or without sha256: before them")
		}
	}
	for _, t := range []struct {
		name   string
		millis int64
		into   *time.Time
	}{{"ImageCreate", f.ImageCreate, &q.Created}, {"ImageUpdate", f.ImageUpdate, &q.Updated}} {
		if *t.into, err = moment(t.name, t.millis, now); err != nil {
			return q, err
		}
	}
	return q, nil
}

// path is the repository's path, whose parts are not empty and have no spaces.
func (f *Fields) path() (string, error) {
	if f.RepoName == "" {
		return "", portolan.Missing("RepoName")
	}
	path := f.RepoName
	for _, p := range []struct{ name, text string }{{"Namespace", f.Namespace}, {"RepoName", f.RepoName}} {
		if p.text == "" {
			continue
		}
		for part := range strings.SplitSeq(p.text, "/") {
			if part == "" || !portolan.Printable(part) || strings.ContainsFunc(part, unicode.IsSpace) {
				return "", portolan.Invalid(p.name, "must be a path such as platform/auth, without spaces and empty parts")
			}
		}
	}
	if f.Namespace != "" {
		path = f.Namespace + "/" + path
	}
	if len(path) > maxPath {
		return "", portolan.Invalid("RepoName", "must have, with Namespace, at most %d bytes", maxPath)
	}
	return path, nil
}

// moment reads a time that a build tells. Seconds would lie in 1970.
func moment(name string, millis int64, now time.Time) (time.Time, error) {
	if millis == 0 {
		return time.Time{}, nil
	}
	t := time.UnixMilli(millis).UTC()
	if t.Before(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) || t.After(now.Add(ahead)) {
		return t, portolan.Invalid(name, "must be a time in milliseconds from the year 2000 until tomorrow; the server's clock says %d", now.UnixMilli())
	}
	return t, nil
}
