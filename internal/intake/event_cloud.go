package intake

import (
	"encoding/json"
	"strings"
)

// cloudEvent is an event in the form of CloudEvents 1.0, however it came:
// Harbor sends one JSON document, zot the attributes in the header.
type cloudEvent struct {
	ID     string          `json:"id"`
	Source string          `json:"source"`
	Type   string          `json:"type"`
	Data   json.RawMessage `json:"data"`
}

// zotTypes are the ends of zot's types; what is before them can be configured
// (project-zot/zot, pkg/extensions/events).
func zotTypes() map[string]action {
	return map[string]action{
		"image.updated": actionPush, "image.deleted": actionDelete,
		"image.lint_failed": actionNone, "image.scanned": actionNone, "repository.created": actionNone,
	}
}

func decodeCloudEvent(e *cloudEvent) (format, []hint, error) {
	if e.Type == "" || e.ID == "" {
		return "", nil, malformed("The CloudEvent has no type or no id.")
	}
	id := e.Source + "\n" + e.ID // unique together, as CloudEvents says
	if kind, ok := strings.CutPrefix(e.Type, "harbor."); ok {
		did := map[string]action{"artifact.pushed": actionPush, "artifact.deleted": actionDelete}[kind]
		if did == actionNone {
			return formatHarbor, nil, nil
		}
		var d harborData
		if err := read(e.Data, &d); err != nil {
			return formatHarbor, nil, err
		}
		hints, err := d.hints(did, id)
		return formatHarbor, hints, err
	}
	for end, did := range zotTypes() {
		if e.Type == end || strings.HasSuffix(e.Type, "."+end) {
			hints, err := decodeZot(e.Data, did, id)
			return formatZot, hints, err
		}
	}
	return "", nil, errFormats
}

// decodeZot reads the data of an event of zot. A repository that was created
// has no image yet: that comes with an event of its own.
func decodeZot(data []byte, did action, id string) ([]hint, error) {
	if did == actionNone {
		return nil, nil
	}
	var d struct {
		Name      string `json:"name"`
		Reference string `json:"reference"`
		Digest    string `json:"digest"`
	}
	if err := read(data, &d); err != nil {
		return nil, err
	}
	return checked(hint{id: id, action: did, path: d.Name, tag: d.Reference, digest: d.Digest})
}
