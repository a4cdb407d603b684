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

// ofRepositories reports whether the criteria can be told from a repository
// and its registry, without looking at images.
func (c *Criteria) ofRepositories() bool {
	for _, t := range c.Terms {
		switch t.Field {
		case FieldTag, FieldDigest, FieldImageID, FieldUUID, FieldTagIs:
			return false
		default:
		}
	}
	return true
}

// few reports whether the criteria name images by a key.
func (c *Criteria) few() bool {
	return (!c.Any || len(c.Terms) == 1) && slices.ContainsFunc(c.Terms, func(t Term) bool { return t.Field == FieldDigest || t.Field == FieldUUID })
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
	FieldDigest:        "i.digest = %s",
	FieldImageID:       "i.image_id = %s",
	FieldUUID:          "i.uuid = %s",
	FieldTagIs:         "@INSTR(@NL || i.tags || @NL, @NL || %s || @NL) > 0",
	FieldPathEnd:       "@INSTR('/' || p.path || @NL, '/' || %s || @NL) > 0",
	FieldConst:         "%s = '1'",
}

// where renders the criteria as a condition, "" when there is none, and adds
// its values to the arguments.
func (c *Criteria) where(args *[]any) string {
	terms := make([]string, 0, len(c.Terms))
	for _, t := range c.Terms {
		alternatives := make([]string, 0, len(t.Values))
		for _, v := range t.Values {
			alternatives = append(alternatives, t.compare(v, args))
		}
		if len(alternatives) == 0 {
			alternatives = append(alternatives, nothing)
		}
		terms = append(terms, "("+strings.Join(alternatives, " OR ")+")")
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
	// No stored text holds these, and one database refuses them.
	if strings.ContainsAny(value, "\n\x00") || !utf8.ValidString(value) {
		return nothing
	}
	*args = append(*args, value)
	return fmt.Sprintf(comparisons[t.Field], fmt.Sprintf("CAST($%d AS TEXT)", len(*args)))
}
