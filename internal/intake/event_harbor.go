package intake

// harborEvent is Harbor's default form, and the data of its CloudEvents
// (goharbor/harbor, src/pkg/notifier/model and src/pkg/notifier/formats).
type harborEvent struct {
	Type string      `json:"type"`
	Data *harborData `json:"event_data"`
}

type harborData struct {
	Resources []struct {
		Digest string `json:"digest"`
		Tag    string `json:"tag"` // the digest again when there is none
		URL    string `json:"resource_url"`
	} `json:"resources"`
	Repository struct {
		FullName string `json:"repo_full_name"`
	} `json:"repository"`
}

func decodeHarbor(body []byte) (format, []hint, error) {
	var e harborEvent
	if err := read(body, &e); err != nil {
		return formatHarbor, nil, err
	}
	if e.Type == "" || e.Data == nil {
		return formatHarbor, nil, malformed("The event has no type or no event_data.")
	}
	did := map[string]action{"PUSH_ARTIFACT": actionPush, "DELETE_ARTIFACT": actionDelete}[e.Type]
	hints, err := e.Data.hints(did, hashOf(body))
	return formatHarbor, hints, err
}

// hints: pulls, scans, quotas, replications and retentions tell of no change
// that a push or a deletion does not tell of.
func (d *harborData) hints(did action, id string) ([]hint, error) {
	if did == actionNone {
		return nil, nil
	}
	h := hint{id: id, action: did, path: d.Repository.FullName}
	if len(d.Resources) > 0 {
		first := d.Resources[0]
		h.tag, h.digest, h.host = first.Tag, first.Digest, hostOf(first.URL)
	}
	return checked(h)
}
