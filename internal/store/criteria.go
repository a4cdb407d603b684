package store

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"portolan"
)

// Field is what a criterion compares.
type Field string

// The fields of criteria. The first six belong to a repository, the others to
// an image.
const (
	FieldRepoName      Field = "repoName"      // substring, folded
	FieldRepoNamespace Field = "repoNamespace" // substring, folded
	FieldInstance      Field = "instanceId"    // InstanceId or the registry's id
	FieldRepo          Field = "repoId"
	FieldRegion        Field = "regionId"
	FieldType          Field = "registryType"

	FieldTag     Field = "tag" // substring, folded
	FieldDigest  Field = "digest"
	FieldImageID Field = "imageId"
	FieldUUID    Field = "uuid"
	FieldTagIs   Field = "tagIs"    // one of the tags, exactly
	FieldPathEnd Field = "pathEnds" // the path, or its end after a slash

	// FieldConst does not look at the row: its only value is "1" or "0".
	FieldConst Field = "const"
)

// Term is a condition on one field: it holds if any of its values matches.
type Term struct {
	Field  Field
	Values []string
}

// Criteria are terms that all have to hold, or any of them when Any is set.
// No terms hold for every row.
type Criteria struct {
	Any   bool
	Terms []Term
}

// ofImage reports whether a field belongs to an image rather than to its
// repository or registry.
func (f Field) ofImage() bool {
	switch f {
	case FieldTag, FieldDigest, FieldImageID, FieldUUID, FieldTagIs:
		return true
	default:
		return false
	}
}

// ofRepositories reports whether the criteria can be told from a repository
// and its registry, without looking at images.
func (c *Criteria) ofRepositories() bool {
	return !slices.ContainsFunc(c.Terms, func(t Term) bool { return t.Field.ofImage() })
}

// ofRegistries reports whether the criteria can be told from a registry alone.
func (c *Criteria) ofRegistries() bool {
	return !slices.ContainsFunc(c.Terms, func(t Term) bool { return !t.Field.ofRegistry() })
}

// ofRegistry reports whether a field belongs to a registry.
func (f Field) ofRegistry() bool {
	switch f {
	case FieldInstance, FieldRegion, FieldType, FieldConst:
		return true
	default:
		return false
	}
}

// admits reports whether criteria that are ofRegistries hold for a registry.
func (c *Criteria) admits(r *portolan.Registry) bool {
	for i := range c.Terms {
		holds := slices.ContainsFunc(c.Terms[i].Values, func(v string) bool { return c.Terms[i].admits(r, v) })
		if holds == c.Any {
			return holds
		}
	}
	return !c.Any || len(c.Terms) == 0
}

// maxDigits is the length of the longest id; an instance's is longer.
const maxDigits = 19

func (t *Term) admits(r *portolan.Registry, value string) bool {
	switch t.Field {
	case FieldInstance:
		return value == r.InstanceID || len(value) <= maxDigits && value == strconv.FormatInt(r.ID, 10)
	case FieldRegion:
		return value == r.RegionID
	case FieldType:
		return value == string(r.Type)
	default:
		return value == "1" // FieldConst
	}
}

// few reports whether the criteria name images by a key.
func (c *Criteria) few() bool {
	return (!c.Any || len(c.Terms) == 1) && slices.ContainsFunc(c.Terms, func(t Term) bool {
		return t.Field == FieldDigest || t.Field == FieldUUID
	})
}

// has reports whether a term compares a field.
func (c *Criteria) has(f Field) bool {
	return slices.ContainsFunc(c.Terms, func(t Term) bool { return t.Field == f })
}

// oneRegistry reports whether the criteria name a registry in which all is.
func (c *Criteria) oneRegistry() bool {
	return (!c.Any || len(c.Terms) == 1) && slices.ContainsFunc(c.Terms, func(t Term) bool { return t.Field == FieldInstance && len(t.Values) == 1 })
}

// ofPaths reports whether the criteria look at repositories.
func (c *Criteria) ofPaths() bool {
	return slices.ContainsFunc(c.Terms, func(t Term) bool {
		switch t.Field {
		case FieldRepoName, FieldRepoNamespace, FieldRepo, FieldPathEnd:
			return true
		default:
			return false
		}
	})
}

// byPath reports whether the criteria narrow repositories down by what these
// are called, and do not name images by a key.
func (c *Criteria) byPath() bool {
	return c.ofPaths() && !c.few() && (!c.Any || c.ofRepositories())
}

// part is the terms on some fields.
func (c *Criteria) part(of func(Field) bool) Criteria {
	p := Criteria{Any: c.Any}
	for _, t := range c.Terms {
		if of(t.Field) {
			p.Terms = append(p.Terms, t)
		}
	}
	return p
}

// byTag reports whether the criteria search the tags of images and name no
// image or repository by a key, so that there is nothing quicker to look at.
func (c *Criteria) byTag() bool {
	if c.Any && len(c.Terms) > 1 {
		return false
	}
	tag := false
	for _, t := range c.Terms {
		switch t.Field {
		case FieldTag, FieldTagIs:
			tag = true
		case FieldDigest, FieldUUID, FieldImageID, FieldRepo:
			return false
		default:
		}
	}
	return tag
}

// comparisons say how a field is compared with one value; %s is its
// placeholder. The aliases are i for images, p for repositories, r for
// registries.
var comparisons = map[Field]string{
	FieldRepoName:      "@INSTR(p.name_folded, %s) > 0",
	FieldRepoNamespace: "@INSTR(p.namespace_folded, %s) > 0",
	FieldInstance:      "r.id = (SELECT q.id FROM registries q WHERE q.instance_id = %s)",
	FieldRepo:          "p.repo_id = %s",
	FieldRegion:        "r.region_id = %s",
	FieldType:          "r.type = %s",
	FieldTag:           "@INSTR(i.tags_folded, %s) > 0",
	FieldImageID:       "i.image_id = %s",
	FieldUUID:          "i.uuid = %s",
	FieldTagIs:         "@INSTR(@NL || i.tags || @NL, @NL || %s || @NL) > 0",
	FieldPathEnd:       "@INSTR('/' || p.path || @NL, '/' || %s || @NL) > 0",
	FieldConst:         "%s = '1'",
}

// whereRepository is where for repositories: a term on images holds for a
// repository with a visible image for which it holds.
func (c *Criteria) whereRepository(args *[]any) string {
	return c.render(args, func(t *Term, condition string) string {
		if t.Field.ofImage() {
			return `EXISTS (SELECT 1 FROM images i WHERE i.repository_id = p.id AND ` + visibleImage + ` AND (` + condition + `))`
		}
		return "(" + condition + ")"
	})
}

// where renders the criteria as a condition on images, "" when there is none,
// and adds its values to the arguments.
func (c *Criteria) where(args *[]any) string {
	return c.render(args, func(_ *Term, condition string) string { return "(" + condition + ")" })
}

func (c *Criteria) render(args *[]any, wrap func(t *Term, condition string) string) string {
	terms := make([]string, 0, len(c.Terms))
	for _, t := range c.Terms {
		terms = append(terms, wrap(&t, t.condition(args)))
	}
	if len(terms) == 0 {
		return ""
	}
	glue := " AND "
	if c.Any {
		glue = " OR "
	}
	return " AND (" + strings.Join(terms, glue) + ")"
}

// nothing is a condition that holds for no row.
const nothing = "1 = 0"

func (t *Term) condition(args *[]any) string {
	if len(t.Values) == 0 {
		return nothing
	}
	if t.Field == FieldDigest {
		return t.amongDigests(args)
	}
	alternatives := make([]string, len(t.Values))
	for n, v := range t.Values {
		alternatives[n] = t.compare(v, args)
	}
	return strings.Join(alternatives, " OR ")
}

// amongDigests is a condition for which the index of digests can be used.
func (t *Term) amongDigests(args *[]any) string {
	var digests, digits []string
	for _, v := range t.Values {
		if storable(v) {
			*args = append(*args, v)
			digest := fmt.Sprintf("CAST($%d AS TEXT)", len(*args))
			digests, digits = append(digests, digest), append(digits, "substr("+digest+", 8, 8)")
		}
	}
	if len(digests) == 0 {
		return nothing
	}
	return "i.digest IN (" + strings.Join(digests, ", ") + ") AND substr(i.digest, 8, 8) IN (" + strings.Join(digits, ", ") + ") AND @ANYERA"
}

// storable reports whether a stored text can be the value: none holds these
// characters, and one database refuses them.
func storable(value string) bool {
	return !strings.ContainsAny(value, "\n\x00") && utf8.ValidString(value)
}

func (t *Term) compare(value string, args *[]any) string {
	switch t.Field {
	case FieldRepoName, FieldRepoNamespace, FieldTag:
		value = portolan.Fold(value)
	case FieldInstance:
		if id, err := strconv.ParseInt(value, 10, 64); err == nil && strconv.FormatInt(id, 10) == value {
			*args = append(*args, id)
			return fmt.Sprintf("r.id = $%d", len(*args))
		}
	default:
	}
	if !storable(value) {
		return nothing
	}
	*args = append(*args, value)
	return fmt.Sprintf(comparisons[t.Field], fmt.Sprintf("CAST($%d AS TEXT)", len(*args)))
}
