package sas

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"portolan"
	"portolan/internal/rpc"
	"portolan/internal/store"
)

// criteriaRequest selects images or repositories.
type criteriaRequest struct {
	Criteria   string `doc:"A JSON list of at most 20 conditions {name, value, logicalExp}. Conditions of the same name: any of them. Of different names: by LogicalExp." example:"[{\"name\":\"repoName\",\"value\":\"server\"}]"`
	LogicalExp string `enum:"AND,OR" doc:"How conditions of different names combine; AND if absent. A condition's own logicalExp counts only then." example:"AND"`
}

const (
	criteriaParam = "Criteria"
	maxCriteria   = 20
	maxValue      = 256
)

// choice is a criterion by name.
type choice struct {
	name string
	// field is what it compares; FieldConst for what scanning would tell.
	field store.Field
	// values are the choices of a select, nil for an input.
	values []string
}

// choices lists the criteria in the order in which they are shown. image tells
// whether those that need an image are among them.
func choices(image bool) []choice {
	types := portolan.RegistryTypes()
	words := make([]string, len(types))
	for i, t := range types {
		words[i] = string(t)
	}
	list := []choice{
		{"instanceId", store.FieldInstance, nil},
		{"repoName", store.FieldRepoName, nil},
		{"repoId", store.FieldRepo, nil},
		{"repoNamespace", store.FieldRepoNamespace, nil},
		{"regionId", store.FieldRegion, nil},
	}
	for _, name := range riskNames() {
		list = append(list, choice{name, store.FieldConst, []string{no, "YES"}})
	}
	list = append(list, choice{"registryType", store.FieldType, words}, choice{"ImageId", store.FieldImageID, nil}, choice{"tag", store.FieldTag, nil})
	if image {
		list = append(list, choice{"digest", store.FieldDigest, nil}, choice{"uuid", store.FieldUUID, nil})
	}
	return list
}

func choiceOf(name string) (choice, bool) {
	if name == "imageId" {
		name = "ImageId" // both spellings occur
	}
	all := choices(true)
	i := slices.IndexFunc(all, func(c choice) bool { return c.name == name })
	if i < 0 {
		return choice{}, false
	}
	return all[i], true
}

// criteria reads the conditions. Errors name the position, from 1.
func (q *criteriaRequest) criteria() (store.Criteria, error) {
	var c store.Criteria
	c.Any = q.LogicalExp == "OR"
	if strings.TrimSpace(q.Criteria) == "" {
		return c, nil
	}
	var items []json.RawMessage
	if err := json.Unmarshal([]byte(q.Criteria), &items); err != nil || items == nil {
		return c, portolan.Invalid(criteriaParam, "must be a JSON list of objects with name and value")
	}
	if len(items) > maxCriteria {
		return c, portolan.Invalid(criteriaParam, "must have at most %d items", maxCriteria)
	}
	var names []string
	for i, raw := range items {
		bad := func(format string, args ...any) error {
			return portolan.Invalid(criteriaParam, "item %d %s", i+1, fmt.Sprintf(format, args...))
		}
		item, err := rpc.ValuesFromJSON(raw)
		if err != nil || !texts(raw) {
			return c, bad("must be an object whose members are texts, each once")
		}
		if err := q.add(&c, &names, item, bad); err != nil {
			return c, err
		}
	}
	return c, nil
}

// texts reports whether all members of an object are strings.
func texts(raw json.RawMessage) bool {
	var members map[string]*string
	if err := json.Unmarshal(raw, &members); err != nil {
		return false
	}
	for _, m := range members {
		if m == nil {
			return false
		}
	}
	return true
}

// add adds one condition. names are those of the terms.
func (q *criteriaRequest) add(c *store.Criteria, names *[]string, item rpc.Values, bad func(string, ...any) error) error {
	for _, key := range slices.Sorted(maps.Keys(item)) {
		if key != "name" && key != "value" && key != "logicalExp" {
			return bad("has the unknown key %q; it may have name, value and logicalExp", key)
		}
	}
	for _, key := range []string{"name", "value"} {
		if _, given := item[key]; !given {
			return bad("has no %s", key)
		}
	}
	choice, known := choiceOf(item["name"])
	if !known {
		return bad("has the unknown name %q", item["name"])
	}
	switch item["logicalExp"] {
	case "", "AND":
	case "OR":
		c.Any = c.Any || q.LogicalExp == ""
	default:
		return bad("has a logicalExp that is neither AND nor OR")
	}
	value, err := choice.value(item["value"])
	if err != nil {
		return bad("%s", err)
	}
	if i := slices.Index(*names, choice.name); i >= 0 {
		c.Terms[i].Values = append(c.Terms[i].Values, value)
		return nil
	}
	*names = append(*names, choice.name)
	c.Terms = append(c.Terms, store.Term{Field: choice.field, Values: []string{value}})
	return nil
}

// value brings a value into the form in which the store compares it.
func (c *choice) value(v string) (string, error) {
	if len([]rune(v)) > maxValue {
		return "", fmt.Errorf("has a value of more than %d characters", maxValue)
	}
	switch c.field {
	case store.FieldConst:
		return strconv.Itoa(map[bool]int{true: 1, false: 0}[v == no]), nil
	case store.FieldDigest, store.FieldImageID:
		d, err := portolan.ParseDigest(v)
		if err != nil {
			return v, nil // it equals no digest
		}
		return string(d), nil
	default:
		return v, nil
	}
}

// criteriaOf is the condition that a row is in all of the given places.
func criteriaOf(terms ...store.Term) store.Criteria { return store.Criteria{Terms: terms} }

type criteriaListRequest struct {
	Value string `range:",256" doc:"Only choices that contain this. A whole digest or uuid is found in all images, other values of images in the 10,000 updated last." example:"2.0"`
}

type criteriaListResponse struct {
	CriteriaList []criterion `doc:"The conditions that Criteria may have."`
}

type criterion struct {
	Name   string `doc:"The name." example:"vulStatus"`
	Type   string `doc:"select for a fixed set of values, input for any." example:"select"`
	Values string `doc:"The values, comma-separated: all of a select, up to 20 that occur of an input; ImageId, tag, digest and uuid are those of the 10,000 images updated last." example:"NO,YES"`
}

const maxChoices = 20

// criteriaList lists the criteria with their choices.
func (s *Service) criteriaList(ctx context.Context, account int64, containing string, image bool) (*criteriaListResponse, error) {
	resp := &criteriaListResponse{}
	for _, c := range choices(image) {
		row := criterion{Name: c.name, Type: "select", Values: strings.Join(c.values, ",")}
		if c.values == nil {
			row.Type = "input"
			values, err := s.DB.Distinct(ctx, account, c.field, containing, maxChoices)
			if err != nil {
				return nil, err
			}
			for i, v := range values {
				if c.field == store.FieldDigest || c.field == store.FieldImageID {
					values[i] = portolan.Digest(v).Wire()
				}
			}
			row.Values = strings.Join(values, ",")
		}
		resp.CriteriaList = append(resp.CriteriaList, row)
	}
	return resp, nil
}
